"""From a message to dispatches, through the journal."""

from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from tests.campaigns import ALICE, BOB, CAMPAIGN, MEMBERS, UUID, presence, rights, update
from tests.conftest import Log
from tests.fakes import KANBAN, CountingMetrics, Member, Sent, body, message, new_realm
from tests.world import GRACE, World
from tuleaprt.errors import InvalidArgument, JournalUnavailable, NotAuthorized, RequestError, Unavailable
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.operations.logs import Faults
from tuleaprt.relay.relay import Relay
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import Input
from tuleaprt.tuleap.ticket import MAX_CLOCK_SKEW, Revocations
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
            node="here",
            campaigns=Campaigns(max=10, idle_seconds=3600, max_publications=1000),
            revocations=Revocations(1800),
            grace=15,
            clock=Clock(),
            run=ensureDeferred,
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


def test_a_fault_while_applying_is_logged_and_counted_and_the_journal_goes_on(log: Log) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    harness = Harness()
    harness.realm.publish = broken  # type: ignore[method-assign]
    assert harness.accept() != harness.accept()
    assert log.tracebacks == ["injected", "injected"]
    assert harness.metrics.internal_errors == 2


def test_an_administrator_ends_a_users_sessions_and_his_tickets_until_new_ones_are_made() -> None:
    world = World()
    windows = [world.open(101, [], uuid) for uuid in ("a", "b")]
    other = world.open(102, [])
    old = world.ticket(101, [])
    world.revoke(101)
    assert [it.ended() for it in windows] == ["org.tuleap.close.revoked"] * 2
    assert other.ended() is None
    assert world.open(101, [], token=old).ended() == "wamp.error.authentication_denied"
    world.wait(MAX_CLOCK_SKEW + 1)
    assert world.open(101, [], token=old).ended() == "wamp.error.authentication_denied"
    assert world.open(101, [], token=world.ticket(101, [])).session.is_joined


def test_a_revoked_tester_is_on_his_test_until_the_grace_ends() -> None:
    world = World()
    world.open(ALICE, MEMBERS, UUID[ALICE])
    bob = world.open(BOB, MEMBERS)
    world.post(presence(ALICE, 39))
    world.revoke(ALICE)
    assert list(bob.presences()) == ["39"]
    world.wait(GRACE)
    assert bob.presences() == {}


def test_results_that_an_operator_says_are_the_podium() -> None:
    world = World()
    bob = world.open(BOB, MEMBERS)
    subscription = bob.subscribe(CAMPAIGN)
    assert isinstance(subscription, int)
    bob.take()
    said = {"execution_id": 39, "status": "passed", "user": {"id": 7}}
    of_39 = {key: value for key, value in rights().items() if key != "field"}
    world.seed(CAMPAIGN, [{**said, "rights": of_39}])
    assert bob.events() == [
        {"cmd": "testmanagement_podium:update", "data": [{"user": {"id": 7}, "score": 1, "rank": 1}]}
    ]
    world.seed(CAMPAIGN, [{**said, "execution_id": 40}])
    assert bob.events() == [{"cmd": "testmanagement_podium:update", "data": []}]


def test_what_an_operator_publishes_counts_like_a_post() -> None:
    world = World()
    operator = world.open(1, [], role="operator")
    said = update(ALICE, 39, "passed")
    operator.say([16, 9, {}, CAMPAIGN, [], {key: said[key] for key in ("cmd", "data", "rights")}])
    assert [it["score"] for it in operator.podium()] == [1]
    viewing = presence(ALICE, 39)
    kwargs = {key: viewing[key] for key in ("cmd", "data", "rights")}
    operator.say([16, 9, {"acknowledge": True}, CAMPAIGN, [], kwargs])
    assert operator.take()[-1][4] == "wamp.error.invalid_argument"


def test_a_window_that_is_away_for_less_than_the_grace_was_never_away() -> None:
    world = World()
    alice, bob = world.open(ALICE, MEMBERS, UUID[ALICE]), world.open(BOB, MEMBERS)
    bob.subscribe(CAMPAIGN)
    world.post(presence(ALICE, 39))
    alice.close()
    world.wait(GRACE - 1)
    world.open(ALICE, MEMBERS, UUID[ALICE])
    world.wait(10 * GRACE)
    assert [it["cmd"] for it in bob.events()] == ["testmanagement_user:presence"]


def test_who_unsubscribes_from_a_campaign_or_loses_it_leaves_his_test_at_once() -> None:
    world = World()
    bob = world.open(BOB, MEMBERS)
    bob.subscribe(CAMPAIGN)
    alice = world.open(ALICE, MEMBERS, UUID[ALICE])
    for leave in (
        lambda subscription: alice.unsubscribe(subscription),
        lambda subscription: alice.refresh(world.ticket(ALICE, MEMBERS, rooms=[])),
    ):
        subscription = alice.subscribe(CAMPAIGN)
        world.post(presence(ALICE, 39))
        bob.take()
        leave(subscription)
        assert bob.events() == [{"cmd": "user:leave", "data": UUID[ALICE]}]
        assert bob.presences() == {}


def test_a_window_that_the_journal_cannot_be_told_of_is_a_fault(log: Log) -> None:
    world = World()
    alice = world.open(ALICE, MEMBERS, UUID[ALICE])
    world.post(presence(ALICE, 39))
    world.journal.append = Full(ZeroDivisionError("injected")).append  # type: ignore[method-assign]
    alice.close()
    assert (log.tracebacks, world.metrics.internal_errors) == (["injected"], 1)


def test_what_became_of_windows_while_the_journal_was_full_is_journalled_later(log: Log) -> None:
    world = World()
    world.open(BOB, MEMBERS, UUID[BOB])
    alice = world.open(ALICE, MEMBERS, UUID[ALICE])
    world.post(presence(ALICE, 39))
    append = world.journal.append
    world.journal.append = Full(JournalUnavailable("full")).append  # type: ignore[method-assign]
    alice.close()
    again = world.open(ALICE, MEMBERS, UUID[ALICE])
    again.close()
    world.wait(5)
    world.journal.append = append  # type: ignore[method-assign]
    count = len(world.journal.records)
    world.wait(1)
    # The second session has come and gone meanwhile, so only the ends are left to say.
    assert [type(it.input).__name__ for it in world.journal.records[count:]] == ["WindowLost", "WindowLost"]
    assert world.campaigns.presence.holds((ALICE, UUID[ALICE]))  # type: ignore[arg-type]
    world.wait(GRACE)
    assert not world.campaigns.presence.holds((ALICE, UUID[ALICE]))  # type: ignore[arg-type]
    assert (log.tracebacks, world.metrics.internal_errors) == ([], 0)


def test_injected_fault_while_retrying_is_recorded_and_the_others_are_journalled(log: Log) -> None:
    world = World()
    windows = [world.open(user, MEMBERS, UUID[user]) for user in (ALICE, BOB)]
    for user in (ALICE, BOB):
        world.post(presence(user, 39))
    append = world.journal.append
    world.journal.append = Full(JournalUnavailable("full")).append  # type: ignore[method-assign]
    for window in windows:
        window.close()
    world.journal.append = Full(ZeroDivisionError("injected")).append  # type: ignore[method-assign]
    world.wait(1)
    world.journal.append = append  # type: ignore[method-assign]
    count = len(world.journal.records)
    world.wait(1)
    assert [type(it.input).__name__ for it in world.journal.records[count:]] == ["WindowLost"]
    assert log.tracebacks == ["injected"]


def test_a_stop_gives_up_what_the_journal_does_not_take() -> None:
    world = World()
    alice = world.open(ALICE, MEMBERS, UUID[ALICE])
    world.post(presence(ALICE, 39))
    world.journal.append = Full(JournalUnavailable("full")).append  # type: ignore[method-assign]
    alice.close()
    world.relay.stop()
    assert world.clock.getDelayedCalls() == []


class Full:
    """A journal that takes nothing."""

    epoch = b"e"
    outlives_the_process = False
    is_shared = False

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
    refused = Harness(Full(JournalUnavailable("full"))).publish()
    assert isinstance(refused, Unavailable)
    assert "nothing was published" in str(refused)
    assert log.tracebacks == []


def test_an_operator_learns_that_the_outcome_is_unknown() -> None:
    refused = Harness(Full(JournalUnavailable("away", is_unknown=True))).publish()
    assert "it is not known whether it was published" in str(refused)


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
