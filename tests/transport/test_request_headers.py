"""The strict reading of a request's head."""

import pytest

from tests.heads import ODD_LINES, ODD_REQUEST_LINES
from tuleaprt.transport.request_headers import Host, InvalidHead, check_handshake, host_of, parse_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"localhost", Host(b"localhost", None)),
        (b"LOCALHOST:2999", Host(b"localhost", 2999)),
        (b"127.0.0.1:0", Host(b"127.0.0.1", 0)),
        (b"[::1]:65535", Host(b"[::1]", 65535)),
        (b"[2001:DB8::1]", Host(b"[2001:db8::1]", None)),
        (b"[::ffff:127.0.0.1]", Host(b"[::ffff:127.0.0.1]", None)),
        (b"a:", Host(b"a", None)),
        (b"xn--caf-dma.example", Host(b"xn--caf-dma.example", None)),
        (b"a_b.example", Host(b"a_b.example", None)),
        (b"caf%C3%A9.example", Host(b"caf%c3%a9.example", None)),
    ],
)
def test_a_host_and_its_port(text: bytes, expected: Host) -> None:
    assert parse_host(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b":80",
        b"a:-1",
        b"a:+1",
        b"a:65536",
        b"a:" + b"9" * 5000,
        b"a:8_0",
        b"a: 80",
        b"a:x",
        b"a:\xd9\xa8",
        b"a:\xb2",
        b"a:80:80",
        b"caf\xe9",
        "é".encode(),
        b"a b",
        b"a/b",
        b"user@a",
        b"a?",
        b"a#",
        b"a\\b",
        b"%zz",
        b"::1",
        b"[]",
        b"[::1",
        b"[::1]x",
        b"[::1%25eth0]",
        b"[127.0.0.1]",
        b"[:::]",
        b"[v1.a]",
        b"a\0",
        b"a\n",
    ],
)
def test_what_is_no_host(text: bytes) -> None:
    assert parse_host(text) is None


def test_only_http_1_0_may_be_without_host() -> None:
    assert host_of([], b"HTTP/1.0") is None
    for values, version in (([], b"HTTP/1.1"), ([b"a", b"a"], b"HTTP/1.1"), ([b"a", b"a"], b"HTTP/1.0")):
        with pytest.raises(InvalidHead):
            host_of(values, version)


GOOD = [b"GET /ws HTTP/1.1", b"Host: localhost", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"]


@pytest.mark.parametrize(
    "line",
    [
        b"X: caf\xe9 \x85 \t",
        b"X:",
        b"Content-Length: 0",
        b"Expect: 100-Continue",
        b"!#$%&'*+-.^_`|~: 1",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ],
)
def test_what_a_browser_or_proxy_may_send(line: bytes) -> None:
    check_handshake(b"\r\n".join([*GOOD, line]))


@pytest.mark.parametrize("name", ODD_LINES)
def test_header_lines_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidHead):
        check_handshake(b"\r\n".join([*GOOD, ODD_LINES[name]]))


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 1",
        b"Expect: the-unexpected",
        b"Transfer-Encoding: identity",
        b" folded",
        pytest.param(b"X:" + b" \t" * 8000 + b"\0", id="white space without end"),
        b"Sec-WebSocket-Version: " + b"1" * 5000,
        b"Sec-WebSocket-Version: +13",
        b"Sec-WebSocket-Version: 1_3",
        b"Sec-WebSocket-Version:",
    ],
)
def test_header_lines_that_no_handshake_has(line: bytes) -> None:
    with pytest.raises(InvalidHead):
        check_handshake(b"\r\n".join([*GOOD, line]))


@pytest.mark.parametrize("name", [it for it in ODD_REQUEST_LINES if it != "http_9_9"])
def test_request_lines_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidHead):
        check_handshake(b"\r\n".join([ODD_REQUEST_LINES[name], *GOOD[1:]]))


def test_what_is_refused_is_not_quoted() -> None:
    for line in (b"s3cr3t", b"Host: s3cr3t", b"Sec-WebSocket-Version: s3cr3t", b"Expect: s3cr3t"):
        with pytest.raises(InvalidHead) as refused:
            check_handshake(b"\r\n".join([*GOOD, line]))
        assert "s3cr3t" not in str(refused.value)
