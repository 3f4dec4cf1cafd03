"""Many lean clients at once, on plain sockets: what thousands of pages are to the server."""

import json
import os
import resource
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from typing import Any

from tests.fakes import KANBAN, ticket

TIMEOUT = 60
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
HEAD = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {NONCE}\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
).encode()
HELLO = [1, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"]}]


def masked(message: object) -> bytes:
    """A text frame whose mask is zero."""
    payload = json.dumps(message).encode()
    length = len(payload)
    head = bytes([0x81, 0x80 | length]) if length < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, length)
    return head + bytes(4) + payload


def trusting() -> ssl.SSLContext:
    """A client's that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Reader:
    """One client. ``messages`` are what came after SUBSCRIBED; ``closed`` is the close code, 0 a loss."""

    def __init__(
        self, port: int, *, tls: bool | ssl.SSLContext = False, buffer: int = 0, source: str = "127.0.0.1"
    ) -> None:
        self.socket: Any = socket.socket()
        self.socket.settimeout(TIMEOUT)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        if tls:
            context = trusting() if tls is True else tls
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._data = bytearray()
        self.messages: list[Any] = []
        self.closed: int | None = None
        self.status = 0

    def ask(self, user_id: int = 102, topic: str = KANBAN, token: str | None = None) -> None:
        """Say all that it takes to subscribe, without waiting for the answers."""
        self.socket.sendall(HEAD)
        self.go_on(user_id, topic, token)

    def go_on(self, user_id: int = 102, topic: str = KANBAN, token: str | None = None) -> "Reader":
        """The same after the upgrade."""
        frames = (HELLO, [5, token or ticket(user_id), {}], [32, 1, {}, topic])
        self.socket.sendall(b"".join(map(masked, frames)))
        return self

    def join(self, **who: Any) -> "Reader":
        self.ask(**who)
        self.receive(1)
        assert self.messages.pop(0)[0] == 33, self.messages
        return self

    def receive(self, count: int) -> list[Any]:
        """Wait until there are so many messages, or it is closed."""
        while len(self.messages) < count and self.closed is None:
            self.read()
        return self.messages

    def until_closed(self) -> int:
        while self.closed is None:
            self.read()
        return self.closed

    def read(self) -> None:
        """Take what is there; waits if that is nothing."""
        try:
            data = self.socket.recv(1 << 20)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = self.closed or 0
        self._data += data
        if not self.status and (end := self._data.find(b"\r\n\r\n")) >= 0:
            self.status = int(self._data.split(b" ", 2)[1])
            self.head = bytes(self._data[:end]).decode()
            del self._data[: end + 4]
        while self.status == 101 and self._take():
            pass

    def _take(self) -> bool:
        data = self._data
        if len(data) < 2:
            return False
        length, begin = data[1], 2
        if length > 125:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(data[2:begin])
        if len(data) < begin + length:
            return False
        opcode, payload = data[0] & 15, bytes(data[begin : begin + length])
        del data[: begin + length]
        if opcode == 8:
            self.closed = int.from_bytes(payload[:2])
        elif opcode == 1:
            message = json.loads(payload)
            if message[0] not in (2, 4):
                self.messages.append(message)
        return True

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Go without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Crowd:
    """A context: many subscribers of one board."""

    def __init__(self, port: int, count: int, **options: Any) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
        self.readers = [Reader(port, **options) for _ in range(count)]

    def join(self) -> "Crowd":
        """All at once."""
        for user_id, reader in enumerate(self.readers, 1000):
            reader.ask(user_id)
        self.receive(1)
        for reader in self.readers:
            assert reader.messages.pop(0)[0] == 33
        return self

    def receive(self, count: int) -> None:
        """Wait until each has so many messages, or is closed."""
        read(self.readers, lambda it: len(it.messages) < count)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *error: object) -> None:
        for reader in self.readers:
            reader.close()


def read(readers: Iterable[Reader], wants: Any) -> None:
    """Let them read together until none wants more."""
    wanting = {it.socket.fileno(): it for it in readers if it.closed is None and wants(it)}
    poll = select.epoll()
    for fd in wanting:
        poll.register(fd, select.EPOLLIN)
    until = time.monotonic() + TIMEOUT
    while wanting:
        assert time.monotonic() < until, f"{len(wanting)} still wait"
        for fd, _ in poll.poll(1):
            reader = wanting[fd]
            reader.read()
            if reader.closed is not None or not wants(reader):
                poll.unregister(fd)
                del wanting[fd]
    poll.close()


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
