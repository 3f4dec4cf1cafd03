"""The strict reading of a request's head that both sites share (RFC 9110, 5; RFC 9112, 2-5).

twisted.web and Autobahn read more than the grammar allows, and Autobahn takes other octets than CR LF for
the end of a line. What does not fit the grammar is refused before Autobahn reads it. The texts are constants:
what the peer has sent is neither sent back nor logged.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import NamedTuple

LARGEST_PORT = 65_535

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(_TOKEN + rb" /[!-~]* HTTP/\d\.\d")
# Possessive: where the end does not fit, white space is not read once more for each of its octets.
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*+([\t -~\x80-\xff]*+)")
_VERSION = re.compile(rb"\d{1,3}")
_HOST = re.compile(
    rb"(?P<name>\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"
    rb"(?::(?P<port>\d{0,5}))?"
)


class InvalidHead(ValueError):
    """The head of a request is not HTTP/1; the text is a constant."""


class Host(NamedTuple):
    """Name or address in lower case, IPv6 in brackets; None: no port is named."""

    name: bytes
    port: int | None


def parse_host(value: bytes) -> Host | None:
    """``host[:port]`` (RFC 3986, 3.2.2; RFC 9110, 7.2), the host not empty; None for anything else."""
    match = _HOST.fullmatch(value)
    if match is None or int(match["port"] or 0) > LARGEST_PORT:
        return None
    if match["ipv6"] is not None:
        try:
            IPv6Address(match["ipv6"].decode())
        except ValueError:
            return None
    return Host(match["name"].lower(), int(match["port"]) if match["port"] else None)


def host_of(values: Sequence[bytes], version: bytes) -> Host | None:
    """The Host header of a request; None: HTTP/1.0 without one (RFC 9112, 3.2).

    Raises:
        InvalidHead: it is missing in HTTP/1.1, there are two, or it is not ``host[:port]``.
    """
    if not values and version == b"HTTP/1.0":
        return None
    if len(values) != 1:
        raise InvalidHead("a request has one Host header")
    host = parse_host(values[0])
    if host is None:
        raise InvalidHead("the Host header is not host[:port]")
    return host


def check_handshake(head: bytes) -> None:
    """Check the head of a WebSocket handshake, without its empty line.

    Raises:
        InvalidHead: it is not HTTP/1, announces a body, or has a number that Python might not read.
    """
    request_line, *lines = head.split(b"\r\n")
    if not _REQUEST_LINE.fullmatch(request_line):
        raise InvalidHead("the request line is malformed")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise InvalidHead("a header is malformed")
        fields.setdefault(match[1].lower(), []).append(match[2].rstrip(b" \t"))
    host_of(fields.get(b"host", []), request_line[-8:])
    if b"transfer-encoding" in fields or set(fields.get(b"content-length", [])) - {b"0"}:
        raise InvalidHead("a WebSocket handshake has no body")
    if any(it.lower() != b"100-continue" for it in fields.get(b"expect", [])):
        raise InvalidHead("the only expectation is 100-continue")
    if not all(map(_VERSION.fullmatch, fields.get(b"sec-websocket-version", []))):
        raise InvalidHead("the Sec-WebSocket-Version header is malformed")
