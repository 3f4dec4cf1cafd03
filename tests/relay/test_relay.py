"""From a message to dispatches, through the journal."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred

from tests.conftest import Log
from tests.fakes import CountingMetrics, Everything, Member, message
from tuleaprt.errors import JournalUnavailable
from tuleaprt.faults import Faults
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.relay.relay import Post, Relay
from tuleaprt.wamp.broker import Dispatch
from tuleaprt.wamp.realm import Realm


class Harness:
    def __init__(self, journal: Any = None, deliver: Callable[[Dispatch], None] | None = None) -> None:
        self.metrics = CountingMetrics()
        self.realm = Realm("tuleap", policy=Everything(), new_id=count(1).__next__, max_subscriptions=9)
        self.delivered: list[Dispatch] = []
        self.relay = Relay(
            self.realm,
            journal or MemoryJournal[Post](b"e" * 32),
            deliver or self.delivered.append,
            seconds=lambda: 1000.0,
            metrics=self.metrics,
            faults=Faults(self.metrics),
        )

    def accept(self, **changes: Any) -> int:
        results: list[int] = []
        ensureDeferred(self.relay.accept(message(**changes))).addCallback(results.append)
        return results[0]

    def subscribe(self, topic: str) -> None:
        member = Member()
        self.realm.join(member)
        self.realm.subscribe(member, topic)


def test_the_id_that_the_poster_gets_is_the_one_that_is_published() -> None:
    harness = Harness()
    harness.subscribe("org.tuleap.kanban.3")
    ids = [harness.accept(), harness.accept()]
    assert [dispatch.publication.id for dispatch in harness.delivered] == ids
    assert len(set(ids)) == 2


def test_two_nodes_that_read_the_same_journal_give_the_same_ids() -> None:
    assert Harness().accept() == Harness().accept()


def test_another_room_is_another_topic() -> None:
    harness = Harness()
    harness.subscribe("org.tuleap.kanban.4")
    harness.accept()
    assert harness.delivered == []
    harness.accept(room_id=4)
    assert len(harness.delivered) == 1


def test_a_presence_message_takes_an_id_and_reaches_nobody() -> None:
    harness = Harness()
    harness.subscribe("org.tuleap.testmanagement.9")
    assert harness.accept(room_id="testmanagement_9", cmd="testmanagement_user:presence")
    assert harness.delivered == []


def test_a_fault_while_applying_is_logged_and_counted_and_the_journal_goes_on(log: Log) -> None:
    def broken(dispatch: Dispatch) -> None:
        raise ZeroDivisionError("injected")

    harness = Harness(deliver=broken)
    harness.subscribe("org.tuleap.kanban.3")
    assert harness.accept() != harness.accept()
    assert log.tracebacks == ["injected", "injected"]
    assert harness.metrics.internal_errors == 2


def test_a_journal_that_takes_nothing_is_the_posters_to_know() -> None:
    class Full:
        epoch = b"e"

        def follow(self, apply: object) -> None: ...

        async def append(self, input: object, *, at: float) -> int:
            raise JournalUnavailable("full")

    with pytest.raises(JournalUnavailable):
        Harness(Full()).relay.accept(message()).send(None)  # type: ignore[attr-defined]
