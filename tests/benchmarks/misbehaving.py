"""A server for one subscriber and one poster, like the yardstick, that misbehaves on command."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Self

WAIT_SECONDS = 10
SEPARATOR = b"\x1e"
UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
UPGRADED_TO_MQTT = UPGRADED[:-2] + b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
TEXT, BINARY, PONG = 0x81, 0x82, 0x8A
FIRST, MIDDLE, LAST, PIECE = 0x02, 0x00, 0x80, 40
"""Frames of one message, and the number of bytes in each."""


def frame(opcode: int, payload: bytes) -> bytes:
    return bytes((opcode, len(payload))) + payload


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


Send = Callable[[Sequence[int]], None]
"""Sends the events with these order numbers to the subscriber."""


class Misbehaving:
    """A context. ``delivers``: the order numbers of the events that a post leads to; None: the end."""

    def __init__(self, request_size: int, delivers: Callable[[int], Sequence[int] | None]) -> None:
        self._request_size = request_size
        self._delivers = delivers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_SECONDS)
        self._accepted = ExitStack()
        self._thread = threading.Thread(target=self._try_to_serve)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join(WAIT_SECONDS)
        self._listener.close()

    def accept(self) -> socket.socket:
        """The next connection. It is closed at the end."""
        return self._accepted.enter_context(self._listener.accept()[0])

    def opened(self, browser: socket.socket) -> Send:
        """Let the browser subscribe."""
        browser.recv(100)
        browser.sendall(b".")

        def send(orders: Sequence[int]) -> None:
            for order in orders:
                browser.sendall(frame(TEXT, b'[36,"n=%010d"]' % order))

        return send

    def _try_to_serve(self) -> None:
        # A load that has failed has closed its connection with unread data.
        with suppress(ConnectionError), self._accepted:
            self._serve()

    def _serve(self) -> None:
        # The load connects its browsers first, and waits for the answer.
        send = self.opened(self.accept())
        poster = self.accept()
        with poster.makefile("rb") as posts:
            post = 0
            while len(posts.read(self._request_size)) == self._request_size:
                poster.sendall(answer(b""))
                if (orders := self._delivers(post)) is None:
                    break
                send(orders)
                post += 1


def exchange(browser: socket.socket, body: bytes) -> None:
    """Answer the next request."""
    browser.recv(4096)
    browser.sendall(answer(body))


def enter(browser: socket.socket) -> None:
    """A page's session over long-polling, up to its namespace."""
    for body in (b'0{"sid":"abc"}', b"ok", b'40{"sid":"def"}'):
        exchange(browser, body)


class MisbehavingToPoller(Misbehaving):
    """The subscriber is a page over long-polling."""

    def opened(self, browser: socket.socket) -> Send:
        enter(browser)
        exchange(browser, b"ok")

        def send(orders: Sequence[int]) -> None:
            if orders:
                exchange(browser, SEPARATOR.join(b'42["n=%010d"]' % order for order in orders))

        return send


class MisbehavingToPage(Misbehaving):
    """The subscriber is a page over a WebSocket, after its upgrade."""

    def opened(self, browser: socket.socket) -> Send:
        enter(browser)
        upgraded = self.accept()
        upgraded.recv(4096)
        upgraded.sendall(UPGRADED)
        upgraded.recv(100)
        upgraded.sendall(frame(TEXT, b"3probe"))
        exchange(browser, b"6")
        received = b""
        # A ping of a client without data ends with its mask.
        while received[-6:-4] != b"\x89\x80":
            received += upgraded.recv(4096)
        upgraded.sendall(frame(PONG, b""))

        def send(orders: Sequence[int]) -> None:
            for order in orders:
                upgraded.sendall(frame(TEXT, b'42["n=%010d"]' % order))

        return send


def in_pieces(payload: bytes) -> bytes:
    """A binary message in frames that end anywhere."""
    pieces = [payload[at : at + PIECE] for at in range(0, len(payload), PIECE)]
    opcodes = [FIRST, *[MIDDLE] * (len(pieces) - 1)]
    return b"".join(map(frame, opcodes, pieces)) + frame(LAST, b"")


class MisbehavingToNats(Misbehaving):
    """The subscriber speaks NATS."""

    def opened(self, browser: socket.socket) -> Send:
        browser.recv(4096)
        browser.sendall(UPGRADED + frame(BINARY, b"INFO {}\r\nPING\r\nINFO {}\r\n"))
        browser.recv(4096)
        browser.sendall(frame(BINARY, b"PONG\r\n"))

        def send(orders: Sequence[int]) -> None:
            browser.sendall(in_pieces(b"".join(b"MSG b 1 12\r\nn=%010d\r\n" % order for order in orders)))

        return send


class MisbehavingToMqtt(Misbehaving):
    """The subscriber speaks MQTT."""

    def opened(self, browser: socket.socket) -> Send:
        browser.recv(4096)
        browser.sendall(UPGRADED_TO_MQTT)
        browser.recv(4096)
        browser.sendall(frame(BINARY, b"\x20\x02\0\0"))
        browser.recv(4096)
        browser.sendall(frame(BINARY, b"\x90\x03\0\x01\0"))

        def send(orders: Sequence[int]) -> None:
            browser.sendall(in_pieces(b"".join(b"\x30\x0f\0\x01bn=%010d" % order for order in orders)))

        return send
