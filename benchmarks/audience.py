"""The subscribers: as many WebSockets as wanted, read by one epoll, and every delivery checked.

Written for its own cost to be small beside the server's: nothing of what a WebSocket client may do is here
but what this server makes necessary.
"""

import base64
import json
import os
import re
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any, Self

import jwt
from senders import Failed, Publication

TOPIC = "org.tuleap.kanban.3"
GROUPS = ["@site_active", "@gpig_project_members"]
FIRST_USER = 1000
TICKET_SECONDS = 1800
HELLO, WELCOME, CHALLENGE, AUTHENTICATE, SUBSCRIBE, SUBSCRIBED, EVENT = 1, 2, 4, 5, 32, 33, 36
TEXT, PING, PONG = 1, 9, 10
FINAL, MASKED = 0x80, 0x80

BATCH = 40
"""Connections opened at a time: fewer than Twisted's backlog of 50, past which a SYN is lost for a second."""
EVENTS_PER_POLL = 250
"""Deliveries read between two looks at the clock: less than 2 ms, so that posts can be on time."""
CHUNK = 4096
PATIENCE = 10.0
"""Seconds to wait for an answer, or for the last delivery of a publication."""

Found = tuple[int, bytes, bytes]


def frames(stream: bytes) -> tuple[list[Found], bytes]:
    """The whole frames at the beginning of a stream, as (opcode, payload, frame), and what remains."""
    found: list[Found] = []
    while len(stream) >= 2:
        first, length = stream[0], stream[1]
        begin = {126: 4, 127: 10}.get(length, 2)
        if not first & FINAL or first & 0x70 or length & MASKED:
            raise Failed(f"a frame that begins with {stream[:2].hex()} is not expected of this server")
        if len(stream) < begin:
            break
        if begin > 2:
            length = int.from_bytes(stream[2:begin])
        end = begin + length
        if len(stream) < end:
            break
        found.append((first & 0x0F, stream[begin:end], stream[:end]))
        stream = stream[end:]
    return found, stream


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame of a client. Its mask is zero, which leaves the payload as it is."""
    size = len(payload)
    length = bytes([MASKED | size]) if size < 126 else struct.pack("!BH", MASKED | 126, size)
    return bytes([FINAL | opcode]) + length + bytes(4) + payload


class Audience:
    """A context: ``size`` subscribers of the topic. What they receive must be ``kwargs``, whole and in order.

    ``find`` gives the post to a publication id, or raises Failed when there is none.
    """

    def __init__(
        self, port: int, key: str, size: int, kwargs: dict[str, Any], find: Callable[[int], Publication]
    ) -> None:
        self.size = size
        self.received = 0
        self.frame_size = 0
        self._port = port
        self._key = key.encode()
        self._payload = [{}, [], kwargs]
        self._find = find
        self._sockets: list[socket.socket] = []
        self._epoll = select.epoll()
        self._known: dict[bytes, Publication] = {}
        self._counts: dict[int, int] = {}
        self._partial: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        try:
            for first in range(0, self.size, BATCH):
                self._open(range(first, min(first + BATCH, self.size)))
                # Who came first may be pinged before the last has come.
                self.receive(0)
        except OSError as error:
            self._close()
            raise Failed(
                f"{len(self._counts)} of {self.size} subscribers could be opened: {error}"
            ) from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, cls: object, error: object, traceback: object) -> None:
        self._close()

    def receive(self, timeout: float) -> None:
        """Read what has come, or wait for at most ``timeout`` seconds until something comes.

        All who receive a publication get the same bytes, so a chunk that equals a frame that was looked into
        once is a delivery of the same publication. Any other chunk is looked into.
        """
        known, counts, partial = self._known, self._counts, self._partial
        for fd, _ in self._epoll.poll(timeout, EVENTS_PER_POLL):
            try:
                chunk = os.read(fd, CHUNK)
            except ConnectionError:
                chunk = b""
            at = perf_counter()
            publication = known.get(chunk)
            if publication is not None and publication.index == counts[fd] and fd not in partial:
                counts[fd] += 1
                self.received += 1
                publication.latencies.append(at - publication.sent_at)
            else:
                self._look_into(fd, chunk, at)

    def wait(self, publication: Publication) -> None:
        """Receive until every subscriber has got it."""
        deadline = perf_counter() + PATIENCE
        while missing := self.size - len(publication.latencies):
            if perf_counter() > deadline:
                raise Failed(f"{missing} of {self.size} deliveries did not come within {PATIENCE:.0f} s")
            self.receive(PATIENCE)

    def check(self, posts: int, sent: int) -> None:
        """Compare what was received with what was posted, and with what the server says that it sent."""
        # Whatever was sent more than once is here by now, and makes this raise.
        self.receive(0)
        expected = posts * self.size
        if not self.received == sent == expected:
            raise Failed(f"{expected} deliveries expected, {self.received} received, the server sent {sent}")

    def _look_into(self, fd: int, chunk: bytes, at: float) -> None:
        if not chunk:
            raise Failed(f"the server closed a subscriber's connection after {self._counts[fd]} events")
        found, rest = frames(self._partial.pop(fd, b"") + chunk)
        if rest:
            self._partial[fd] = rest
        for opcode, payload, frame in found:
            if opcode == PING:
                os.write(fd, masked(PONG, payload))
            elif opcode == TEXT:
                self._delivered(fd, self._known.get(frame) or self._learn(payload, frame), at)
            else:
                raise Failed(f"the server sent a subscriber a frame of type {opcode}: {payload!r}")

    def _learn(self, payload: bytes, frame: bytes) -> Publication:
        message = json.loads(payload)
        if message[0] != EVENT or message[3:] != self._payload:
            raise Failed(f"this is not the event that was posted: {payload!r}")
        publication = self._known[frame] = self._find(message[2])
        self.frame_size = len(frame)
        return publication

    def _delivered(self, fd: int, publication: Publication, at: float) -> None:
        if publication.index != self._counts[fd]:
            raise Failed(
                f"lost, duplicated or out of order: after {self._counts[fd]} events a subscriber got "
                f"the one of post {publication.index + 1}"
            )
        self._counts[fd] += 1
        self.received += 1
        publication.latencies.append(at - publication.sent_at)

    def _open(self, numbers: range) -> None:
        """Open some subscribers in step, so that the server is never asked by more than these at once."""
        opening = []
        for _ in numbers:
            opening.append(socket.create_connection(("127.0.0.1", self._port), PATIENCE))
            self._sockets.append(opening[-1])
        for it in opening:
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            it.sendall(self._upgrade())
        for it in opening:
            _expect_upgrade(it)
        hello = [HELLO, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"], "authid": "x"}]
        _say_all(opening, [hello] * len(opening), CHALLENGE)
        _say_all(opening, [[AUTHENTICATE, self._ticket(number), {}] for number in numbers], WELCOME)
        _say_all(opening, [[SUBSCRIBE, 1, {}, TOPIC]] * len(opening), SUBSCRIBED)
        for it in opening:
            it.setblocking(False)
            self._counts[it.fileno()] = 0
            self._epoll.register(it, select.EPOLLIN)

    def _upgrade(self) -> bytes:
        return (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}\r\n"
            "Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
        ).encode()

    def _ticket(self, number: int) -> str:
        claims = {
            "data": {"user_id": FIRST_USER + number, "user_rights": GROUPS},
            "exp": time.time() + TICKET_SECONDS,
        }
        return jwt.encode(claims, self._key, algorithm="HS512")

    def _close(self) -> None:
        self._epoll.close()
        for it in self._sockets:
            it.close()


def _expect_upgrade(client: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = client.recv(CHUNK)
        answer += chunk
        if not chunk:
            break
    agreed = re.search(rb"^sec-websocket-protocol: *wamp\.2\.json\r$", answer, re.MULTILINE | re.IGNORECASE)
    if not answer.startswith(b"HTTP/1.1 101 ") or not agreed or not answer.endswith(b"\r\n\r\n"):
        raise Failed(f"no WebSocket was opened: {answer[:300]!r}")


def _say_all(clients: list[socket.socket], messages: list[list[Any]], reply: int) -> None:
    """Send one message to each, then read the reply of each."""
    for client, message in zip(clients, messages, strict=True):
        client.sendall(masked(TEXT, json.dumps(message).encode()))
    for client in clients:
        found: list[Found] = []
        stream = b""
        while not found:
            chunk = client.recv(CHUNK)
            if not chunk:
                raise Failed("the server closed a connection that was joining")
            found, stream = frames(stream + chunk)
        if stream or len(found) > 1 or json.loads(found[0][1])[0] != reply:
            raise Failed(f"message {reply} was expected, this came: {[it[1] for it in found]!r}")
