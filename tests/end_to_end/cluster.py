"""Several servers on one Redis, nginx before them, and browsers that connect again when they lose theirs."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.end_to_end.crowd import HEAD, HELLO, masked
from tests.end_to_end.processes import ROOT, patiently
from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import AROUND, Nginx
from tests.end_to_end.test_socketio_nginx import LOCATION as TULEAPS
from tests.fakes import ticket
from tests.redis_server import RedisServer, free_port

NODES = (ROOT / "etc" / "nginx" / "tuleaprt-nodes.conf").read_text()
GET_EVENTS = "wamp.subscription.get_events"
SUBSCRIBED, RESULT, EVENT = 33, 50, 36


class Node:
    """A server on the same ports in all its lives."""

    def __init__(self, redis: RedisServer, **options: str) -> None:
        self.private, self.public = free_port(), free_port()
        self.environment = {
            "TULEAPRT_JOURNAL__URL": redis.url,
            "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{self.private}:interface=127.0.0.1"]',
            "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{self.public}:interface=127.0.0.1"]',
            **options,
        }
        self.server: Server
        self.is_up = False

    async def start(self) -> Server:
        self.server = await Server.start(**self.environment)
        self.is_up = True
        return self.server

    async def stop(self, how: str = "KILL") -> int:
        self.is_up = False
        code = await self.server.process.stop(how)
        assert self.server.tracebacks() == []
        return code


async def started(redis: RedisServer, count: int, **options: str) -> list[Node]:
    nodes = [Node(redis, **options) for _ in range(count)]
    for node in nodes:
        await node.start()
    return nodes


async def before(prefix: Path, nodes: list[Node]) -> tuple[Nginx, int]:
    """nginx with the shipped files, and the port that Tuleap posts to."""
    private = free_port()
    ports = {2999: private}
    for node, thousand in zip(nodes, (3000, 4000, 5000), strict=True):
        ports |= {thousand + 998: node.public, thousand + 999: node.private}
    text = NODES
    for shipped, port in ports.items():
        assert f"127.0.0.1:{shipped}" in text
        text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{port}")
    file = prefix.parent / "nodes.conf"
    file.write_text(text)
    nginx = await Nginx.start(
        prefix,
        0,
        ("http://127.0.0.1:0/ws", "http://tuleaprt/ws"),
        ("location = /tuleaprt/ws", f"{TULEAPS.format(private=private)}\nlocation = /tuleaprt/ws"),
        around=AROUND.replace("include {clients};", f"include {{clients}}; include {file};").replace(
            "worker_connections 64", "worker_connections 4096"
        ),
    )
    return nginx, private


class _Wire(Protocol):
    """One connection of a browser."""

    def __init__(self, browser: "Browser") -> None:
        self.browser = browser
        self._data = bytearray()
        self._is_open = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(HEAD.replace(b"GET /ws", b"GET " + self.browser.path.encode()))
        for message in self.browser.opening():
            self.say(message)

    def say(self, message: Any) -> None:
        assert self.transport is not None
        self.transport.write(masked(message))

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if not self._is_open:
            if (end := self._data.find(b"\r\n\r\n")) < 0:
                return
            head = bytes(self._data[:end])
            self._is_open = head.startswith(b"HTTP/1.1 101")
            del self._data[: end + 4]
            self.browser.statuses.append(head.split(b"\r\n")[0].decode())
            if not self._is_open:
                # nginx has found no server, and would keep the connection.
                self.transport.abortConnection()  # type: ignore[union-attr]
        while self._is_open and self._take():
            pass

    def _take(self) -> bool:
        data = self._data
        if len(data) < 2:
            return False
        length, begin = data[1], 2
        if length > 125:
            begin = 4 if length == 126 else 10
            if len(data) < begin:
                return False
            length = int.from_bytes(data[2:begin])
        if len(data) < begin + length:
            return False
        opcode, payload = data[0] & 15, bytes(data[begin : begin + length])
        del data[: begin + length]
        if opcode == 1:
            self.browser.received(self, json.loads(payload))
        return True

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.browser.lost(self)


class Browser:
    """A page on a kanban. ``numbers`` are the data of the events that it got, in order; ``reloads`` their
    count each time that it was told that its position is lost.
    """

    def __init__(
        self, port: int, user: int, groups: list[str], random: Random, path: str = "/tuleaprt/ws"
    ) -> None:
        self.path = path
        self.groups = groups
        self.numbers: list[int] = []
        self.publications: list[int] = []
        self.reloads: list[int] = []
        self.connections = 0
        self.statuses: list[str] = []
        self._endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, timeout=5)
        self._user = user
        self._random = random
        self._position: int | None = None
        self._held: list[Any] = []
        self._last: list[Any] = []
        self._is_resuming = True
        self._is_over = False
        self._wire: _Wire | None = None
        self._awaited: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def start(self) -> None:
        factory = Factory.forProtocol(lambda: _Wire(self))  # type: ignore[arg-type]
        factory.noisy = False
        self._endpoint.connect(factory).addErrback(self._not_connected)

    def stop(self) -> None:
        self._is_over = True
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.abortConnection()  # type: ignore[attr-defined]

    async def until(self, condition: Callable[["Browser"], bool], what: str) -> None:
        if not condition(self):
            came: Deferred[None] = Deferred()
            self._awaited.append((lambda: condition(self), came))
            await patiently(came, what)

    def opening(self) -> list[Any]:
        self.connections += 1
        self._is_resuming, self._held = True, []
        return [HELLO, [5, ticket(self._user, self.groups), {}], [32, 1, {}, "org.tuleap.kanban.3"]]

    def received(self, wire: _Wire, message: Any) -> None:
        self._wire, self._last = wire, message[:3]
        if message[0] == SUBSCRIBED:
            after = {"limit": 0} if self._position is None else {"after_publication": self._position}
            wire.say([48, 2, {}, GET_EVENTS, [message[2]], after])
        elif message[0] == RESULT:
            self._resumed(message[3], message[4])
        elif message[0] == EVENT and self._is_resuming:
            self._held.append((message[2], message[5]))
        elif message[0] == EVENT:
            self._got(message[2], message[5])
        for condition, came in list(self._awaited):
            if condition():
                self._awaited.remove((condition, came))
                came.callback(None)

    def _resumed(self, events: list[Any], details: dict[str, Any]) -> None:
        if details["position_lost"]:
            # The page loads its board, which has what came meanwhile.
            self.reloads.append(len(self.numbers))
        missed = [(it["publication"], it["kwargs"]) for it in events]
        known = {publication for publication, _ in missed}
        for event in (*missed, *(it for it in self._held if it[0] not in known)):
            self._got(*event)
        assert not details.get("more")
        self._position = details["position"]
        self._is_resuming = False

    def state(self) -> str:
        return (
            f"connection {self.connections}, {'resuming' if self._is_resuming else 'live'}, position "
            f"{self._position}, newest {self.numbers[-3:]}, last message {self._last}"
        )

    def _got(self, publication: int, kwargs: dict[str, Any]) -> None:
        self._position = publication
        self.publications.append(publication)
        self.numbers.append(kwargs["data"])

    def lost(self, wire: _Wire) -> None:
        if not self._is_over:
            reactor.callLater(self._random.uniform(0.05, 0.3), self._again)

    def _again(self) -> None:
        if not self._is_over:
            self.start()

    def _not_connected(self, failure: Failure) -> None:
        failure.trap(ConnectError)
        self.lost(None)  # type: ignore[arg-type]


async def pause(seconds: float) -> None:
    await deferLater(reactor, seconds)


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait for what only Redis decides."""
    for _ in range(600):
        if condition():
            return
        await pause(0.05)
    raise AssertionError(f"it has not come: {what}")


async def all_have(browsers: list[Browser], nodes: list[Node], number: int) -> None:
    """Wait until all browsers have this event."""
    try:
        await gatherResults([_has(it, number) for it in browsers], consumeErrors=True)
    except FirstError:
        lacking = [it.state() for it in browsers if number not in it.numbers]
        servers = [(await it.server.request("GET", "/health/ready")).body.decode() for it in nodes]
        raise AssertionError("\n".join([f"{len(lacking)} lack {number}", *lacking, *servers])) from None


def _has(browser: Browser, number: int) -> Deferred[Any]:
    return Deferred.fromCoroutine(browser.until(lambda it: number in it.numbers, f"event {number}"))
