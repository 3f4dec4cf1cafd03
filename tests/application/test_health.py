"""The server's look at itself: over the real journal, relay and fan-out."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics, Member, Sent, new_realm
from tuleaprt.application.health import INTERVAL, PATIENCE, TOPIC, Probe
from tuleaprt.errors import JournalUnavailable
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.operations.logs import Faults
from tuleaprt.relay.relay import Relay
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import Input, Probed
from tuleaprt.tuleap.ticket import Revocations
from tuleaprt.wamp.identifiers import Match


class FaultyJournal(MemoryJournal[Input]):
    """Hangs or fails on command."""

    def __init__(self) -> None:
        super().__init__(b"e" * 32)
        self.hanging: Deferred[None] | None = None
        self.failure: Exception | None = None
        self.probes = 0

    async def append(self, input: Input, *, at: float) -> int:
        self.probes += isinstance(input, Probed)
        if self.failure is not None:
            raise self.failure
        if self.hanging is not None:
            await self.hanging
        return await super().append(input, at=at)


class Harness:
    def __init__(self, clock: TurningClock) -> None:
        self.clock = clock
        self.metrics = CountingMetrics()
        faults = Faults(self.metrics)
        self.sent = Sent()
        self.realm = new_realm(self.sent)
        self.journal = FaultyJournal()
        self.fanout = Fanout(clock, backpressure=Backpressure(1000), metrics=self.metrics, faults=faults)
        relay = Relay(
            self.realm,
            self.journal,
            node="here",
            campaigns=Campaigns(max=9, idle_seconds=9, max_publications=1000),
            revocations=Revocations(1800),
            grace=0,
            clock=clock,
            run=ensureDeferred,
            metrics=self.metrics,
            faults=faults,
        )
        self.returns: list[float] = []
        self.probe = Probe(
            relay,
            clock=clock,
            run=ensureDeferred,
            deliver=self.fanout.deliver,
            metrics=self.metrics,
            faults=faults,
        )
        self.probe.on_ok = lambda: self.returns.append(clock.seconds())

    def wait(self, seconds: float) -> None:
        self.clock.pump([0] * 5)
        self.clock.advance(seconds)
        self.clock.pump([0] * 5)


@pytest.fixture
def harness(clock: TurningClock) -> Iterator[Harness]:
    harness = Harness(clock)
    harness.probe.start()
    yield harness
    harness.probe.stop()
    harness.fanout.stop()


def test_it_comes_back_again_and_again(harness: Harness) -> None:
    assert harness.probe.problem() == "the probe has not returned yet"
    harness.wait(0)
    assert harness.probe.problem() is None
    harness.wait(INTERVAL)
    harness.wait(INTERVAL)
    assert harness.returns == [1000, 1010, 1020]
    assert harness.probe.last_ok == 1020
    assert harness.metrics.probes == [0, 0, 0]


def test_it_is_not_counted_as_traffic_and_leaves_nothing_behind(harness: Harness) -> None:
    harness.wait(INTERVAL)
    metrics = harness.metrics
    assert (metrics.deliveries, metrics.filtered, metrics.fanouts) == (0, 0, [])
    assert harness.realm.history.topics == 0
    assert len(harness.realm.broker.subscriptions) == 0
    assert len(harness.realm.sessions) == 0


@pytest.mark.parametrize(
    ("pattern", "match"),
    [(TOPIC, Match.EXACT), ("org.", Match.PREFIX), ("", Match.PREFIX), ("org..probe", Match.WILDCARD)],
)
def test_eavesdropping_on_the_probe_gets_nothing(harness: Harness, pattern: str, match: Match) -> None:
    operator = Member()
    harness.realm.join(operator, 1000)
    harness.realm.subscribe(operator, pattern, match, 1000, lambda id: None)
    harness.sent.take()
    harness.wait(INTERVAL)
    assert len(harness.returns) == 2
    assert harness.sent.take() == []
    assert operator.outlet.done == []


def test_a_journal_that_hangs_is_noticed_and_not_given_more(harness: Harness, log: Log) -> None:
    harness.wait(0)
    harness.journal.hanging = Deferred()
    harness.wait(INTERVAL)
    assert harness.probe.problem() is None
    harness.wait(PATIENCE)
    harness.wait(2)
    assert harness.probe.problem() == "the probe has not returned for 12 s"
    harness.wait(10 * INTERVAL)
    assert harness.journal.probes == 2
    assert len(harness.returns) == 1
    harness.journal.hanging.callback(None)
    harness.wait(0)
    assert harness.probe.problem() is None
    said = [line for line in log.lines if "probe" in line]
    assert said == [
        "the server is not ready: the probe has not returned for 10 s",
        "the probe has returned",
    ]


def test_a_journal_that_hangs_from_the_start_is_said_too(clock: TurningClock, log: Log) -> None:
    harness = Harness(clock)
    harness.journal.hanging = Deferred()
    harness.probe.start()
    assert log.lines == []
    harness.wait(PATIENCE)
    harness.probe.stop()
    assert log.lines == ["the server is not ready: the probe has not returned for 10 s"]


def test_a_fan_out_that_hangs_is_noticed(harness: Harness) -> None:
    harness.wait(0)
    harness.fanout.deliver = lambda dispatch: None  # type: ignore[method-assign]
    harness.probe._deliver = harness.fanout.deliver
    harness.wait(INTERVAL)
    harness.wait(PATIENCE)
    assert harness.probe.problem() == "the probe has not returned for 10 s"


@pytest.mark.parametrize(
    ("failure", "problem", "faults"),
    [
        (JournalUnavailable("full"), "the probe has failed: the journal does not accept it", 0),
        (ZeroDivisionError("injected"), "the probe has failed: the journal has failed", 1),
    ],
)
def test_a_journal_that_fails_is_noticed_at_once_and_so_is_its_recovery(
    harness: Harness, failure: Exception, problem: str, faults: int
) -> None:
    harness.wait(0)
    harness.journal.failure = failure
    harness.wait(INTERVAL)
    assert harness.probe.problem() == problem
    assert harness.metrics.internal_errors == faults
    harness.journal.failure = None
    harness.wait(INTERVAL)
    assert harness.probe.problem() is None


def test_the_lag_of_the_reactor_is_how_late_it_was(harness: Harness) -> None:
    harness.wait(0)
    harness.clock.advance(INTERVAL + 0.25)
    assert harness.metrics.lag == 0.25


def test_a_probe_of_another_node_is_not_taken_for_its_own(harness: Harness) -> None:
    harness.wait(0)
    harness.journal.hanging = Deferred()
    harness.wait(INTERVAL)
    foreign: Any = harness.probe
    foreign._echo("0123456789abcdef-2", 77)
    harness.wait(PATIENCE)
    assert harness.probe.problem() is not None
