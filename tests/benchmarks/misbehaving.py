"""A server for one subscriber and one poster, like the yardstick, that misbehaves on command."""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

WAIT_SECONDS = 10


class Misbehaving:
    """A context. ``delivers``: the order numbers of the events that a post leads to; None: the end."""

    def __init__(self, request_size: int, delivers: Callable[[int], Sequence[int] | None]) -> None:
        self._request_size = request_size
        self._delivers = delivers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_SECONDS)
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

    def _try_to_serve(self) -> None:
        # A load that has failed has closed its connection with unread data.
        with suppress(ConnectionError):
            self._serve()

    def _serve(self) -> None:
        # The load connects its browsers first, and waits for the answer.
        browser, _ = self._listener.accept()
        with browser:
            browser.recv(100)
            browser.sendall(b".")
            poster, _ = self._listener.accept()
            with poster, poster.makefile("rb") as posts:
                post = 0
                while len(posts.read(self._request_size)) == self._request_size:
                    poster.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    if (orders := self._delivers(post)) is None:
                        break
                    for order in orders:
                        payload = f'[36,"n={order:010}"]'.encode()
                        browser.sendall(bytes((0x81, len(payload))) + payload)
                    post += 1
