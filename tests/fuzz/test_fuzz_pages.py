"""Random input of pages over socket.io in all states, on the private and the public site: no fault, no
traceback, no effect on other clients, nothing left behind.
"""

import gc
import json
import random
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import txaio
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from tests.conftest import Log, TurningClock
from tests.fakes import KANBAN, Tickets, identity, publication
from tests.fuzz.page_mutations import handshake, one_request, packet, poll, upgrade
from tests.transport.sockets import MASK, Browser, PageSocket, Poller, Server, Wire, subscription
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.request_headers import known_proxies
from tuleaprt.web.site import BoundedSite, PrivateSite
from tuleaprt.web.socketio import SocketIoResource

SID = re.compile(rb'0\{"sid":"([\w-]+)"')
TICKETS = ["good", "other", "brief", "expired", "nonsense"]
ENOUGH_SECONDS = 65
"""After this, a client that does not answer is lost: a reminder, a ping, its timeout, and a slow close."""


class Site:
    """A server with both of its sites, and three witnesses that must not notice anything."""

    def __init__(self, clock: TurningClock, log: Log) -> None:
        self.clock = clock
        self.log = log
        now = self.clock.seconds()
        tickets = Tickets(
            good=identity(102, expires_at=now + 1e6),
            other=identity(103, expires_at=now + 1e6),
            brief=identity(103, expires_at=now + 3),
            witness=identity(104, expires_at=now + 1e6),
        )
        self.server = Server(
            self.clock, tickets, lifetime=1e6, ping_interval=1e6, max_connections=30, requests_per_second=50
        )
        server, faults = self.server, self.server.connections.faults
        # The witness over polling asks again only after some turns of the reactor.
        server.connections.max_outbox = 2000
        resource = SocketIoResource(
            server.polls,
            server.page_websockets,
            allows=lambda origin, host: origin in server.origins,
            proxies=known_proxies(["127.0.0.1"]),
            faults=faults,
        )
        options: dict[str, Any] = {"clock": self.clock, "timeout": 60, "max_body": 5000, "faults": faults}
        leaves = {"local-socket.io": resource}
        self.private = PrivateSite(leaves, hosts=["localhost"], **options)
        self.public = EntranceFactory(
            server.websockets,
            site=BoundedSite(leaves, closes=True, **options),
            clock=self.clock,
            faults=faults,
            open_timeout=10,
            unauthenticated=server.unauthenticated,
        )
        self.published: list[int] = []
        self._ids = count(10_000)
        self.window = Browser(server)
        self.window.join("witness", uuid="window")
        self.window.say([32, 1, {}, KANBAN])
        self.page = PageSocket(server)
        self.page.subscribe("witness", uuid="page")
        self.poller = Poller(server)
        self.poller.subscribe("witness", uuid="poller")
        self.held = self.poller.get()
        self.received: dict[str, list[int]] = {"window": [], "page": [], "poller": []}

    def publish(self) -> None:
        id = next(self._ids)
        self.published.append(id)
        self.server.publish(publication({"cmd": "kanban:x", "data": id}, id=id))

    def pass_time(self, seconds: float) -> None:
        """The witnesses answer the pings of the server."""
        end = self.clock.seconds() + seconds
        while True:
            self.clock.advance(min(0.5, max(0, end - self.clock.seconds())))
            self.witness()
            if self.clock.seconds() >= end:
                break

    def settle(self) -> None:
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
        self.witness()

    def witness(self) -> None:
        self.received["window"] += [it[5]["data"] for it in self.window.take() if it[0] == 36]
        for it in self.page.take():
            self._took("page", it)
        while self.held.bodies:
            for it in self.held.bodies[0].split("\x1e"):
                self._took("poller", it)
            self.held = self.poller.get()

    def _took(self, who: str, it: str) -> None:
        if it == "2":
            self.page.send_frame(1, b"3") if who == "page" else self.poller.post("3")
        elif it.startswith("42"):
            self.received[who].append(json.loads(it[2:])[1])
        else:
            assert it.startswith(("0", "40")), it

    def check(self) -> None:
        """Each witness has every event once, and the server has nothing but the state of the witnesses."""
        self.publish()
        self.settle()
        assert self.received == dict.fromkeys(self.received, self.published)
        assert self.log.tracebacks == []
        server = self.server
        assert server.metrics.internal_errors == 0
        assert server.sizes() == (3, 1, 3)
        assert len(server.polls) == 1
        assert server.unauthenticated.inside == 0
        assert len(server.realm.sessions.windows) == 3
        assert len(server.connections._authenticated) == 3
        assert server.backpressure.total == 0
        assert self.private.channels == set()
        assert self.public.site is not None
        assert self.public.site.channels == set()  # type: ignore[attr-defined]

    def timers(self) -> Counter[str]:
        """Autobahn's own timers are in buckets, which outlive what was in them."""
        calls = [str(it.func) for it in self.clock.getDelayedCalls()]
        return Counter(it.partition(" at 0x")[0] for it in calls if "ucket" not in it)

    def close(self) -> None:
        self.window.lose()
        self.page.lose()
        self.poller.lose()
        self.clock.advance(1)


@contextmanager
def site() -> Iterator[Site]:
    txaio.use_twisted()
    clock, log = TurningClock(), Log()
    clock.advance(1000)
    before, txaio.config.loop = txaio.config.loop, clock
    globalLogPublisher.addObserver(log.events.append)
    try:
        yield Site(clock, log)
    finally:
        globalLogPublisher.removeObserver(log.events.append)
        txaio.config.loop = before


class Tcp:
    """A TCP connection of an attacker, to the private or the public site."""

    def __init__(self, factory: Any) -> None:
        self.transport = Wire()
        self.transport.protocol = factory.buildProtocol(None)
        self.transport.protocol.makeConnection(self.transport)
        self.is_lost = False
        self.speaks_websocket = False

    def send(self, data: bytes) -> bytes:
        """What the server has answered at once."""
        if not self.is_lost:
            self.transport.protocol.dataReceived(data)
        received: bytes = self.transport.value()
        self.transport.clear()
        self.speaks_websocket = self.speaks_websocket or received.startswith(b"HTTP/1.1 101")
        self.follow()
        return received

    def follow(self) -> None:
        """Close when the server has closed."""
        if self.transport.disconnecting or self.transport.disconnected:
            self.lose()

    def lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.transport.protocol.connectionLost(Failure(ConnectionDone()))


class Attacker:
    """Some TCP connections, and the sessions that they have opened over polling."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site = site
        self.chance = chance
        self.connections: list[Tcp] = []
        self.sids: list[str] = []

    def act(self) -> None:
        chance = self.chance
        self.connections = [it for it in self.connections if not it.is_lost]
        deeds = [self.request, self.request, self.request, self.upgrade, self.frames, self.frames]
        match chance.randrange(12):
            case 0 if self.connections:
                chance.choice(self.connections).lose()
            case 1:
                self.site.pass_time(chance.choice([0.1, 0.5, 1, 6, 12]))
            case 2 | 3:
                self.site.publish()
                if chance.random() < 0.5:
                    self.site.settle()
            case 4 if self.connections:
                chance.choice(self.connections).send(chance.randbytes(chance.randrange(1, 60)))
            case _:
                chance.choice(deeds)()
        for it in self.connections:
            it.follow()

    def begin(self) -> None:
        """Open a session as a page does, and go some steps of its way."""
        connection = Tcp(self.chance.choice([self.site.private, self.site.public]))
        self.connections.append(connection)
        namespace, room = self.chance.choice([("", 3), ("/testmanagement,", "testmanagement_9")])
        packets = ["40" + namespace, subscription(self.chance.choice(TICKETS[:3]), room, "w", namespace)]
        packets = packets[: self.chance.randrange(3)]
        if self.chance.random() < 0.4:
            connection.send(upgrade())
            for it in packets:
                connection.send(frame(it.encode()))
            return
        [sid] = SID.findall(connection.send(poll()))
        self.sids.append(sid.decode())
        for it in packets:
            connection.send(poll(self.sids[-1], it.encode()))
            if connection.is_lost:
                connection = self.connection()
        if self.chance.random() < 0.5:
            connection = Tcp(self.site.private)
            self.connections.append(connection)
            connection.send(upgrade(self.sids[-1]))
            for probe in [b"2probe", b"5"][: self.chance.randrange(3)]:
                connection.send(frame(probe))

    def connection(self) -> Tcp:
        if self.connections and self.chance.random() < 0.4:
            return self.chance.choice(self.connections)
        it = Tcp(self.chance.choice([self.site.private, self.site.public]))
        self.connections.append(it)
        return it

    def sid(self) -> str | None:
        if not self.sids or self.chance.random() < 0.15:
            return None
        return self.chance.choice(self.sids)

    def request(self) -> None:
        """One or several requests over polling, at once or in two segments."""
        number = self.chance.choice([1, 1, 1, 2, 3])
        data = b"".join(one_request(self.chance, self.sid(), TICKETS) for _ in range(number))
        cut = self.chance.randrange(len(data)) if self.chance.random() < 0.2 else len(data)
        connection = self.connection()
        received = connection.send(data[:cut]) + (connection.send(data[cut:]) if cut < len(data) else b"")
        self.sids += [it.decode() for it in SID.findall(received)]

    def upgrade(self) -> None:
        """A WebSocket of its own, or the upgrade of a session, complete or not."""
        connection = self.connection()
        data = handshake(self.chance, self.sid())
        if self.chance.random() < 0.2:
            data = one_request(self.chance, self.sid(), TICKETS) + data
        connection.send(data)
        for it in (b"2probe", b"5")[: self.chance.randrange(3)]:
            if self.chance.random() < 0.3:
                self.act()
            connection.send(frame(it))

    def frames(self) -> None:
        """Frames on a WebSocket that is open."""
        if them := [it for it in self.connections if it.speaks_websocket and not it.is_lost]:
            connection = self.chance.choice(them)
            for _ in range(self.chance.randrange(1, 5)):
                opcode = 1 if self.chance.random() < 0.9 else self.chance.randrange(16)
                connection.send(
                    frame(packet(self.chance, TICKETS), opcode, final=self.chance.random() < 0.95)
                )

    def go(self) -> None:
        """Close everything. The server notices that the sessions over polling are gone in its own time."""
        for it in self.connections:
            it.lose()


def frame(payload: bytes, opcode: int = 1, *, final: bool = True) -> bytes:
    masked = bytes(octet ^ MASK[index % 4] for index, octet in enumerate(payload))
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
    return bytes([(0x80 if final else 0) | opcode]) + size + MASK + masked


@given(seed=st.integers(0, 2**32))
def test_nothing_that_a_page_sends_harms_the_server_or_anybody_else(seed: int) -> None:
    chance = random.Random(seed)
    with site() as it:
        timers = it.timers()
        attackers = [Attacker(it, chance) for _ in range(3)]
        for attacker in attackers:
            attacker.begin()
        for _ in range(chance.randrange(5, 40)):
            attacker = chance.choice(attackers)
            attacker.act()
            if attacker.sids and chance.random() < 0.1:
                # A session of another client.
                chance.choice(attackers).sids.append(attacker.sids[-1])
        if chance.random() < 0.5:
            for attacker in attackers:
                attacker.go()
        for _ in range(ENOUGH_SECONDS):
            # The clients that are left read what there is, and say nothing.
            it.pass_time(1)
            for attacker in attackers:
                for connection in attacker.connections:
                    connection.follow()
        assert len(it.server.connections.open) == 3, "a silent client is still connected"
        for attacker in attackers:
            attacker.go()
        it.check()
        assert it.timers() == timers
        it.close()


def test_memory_is_back_where_it_was_after_many_attacks_of_pages() -> None:
    chance = random.Random(20260315)

    def wave() -> None:
        for _ in range(40):
            attacker = Attacker(it, chance)
            attacker.begin()
            for _ in range(20):
                attacker.act()
            attacker.go()
            it.pass_time(1)
        it.pass_time(ENOUGH_SECONDS)
        it.check()
        it.log.events.clear()
        it.server.sent.deeds.clear()
        it.server.metrics.closes.clear()
        it.published.clear()
        for received in it.received.values():
            received.clear()
        gc.collect()

    with site() as it:
        wave()
        tracemalloc.start()
        try:
            # The history and the caches of parsers become full.
            for _ in range(3):
                wave()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(3):
                wave()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 150_000, f"{after - before} bytes more"
        it.close()
