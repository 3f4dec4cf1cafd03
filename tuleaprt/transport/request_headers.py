"""Reads the head of a request strictly: Host, X-Forwarded-For, Origin (RFC 9110, 5; RFC 9112, 2-5; RFC
6454).

twisted.web and Autobahn accept more than the grammar, and Autobahn takes other octets than CR LF for the
end of a line. A head that does not fit the grammar is refused before Autobahn reads it. The texts of
errors are constants, so input of the peer is neither sent back nor logged.

``X-Forwarded-For`` names the client of a proxy, for the log, for operators and for limits. Each proxy
appends the address of its own peer. The header is therefore read from the right: as long as addresses
belong to known proxies, the next one is trusted, and the first other address is the client. The client
may have written everything further left.

``Origin`` names the web page that opens a WebSocket (RFC 6455, 10.2).
"""

import re
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from tuleaprt.errors import ConfigError

LARGEST_PORT = 65_535

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(_TOKEN + rb" /[!-~]* HTTP/\d\.\d")
# Possessive quantifiers: white space before a mismatch must not be matched in several ways.
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*+([\t -~\x80-\xff]*+)")
_VERSION = re.compile(rb"\d{1,3}")
_HOST = re.compile(
    rb"(?P<name>\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"
    rb"(?::(?P<port>\d{0,5}))?"
)


class InvalidHead(ValueError):
    """The head of a request is not HTTP/1. The text is a constant."""


class Host(NamedTuple):
    """A name or address in lower case, IPv6 in brackets, and the port; None: no port."""

    name: bytes
    port: int | None


def parse_host(value: bytes) -> Host | None:
    """``host[:port]`` with a host that is not empty (RFC 3986, 3.2.2; RFC 9110, 7.2); None for anything
    else.
    """
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
    """The Host header of a request; None: HTTP/1.0 without it (RFC 9112, 3.2).

    Raises:
        InvalidHead: HTTP/1.1 without Host, more than one Host, or a Host that is not ``host[:port]``.
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
        InvalidHead: it is not HTTP/1, it announces a body, or it has a number that Python cannot read.
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


MAX_PROXIES = 10
LONGEST_ADDRESS = 45
LOCAL = (ip_address("127.0.0.1"), ip_address("::1"))

# Read from the raw head: Autobahn takes other octets for the end of a line, so a part of a value that the
# proxy
# has passed on could become a header.
_HEADER = re.compile(rb"(?<=\r\n)x-forwarded-for:([^\r\n]*)", re.IGNORECASE)

Address = IPv4Address | IPv6Address
Proxies = tuple[IPv4Network | IPv6Network, ...]


def known_proxies(texts: Iterable[str]) -> Proxies:
    """
    Raises:
        ConfigError: a text is neither an address nor a network.
    """
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigError(f"[websocket] forwarded_for: {error}") from None


def client_of(peer: str | None, head: bytes, proxies: Proxies) -> str | None:
    """The client's address by the head of a request, if the peer is a known proxy; None: it is not, or names
    none.

    ``peer`` is the peer's address; None: a Unix socket, which is trusted if a loopback address is.
    """
    addresses = LOCAL if peer is None else (_address(peer),)
    if not any(_is_known(it, proxies) for it in addresses):
        return None
    for text in reversed(b",".join(_HEADER.findall(head)).split(b",")[-MAX_PROXIES:]):
        address = _address(text.strip(b" \t").decode("latin-1"))
        if address is None:
            return None
        if not _is_known(address, proxies):
            return str(address)
    return None


def _is_known(address: Address | None, proxies: Proxies) -> bool:
    return address is not None and any(address in network for network in proxies)


def _address(text: str) -> Address | None:
    """None for a text that is not an address, or has a zone, which may be any text."""
    if len(text) > LONGEST_ADDRESS or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a page. The port is never left out."""

    scheme: str
    host: str
    port: int


def parse_origin(text: str) -> Origin | None:
    """``https://tuleap.example.com[:port]``; None for anything else, ``null`` included."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.hostname or text != f"{text[: len(parts.scheme)]}://{parts.netloc}":
        return None
    if "@" in parts.netloc:
        return None
    return Origin(parts.scheme, parts.hostname, default if port is None else port)


def allowed_origins(texts: Collection[str]) -> frozenset[Origin]:
    """
    Raises:
        ConfigError: a text is not an origin.
    """
    origins = {text: parse_origin(text) for text in texts}
    if wrong := [text for text, origin in origins.items() if origin is None]:
        raise ConfigError(
            *(
                f"[websocket] allowed_origins: {text!r} is not of the form https://host[:port]"
                for text in wrong
            )
        )
    return frozenset(origin for origin in origins.values() if origin is not None)


def origin_is_allowed(text: str, host: str, allowed: Collection[Origin], scheme: str | None = None) -> bool:
    """Whether a page of this Origin may connect. Without a list, only pages of the server's own host may.

    ``host`` is the Host header. It may lack the port if that is the default of the page's scheme, because
    TLS may end at a proxy. Where the server ends TLS itself, ``scheme`` is ``https``: a page that was
    loaded without TLS has another origin, and anyone on the network may have changed it.
    """
    origin = parse_origin(text)
    if origin is None:
        return False
    if allowed:
        return origin in allowed
    own = parse_origin(f"{scheme or origin.scheme}://{host.strip()}")
    return own == origin
