"""From a message to dispatches, through the journal."""

from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred

from tests.conftest import Log
from tests.fakes import KANBAN, CountingMetrics, Member, Sent, body, message, new_realm
from tuleaprt.errors import InvalidArgument, JournalUnavailable, NotAuthorized, RequestError, Unavailable
from tuleaprt.faults import Faults
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.relay.relay import Input, Relay
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Audience, JsonText

GOOD: dict[str, Any] = {"cmd": "kanban:edit", "data": 1, "rights": body()["rights"]}


class Harness:
    def __init__(self, journal: Any = None) -> None:
        self.metrics = CountingMetrics()
        sent = Sent()
        self.realm = new_realm(sent)
        self.delivered = sent.dispatches
        self.relay = Relay(
            self.realm,
            journal or MemoryJournal[Input](b"e" * 32),
            run=ensureDeferred,
            seconds=lambda: 1000.0,
            metrics=self.metrics,
            faults=Faults(self.metrics),
        )
        self.answers: list[int | RequestError] = []

    def publish(self, topic: str = KANBAN, **kwargs: Any) -> int | RequestError:
        self.relay.publish(topic, [], GOOD | kwargs, Audience(publisher=7), self.answers.append)
        return self.answers.pop()

    def accept(self, **changes: Any) -> int:
        results: list[int] = []
        ensureDeferred(self.relay.accept(message(**changes))).addCallback(results.append)
        return results[0]

    def subscribe(self, topic: str) -> None:
        member = Member()
        self.realm.join(member, 0)
        self.realm.subscribe(member, topic, Match.EXACT, 0, lambda id: None)
        self.delivered.clear()


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
    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    harness = Harness()
    harness.realm.publish = broken  # type: ignore[method-assign]
    assert harness.accept() != harness.accept()
    assert log.tracebacks == ["injected", "injected"]
    assert harness.metrics.internal_errors == 2


class Full:
    """A journal that takes nothing."""

    epoch = b"e"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def follow(self, apply: object) -> None: ...

    async def append(self, input: object, *, at: float) -> int:
        raise self.error


def test_a_journal_that_takes_nothing_is_the_posters_to_know() -> None:
    with pytest.raises(JournalUnavailable):
        Harness(Full(JournalUnavailable("full"))).relay.accept(message()).send(None)  # type: ignore[attr-defined]


def test_an_operators_publication_goes_the_way_of_a_post() -> None:
    harness = Harness()
    harness.subscribe(KANBAN)
    id = harness.publish()
    (dispatch,) = harness.delivered
    assert (dispatch.publication.id, dispatch.publication.kwargs) == (
        id,
        {"cmd": "kanban:edit", "data": JsonText(b"1")},
    )
    assert dispatch.publication.audience == Audience(publisher=7)


def test_an_operators_mistake_is_told_with_its_place() -> None:
    harness = Harness()
    error = harness.publish(cmd="user:leave")
    assert isinstance(error, InvalidArgument)
    assert str(error).startswith("$.cmd: ")
    assert isinstance(harness.publish("org.tuleap.other"), NotAuthorized)
    assert harness.delivered == []


def test_an_operator_learns_that_the_journal_takes_nothing(log: Log) -> None:
    assert isinstance(Harness(Full(JournalUnavailable("full"))).publish(), Unavailable)
    assert log.tracebacks == []


def test_an_operator_is_answered_whatever_fails(log: Log) -> None:
    assert isinstance(Harness(Full(ZeroDivisionError("injected"))).publish(), Unavailable)
    assert log.tracebacks == ["injected"]


def test_a_fault_while_answering_is_recorded(log: Log) -> None:
    def broken(result: object) -> None:
        raise ZeroDivisionError("injected")

    harness = Harness()
    harness.relay.publish(KANBAN, [], GOOD, Audience(), broken)
    assert log.tracebacks == ["injected"]
    assert harness.metrics.internal_errors == 1
