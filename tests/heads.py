"""Requests that break the rules of HTTP/1: what a peer may send to any port that speaks it."""

import random

DIGITS = b"9" * 5000

ODD_LINES: dict[str, bytes] = {
    "content_length_of_5000_digits": b"Content-Length: " + DIGITS,
    "content_length_of_4000_digits": b"Content-Length: " + DIGITS[:4000],
    "content_length_with_a_sign": b"Content-Length: +5",
    "negative_content_length": b"Content-Length: -1",
    "content_length_in_other_digits": b"Content-Length: \xd9\xa5",
    "content_length_in_superscript": b"Content-Length: \xb2",
    "empty_content_length": b"Content-Length:",
    "content_length_with_underscore": b"Content-Length: 1_0",
    "two_content_lengths": b"Content-Length: 5\r\nContent-Length: 6",
    "list_of_content_lengths": b"Content-Length: 5, 5",
    "length_and_chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "unknown_transfer_encoding": b"Transfer-Encoding: gzip, chunked",
    "transfer_encoding_twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "name_with_a_space": b"X Y: 1",
    "space_before_the_colon": b"X : 1",
    "no_colon": b"nonsense",
    "empty_name": b": 1",
    "nul_in_a_name": b"X\0: 1",
    "nul_in_a_value": b"X: a\0b",
    "carriage_return_in_a_value": b"X: a\rb",
    "line_feed_in_a_value": b"X: a\nb",
    "name_that_is_no_text": b"\xff\xfe: 1",
    "second_host": b"Host: localhost",
    "content_length_folded": b"Content-Length:\r\n " + DIGITS,
}
"""Header lines after which a request means nothing."""

ODD_REQUEST_LINES: dict[str, bytes] = {
    "http_0_9": b"GET /ws",
    "http_9_9": b"GET /ws HTTP/9.9",
    "http_in_small_letters": b"GET /ws http/1.1",
    "version_of_5000_digits": b"GET /ws HTTP/1." + DIGITS,
    "no_method": b" /ws HTTP/1.1",
    "four_words": b"GET /ws x HTTP/1.1",
    "two_spaces": b"GET  /ws HTTP/1.1",
    "tab_for_a_space": b"GET\t/ws\tHTTP/1.1",
    "nul_in_the_target": b"GET /ws?\0 HTTP/1.1",
    "method_that_is_no_text": b"\xff\xfe /ws HTTP/1.1",
    "vertical_tab_in_the_target": b"GET /ws?\x0b HTTP/1.1",
}
"""First lines that no server of HTTP/1 can read."""

STRANGE_TARGETS: list[bytes] = [
    b"//[",
    b"//[::1",
    b"/%",
    b"/%zz",
    b"/%ff%fe",
    b"/ws?%zz=%",
    b"/ws?a=\xb0",
    b"/\xc3\xa9",
    b"/ws#fragment",
    b"/ws?" + b"&" * 4000,
    b"/campaigns/" + DIGITS + b"/executions",
    b"/campaigns/%b2/executions",
    b"/sessions/-1",
    b"/sessions/%00",
    b"http://[/ws",
    b"http://localhost:" + DIGITS + b"/ws",
    b"*",
    b"localhost:80",
    b"?",
]
"""Targets that name nothing; some are valid."""


def request(line: bytes = b"GET /ws HTTP/1.1", *lines: bytes, host: bytes | None = b"localhost") -> bytes:
    """A request without a body; ``host`` None: without Host."""
    return b"\r\n".join([line, *([] if host is None else [b"Host: " + host]), *lines, b"", b""])


HANDSHAKE = request(
    b"GET /ws HTTP/1.1",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Sec-WebSocket-Protocol: wamp.2.json",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15",
    b"Origin: http://127.0.0.1:2998",
)
"""As a browser sends it."""


def hostile_requests(path: bytes) -> dict[str, bytes]:
    """By the name of what is wrong with them, to a path with one method or the other."""
    found = {name: request(b"GET " + path + b" HTTP/1.1", line) for name, line in ODD_LINES.items()}
    found |= {name: request(line.replace(b"/ws", path)) for name, line in ODD_REQUEST_LINES.items()}
    for number, target in enumerate(STRANGE_TARGETS):
        for method in (b"GET", b"PUT", b"DELETE"):
            found[f"target_{number}_{method.decode()}"] = request(method + b" " + target + b" HTTP/1.1")
    for number, size in enumerate(
        (DIGITS, b"-1", b"+1", b"0x5", b"g", b"", b"fffffffffffffffff", b"5;" + DIGITS)
    ):
        chunked = request(b"POST " + path + b" HTTP/1.1", b"Transfer-Encoding: chunked")
        found[f"chunk_size_{number}"] = chunked + size + b"\r\nhello\r\n0\r\n\r\n"
    found["chunk_that_is_longer_than_it_says"] = chunked + b"2\r\nhello\r\n0\r\n\r\n"
    found["trailer_that_is_nonsense"] = chunked + b"0\r\n\0\xff\r\n\r\n"
    found["nonsense_after_a_request"] = (
        request(b"GET " + path + b" HTTP/1.1") + b"\0\xff" + DIGITS + b"\r\n\r\n"
    )
    found["accept_of_nonsense"] = request(
        b"GET /metrics HTTP/1.1",
        b"Accept: text/plain;version=1.x, application/openmetrics-text;version=" + DIGITS,
    )
    found["accept_that_is_no_text"] = request(
        b"GET /metrics HTTP/1.1", b"Accept: application/openmetrics-text;version=1.0.0\xff;escaping=\xff"
    )
    return found


def changed(chance: random.Random, head: bytes) -> bytes:
    """The head of a request with a fault: in a line, some octets, or its first line."""
    match chance.randrange(4):
        case 0:
            line, _, rest = head.partition(b"\r\n")
            return line + b"\r\n" + chance.choice(list(ODD_LINES.values())) + b"\r\n" + rest
        case 1:
            return head.replace(
                head.partition(b"\r\n")[0], chance.choice(list(ODD_REQUEST_LINES.values())), 1
            )
        case 2:
            lines = head.split(b"\r\n")
            at = chance.randrange(len(lines) - 2)
            return b"\r\n".join([*lines[:at], *lines[at + 1 :]])
        case _:
            octets = bytearray(head)
            for _ in range(chance.randrange(1, 4)):
                octets[chance.randrange(len(octets) - 4)] = chance.randrange(256)
            return bytes(octets)
