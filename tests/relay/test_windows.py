"""Inputs about windows that are on executions."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.conftest import Log
from tests.fakes import CAMPAIGN, CountingMetrics
from tuleaprt.operations.logs import Faults
from tuleaprt.relay.windows import RETRY_SECONDS, Windows
from tuleaprt.tuleap.inputs import GraceEnded, WindowLost, WindowSeen, WindowUnsubscribed
from tuleaprt.tuleap.presence import Presence
from tuleaprt.wamp.publication import JsonText, Window

ALICE, BOB = Window(101, "a"), Window(102, "b")
GRACE = 15


class Harness:
    def __init__(self) -> None:
        self.presence = Presence()
        self.clock = Clock()
        self.noted: list[Any] = []
        self.connected: dict[Window, int] = {}
        self.metrics = CountingMetrics()
        self.windows = Windows(
            self.presence,
            self.clock,
            node="here",
            grace=GRACE,
            session_of=self.connected.get,
            note=self.noted.append,
            shares_groups=True,
            has_others=True,
            faults=Faults(self.metrics),
        )

    def enter(self, window: Window, execution: int = 39) -> None:
        """A post has been applied."""
        self.presence.enter(window, CAMPAIGN, execution, JsonText(b"{}"), left=None, at=self.clock.seconds())
        self.windows.concerned(window)

    def take(self) -> list[Any]:
        noted, self.noted[:] = list(self.noted), []
        return noted


@pytest.fixture
def harness() -> Any:
    harness = Harness()
    yield harness
    harness.windows.stop()
    assert harness.clock.getDelayedCalls() == []


def test_of_windows_that_are_on_no_test_the_journal_is_told_nothing(harness: Harness) -> None:
    harness.windows.joined(ALICE, 5000)
    harness.windows.unsubscribed(ALICE, CAMPAIGN)
    harness.windows.left(ALICE, 5000)
    harness.windows.concerned(ALICE)
    assert harness.noted == harness.clock.getDelayedCalls() == []


def test_a_window_that_is_connected_when_it_enters_is_said_to_be(harness: Harness) -> None:
    harness.connected[ALICE] = 5000
    harness.enter(ALICE)
    assert harness.take() == [WindowSeen(window=ALICE, session=5000, node="here")]
    assert harness.clock.getDelayedCalls() == []


def test_a_window_that_is_not_has_its_grace(harness: Harness) -> None:
    harness.enter(ALICE)
    harness.clock.advance(GRACE - 1)
    assert harness.take() == []
    harness.clock.advance(1)
    assert harness.take() == [GraceEnded(window=ALICE, since=0)]


def test_the_journal_is_told_again_as_long_as_nothing_comes_of_it(harness: Harness) -> None:
    harness.enter(ALICE)
    harness.clock.advance(GRACE)
    harness.clock.advance(GRACE + RETRY_SECONDS)
    assert harness.take() == [GraceEnded(window=ALICE, since=0)] * 2
    harness.presence.grace_ended(ALICE, 0)
    harness.clock.advance(GRACE + RETRY_SECONDS)
    assert harness.take() == []
    assert harness.clock.getDelayedCalls() == []


def test_what_the_realm_tells_of_viewers_is_noted(harness: Harness) -> None:
    harness.enter(ALICE)
    harness.windows.joined(ALICE, 5000)
    harness.windows.left(ALICE, 5000)
    harness.windows.unsubscribed(ALICE, CAMPAIGN)
    harness.windows.unsubscribed(ALICE, "org.tuleap.testmanagement.10")
    assert harness.take() == [
        WindowSeen(window=ALICE, session=5000, node="here", is_new=True),
        WindowLost(window=ALICE, session=5000),
        WindowUnsubscribed(window=ALICE, topic=CAMPAIGN),
    ]


def test_the_grace_of_a_window_that_has_come_back_ends_in_silence(harness: Harness) -> None:
    harness.enter(ALICE)
    harness.clock.advance(5)
    harness.presence.seen(ALICE, 5000)
    harness.clock.advance(5)
    harness.presence.lost(ALICE, 5000, harness.clock.seconds())
    harness.windows.concerned(ALICE)
    harness.clock.advance(GRACE - 1)
    assert harness.take() == []
    harness.clock.advance(1)
    assert harness.take() == [GraceEnded(window=ALICE, since=10)]


def test_each_window_has_its_own_grace_and_all_share_one_delayed_call(harness: Harness) -> None:
    harness.enter(ALICE)
    harness.clock.advance(5)
    harness.enter(BOB)
    harness.enter(BOB, 40)
    assert len(harness.clock.getDelayedCalls()) == 1
    harness.clock.advance(GRACE - 5)
    assert harness.take() == [GraceEnded(window=ALICE, since=0)]
    harness.clock.advance(5)
    assert {(it.window, it.since) for it in harness.take()} == {(BOB, 5)}


def test_after_a_stop_nothing_is_waited_for(harness: Harness) -> None:
    harness.enter(ALICE)
    harness.windows.stop()
    harness.enter(BOB)
    assert harness.clock.getDelayedCalls() == []


def test_a_fault_at_the_end_of_a_grace_is_recorded_and_the_next_one_comes(harness: Harness, log: Log) -> None:
    def broken(input: object) -> None:
        raise ZeroDivisionError("injected")

    harness.enter(ALICE)
    harness.clock.advance(1)
    harness.enter(BOB)
    harness.windows._note, note = broken, harness.windows._note
    harness.clock.advance(GRACE - 1)
    harness.windows._note = note
    harness.clock.advance(1)
    assert (log.tracebacks, harness.metrics.internal_errors) == (["injected"], 1)
    assert harness.take() == [GraceEnded(window=BOB, since=1)]
