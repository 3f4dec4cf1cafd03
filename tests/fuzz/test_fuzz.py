"""Random input of clients in all states: no fault, no traceback, no effect on other clients, nothing left
behind.

``make fuzz`` tries many more examples than the few hundred of ``make test``.
"""

import gc
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import txaio
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher

from tests.conftest import Log, TurningClock
from tests.fakes import KANBAN, publication
from tests.fuzz.mutations import payload
from tests.heads import HANDSHAKE, changed
from tests.transport.sockets import HELLO, Browser, Peer, Program, Server
from tests.web.requests import Connection, request
from tests.web.test_site import Echo
from tuleaprt.transport.serializers import SERIALIZERS, Serializer
from tuleaprt.wamp.outlet import End
from tuleaprt.web.private import HealthResource
from tuleaprt.web.site import PrivateSite

KINDS: list[type[Peer]] = [Browser, Program]
STATES = ["raw", "connected", "challenged", "user", "operator", "leaving"]


class Scene:
    """A server with a bystander that must not notice anything."""

    def __init__(self) -> None:
        self.clock = TurningClock()
        self.clock.advance(1000)
        self.log = Log()
        self.server = Server(self.clock, lifetime=1e6, ping_interval=1e6)
        self.bystander = Browser(self.server)
        self.bystander.join()
        self.bystander.say([32, 1, {}, KANBAN])

    def check(self) -> None:
        """The bystander receives its events, and the server has nothing but the bystander's state."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)
        self.bystander.take()
        self.server.publish(publication())
        self.clock.advance(0)
        assert [it[0] for it in self.bystander.take()] == [36]
        assert self.log.tracebacks == []
        assert self.server.metrics.internal_errors == 0
        assert self.server.sizes() == (1, 1, 1)
        assert len(self.server.realm.sessions.windows) == 0


@contextmanager
def scene() -> Iterator[Scene]:
    txaio.use_twisted()
    scene = Scene()
    before, txaio.config.loop = txaio.config.loop, scene.clock
    globalLogPublisher.addObserver(scene.log.events.append)
    try:
        yield scene
    finally:
        globalLogPublisher.removeObserver(scene.log.events.append)
        txaio.config.loop = before


def attack(scene: Scene, kind: type[Peer], serializer: Serializer, state: str, chance: random.Random) -> None:
    """One client that brings the session to a state, and then sends what it should not."""
    peer = kind(scene.server, serializer)  # type: ignore[call-arg]
    if state in ("connected", "challenged"):
        peer.greet()
    if state == "challenged":
        peer.say(HELLO)
    elif state in ("user", "operator", "leaving"):
        peer.join("operator" if state == "operator" else "other", uuid="w")
    if state == "leaving":
        scene.server.realm.sessions[peer.connection.session.id].dismiss(  # type: ignore[union-attr]
            End.KILLED, "wamp.close.killed", None, scene.clock.seconds()
        )
    if state == "raw" and isinstance(peer, Browser) and chance.random() < 0.5:
        peer.connection.dataReceived(changed(chance, HANDSHAKE))
    for _ in range(chance.randrange(1, 8)):
        if state == "raw" or chance.random() < 0.05:
            peer.connection.dataReceived(chance.randbytes(chance.randrange(1, 80)))
        else:
            peer.send(payload(chance, serializer))
        scene.clock.advance(chance.choice([0, 0, 0, 1]))
        if chance.random() < 0.05:
            # The same window connects again, in whatever state the first is.
            other = chance.choice(KINDS)(scene.server)
            other.join("other", uuid="w")
            other.lose()
    if chance.random() < 0.5:
        # The client does not close by itself.
        scene.server.pass_time(12)
        is_going = peer.transport.disconnecting or peer.transport.disconnected
        assert is_going or peer.connection.outbound is None or not peer.is_ended()
    peer.lose()


@given(
    kind=st.sampled_from(KINDS),
    serializer=st.sampled_from(SERIALIZERS),
    state=st.sampled_from(STATES),
    seed=st.integers(0, 2**32),
)
def test_nothing_that_a_client_sends_harms_the_server_or_anybody_else(
    kind: type[Peer], serializer: Serializer, state: str, seed: int
) -> None:
    with scene() as it:
        chance = random.Random(seed)
        timers = len(it.clock.getDelayedCalls())
        for _ in range(5):
            attack(it, kind, serializer, state, chance)
        it.check()
        # Autobahn's own timers are in buckets, which outlive what was in them.
        left = [
            call
            for call in it.clock.getDelayedCalls()
            if "Bucket" not in str(call) and "bucket" not in str(call)
        ]
        assert len(left) <= timers, left
        it.bystander.lose()


@given(seed=st.integers(0, 2**32))
def test_no_request_harms_a_site(seed: int) -> None:
    chance = random.Random(seed)
    with scene() as it:
        faults = it.server.connections.faults
        leaves = {"message": Echo(faults), "health": HealthResource(list, faults)}
        for _ in range(5):
            connection = Connection(
                PrivateSite(
                    leaves, hosts=["localhost"], clock=it.clock, timeout=9, max_body=99, faults=faults
                )
            )
            for _ in range(chance.randrange(1, 4)):
                asked = chance.choice([request(), request("GET", "/health/ready", None)])
                connection.channel.dataReceived(changed(chance, asked))
            connection.close()
        it.check()
        it.bystander.lose()


def test_memory_is_back_where_it_was_after_many_attacks() -> None:
    chance = random.Random(20260314)

    def wave() -> None:
        for _ in range(60):
            for state in STATES:
                attack(it, chance.choice(KINDS), chance.choice(SERIALIZERS), state, chance)
        it.log.events.clear()
        it.server.sent.deeds.clear()
        it.server.router.publisher.asked.clear()  # type: ignore[attr-defined]
        it.server.router.publisher.answers.clear()  # type: ignore[attr-defined]
        it.server.metrics.closes.clear()
        it.clock.advance(30)
        it.bystander.take()
        gc.collect()

    with scene() as it:
        wave()
        tracemalloc.start()
        try:
            wave()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(3):
                wave()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 100_000, f"{after - before} bytes more"
        it.check()
        it.bystander.lose()
