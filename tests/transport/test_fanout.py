"""The fan-out: which subscriber receives which frame, when, and in which order."""

import json
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.conftest import Log, TurningClock
from tests.fakes import CAMPAIGN, KANBAN, CountingMetrics, identity, publication
from tuleaprt.operations.logs import Faults
from tuleaprt.transport.fanout import HOLD_SECONDS, LONG_BYTES, SLICE, Fanout
from tuleaprt.transport.outbound import PATIENCE, Backpressure
from tuleaprt.transport.serializers import WEBSOCKET_FORMATS, WireFormat
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.broker import Broker
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Kwargs, Publication


class Listener:
    """A session that is its own connection, and has no socket."""

    socket = None
    format: WireFormat = WEBSOCKET_FORMATS["wamp.2.json"]
    id = 0

    def __init__(self, journal: list[object] | None = None, groups: tuple[str, ...] = ("@a",)) -> None:
        self.identity: Identity = identity(groups=groups, expires_at=1100)
        self.window: str | None = None
        self.frames: list[bytes] = []
        self.journal = journal
        self.breaks = False
        self.ended: End | None = None

    @property
    def outlet(self) -> "Listener":
        return self

    def close(self, end: End, detail: str = "") -> None:
        self.ended = end

    def write(self, frame: bytes) -> None:
        if self.breaks:
            raise ZeroDivisionError("injected")
        self.frames.append(frame)
        if self.journal is not None:
            self.journal.append(json.loads(frame[frame.index(b"[") :])[5]["data"])


class Harness:
    def __init__(self, clock: TurningClock) -> None:
        self.clock = clock
        self.metrics = CountingMetrics()
        self.backpressure = Backpressure(1000)
        self.fanout = Fanout(
            clock, backpressure=self.backpressure, metrics=self.metrics, faults=Faults(self.metrics)
        )
        self.broker = Broker()

    def listen(self, *listeners: Listener, topic: str = KANBAN) -> None:
        for listener in listeners:
            self.broker.subscriptions.add(topic, Match.EXACT, listener, 0)

    def publish(self, what: Publication) -> None:
        for dispatch in self.broker.dispatch(what):
            self.fanout.deliver(dispatch)

    def turn(self) -> None:
        self.clock.turn()


@pytest.fixture
def harness(clock: TurningClock) -> Iterator[Harness]:
    harness = Harness(clock)
    yield harness
    harness.fanout.stop()


def event(data: object, size: int = 0) -> Publication:
    return replace(publication({"cmd": "kanban:edit", "data": data}), size=size)


def run(harness: Harness) -> None:
    while harness.clock.getDelayedCalls():
        harness.turn()


def test_the_fan_out_begins_when_the_answer_to_the_post_has_had_its_turn(harness: Harness) -> None:
    listener = Listener()
    harness.listen(listener)
    harness.publish(event(1))
    harness.turn()
    assert listener.frames == []
    harness.turn()
    assert len(listener.frames) == 1


def test_all_who_get_the_same_get_the_same_bytes(harness: Harness) -> None:
    listeners = [Listener(groups=("@a", f"@{number}")) for number in range(5)]
    harness.listen(*listeners)
    harness.publish(event(1))
    run(harness)
    assert all(it.frames[0] is listeners[0].frames[0] for it in listeners)


def test_who_may_not_see_it_gets_nothing(harness: Harness) -> None:
    whole: Kwargs = {"cmd": "kanban:edit", "data": 1}
    may, may_not = Listener(groups=("@a",)), Listener(groups=("@b",))
    harness.listen(may, may_not)
    harness.publish(publication(whole, view=lambda groups, _: whole if "@a" in groups else None))
    run(harness)
    assert (len(may.frames), len(may_not.frames)) == (1, 0)
    assert (harness.metrics.deliveries, harness.metrics.filtered) == (1, 1)


def test_a_large_board_is_served_in_slices(harness: Harness) -> None:
    listeners = [Listener() for _ in range(2 * SLICE + 1)]
    harness.listen(*listeners)
    harness.publish(event(1))
    harness.turn()
    served = []
    while harness.clock.getDelayedCalls():
        harness.turn()
        served.append(sum(len(it.frames) for it in listeners))
    assert served == [SLICE, 2 * SLICE, 2 * SLICE + 1]


@pytest.mark.parametrize("size", [1, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE])
def test_everybody_is_served_once_whatever_the_number(harness: Harness, size: int) -> None:
    listeners = [Listener() for _ in range(size)]
    harness.listen(*listeners)
    for number in range(3):
        harness.publish(event(number))
    run(harness)
    assert {len(it.frames) for it in listeners} == {3}


def test_events_leave_in_order_across_topics_and_replies_behind_them(harness: Harness) -> None:
    journal: list[object] = []
    listener = Listener(journal)
    harness.listen(*[Listener() for _ in range(SLICE)], listener)
    harness.listen(listener, topic="other.topic")
    harness.publish(event("first"))
    harness.publish(publication({"cmd": "x", "data": "second"}, topic="other.topic"))
    harness.fanout.then(lambda: journal.append("reply"), listener)
    harness.publish(event("third"))
    run(harness)
    assert journal == ["first", "second", "reply", "third"]


def test_the_first_publication_of_a_subscription_that_is_not_sent_yet(harness: Harness) -> None:
    listener, other = Listener(), Listener()
    harness.listen(listener)
    harness.listen(other, topic=CAMPAIGN)
    [here] = harness.broker.subscriptions.match(KANBAN)
    assert harness.fanout.first_of(here) == 0
    harness.publish(replace(event(0), topic=CAMPAIGN, id=1))
    harness.publish(replace(event(1), id=2))
    harness.publish(replace(event(2), id=3))
    assert harness.fanout.first_of(here) == 2
    run(harness)
    assert harness.fanout.first_of(here) == 0


def test_a_reply_does_not_wait_when_nothing_is_queued(harness: Harness) -> None:
    journal: list[object] = []
    harness.fanout.then(lambda: journal.append("reply"))
    assert journal == ["reply"]


def test_who_unsubscribes_while_an_event_is_queued_does_not_get_it(harness: Harness) -> None:
    listener = Listener()
    harness.listen(listener)
    harness.publish(event(1))
    harness.broker.subscriptions.remove(1, listener)
    run(harness)
    assert listener.frames == []


def test_who_expires_while_an_event_is_queued_does_not_get_it(harness: Harness) -> None:
    listener = Listener()
    harness.listen(listener)
    harness.publish(event(1))
    harness.clock.advance(100)
    run(harness)
    assert listener.frames == []


def test_who_loses_a_group_while_an_event_is_queued_does_not_get_it(harness: Harness) -> None:
    whole: Kwargs = {"cmd": "kanban:edit", "data": 1}
    listener = Listener()
    harness.listen(listener)
    harness.publish(publication(whole, view=lambda groups, _: whole if "@a" in groups else None))
    listener.identity = identity(groups=[])
    run(harness)
    assert listener.frames == []


def test_a_fault_is_logged_and_counted_and_what_follows_is_sent(harness: Harness, log: Log) -> None:
    def broken(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        raise ZeroDivisionError("injected")

    listener = Listener()
    harness.listen(listener)
    harness.publish(publication(view=broken))
    harness.publish(event("after"))
    run(harness)
    assert len(listener.frames) == 1
    assert log.tracebacks == ["injected"]
    assert harness.metrics.internal_errors == 1


def test_what_is_queued_is_dropped_on_stop(harness: Harness) -> None:
    listener = Listener()
    harness.listen(listener)
    harness.publish(event(1))
    harness.fanout.stop()
    assert harness.clock.getDelayedCalls() == []
    assert listener.frames == []


def test_one_receivers_fault_costs_the_others_nothing(harness: Harness, log: Log) -> None:
    listeners = [Listener() for _ in range(3)]
    listeners[1].breaks = True
    harness.listen(*listeners)
    harness.publish(event(1))
    run(harness)
    assert [len(it.frames) for it in listeners] == [1, 0, 1]
    assert [it.ended for it in listeners] == [None, End.FAULT, None]
    assert log.tracebacks == ["injected"]
    assert (harness.metrics.deliveries, harness.metrics.internal_errors) == (2, 1)


def test_who_asks_faster_than_slices_go_delays_nobody(harness: Harness) -> None:
    first, second, replies = Listener(), Listener(), list[int]()
    harness.listen(first)
    harness.listen(second, topic="other.topic")
    harness.publish(event(1))
    for number in range(20 * SLICE):
        harness.fanout.then(lambda number=number: replies.append(number))  # type: ignore[misc]
    harness.publish(publication({"cmd": "x", "data": 2}, topic="other.topic"))
    harness.turn()
    harness.turn()
    assert (len(first.frames), len(second.frames), len(replies)) == (1, 1, 20 * SLICE)
    assert replies == sorted(replies)


def test_what_is_asked_for_while_working_waits_its_turn(harness: Harness) -> None:
    done: list[str] = []
    harness.listen(Listener())
    harness.publish(event(1))
    harness.fanout.then(lambda: (harness.fanout.then(lambda: done.append("inner")), done.append("outer"))[0])
    run(harness)
    assert done == ["outer", "inner"]


def test_it_may_be_stopped_by_what_it_does(harness: Harness, log: Log) -> None:
    harness.listen(Listener())
    harness.publish(event(1))
    harness.fanout.then(harness.fanout.stop)
    harness.publish(event(2))
    run(harness)
    assert harness.metrics.deliveries == 1
    assert log.tracebacks == []


# Lanes.


def test_a_large_board_does_not_hold_up_a_small_one(harness: Harness) -> None:
    crowd, few = [Listener() for _ in range(4 * SLICE)], [Listener() for _ in range(5)]
    harness.listen(*crowd)
    harness.listen(*few, topic="other.topic")
    harness.publish(event(1))
    harness.publish(publication({"cmd": "x", "data": 2}, topic="other.topic"))
    harness.turn()
    harness.turn()
    assert [len(it.frames) for it in few] == [1] * 5
    assert sum(len(it.frames) for it in crowd) <= SLICE


def test_a_large_board_does_not_hold_up_the_replies_to_others(harness: Harness) -> None:
    other, done = Listener(), list[str]()
    harness.listen(*[Listener() for _ in range(4 * SLICE)])
    harness.publish(event(1))
    harness.fanout.then(lambda: done.append("reply"), other)
    harness.turn()
    harness.turn()
    assert done == ["reply"]


def test_small_boards_do_not_hold_up_a_large_one(harness: Harness) -> None:
    crowd, few = [Listener() for _ in range(2 * SLICE)], [Listener() for _ in range(SLICE)]
    harness.listen(*crowd)
    harness.listen(*few, topic="other.topic")
    harness.publish(event(1))
    for _ in range(9):
        harness.publish(publication({"cmd": "x", "data": 2}, topic="other.topic"))
    for _ in range(3):
        harness.turn()
    assert sum(len(it.frames) for it in crowd) == 2 * SLICE


def test_what_waits_for_everything_waits_for_both_lanes(harness: Harness) -> None:
    crowd, few = [Listener() for _ in range(2 * SLICE)], [Listener() for _ in range(SLICE)]
    harness.listen(*crowd)
    harness.listen(*few, topic="other.topic")
    harness.publish(event(1))
    for _ in range(9):
        harness.publish(publication({"cmd": "x", "data": 2}, topic="other.topic"))
    served: list[set[int]] = []
    harness.fanout.then(lambda: served.append({len(it.frames) for it in (*crowd, *few)}))
    run(harness)
    assert served == [{1, 9}]


def test_nothing_is_remembered_of_what_is_past(harness: Harness, log: Log) -> None:
    listener = Listener()
    harness.listen(listener, *[Listener() for _ in range(2 * SLICE)])
    harness.publish(event(1))
    harness.publish(publication(view=lambda groups, user_id: 1 // 0))  # type: ignore[arg-type, return-value]
    harness.fanout.then(lambda: None, listener)
    harness.fanout.then(lambda: None)
    run(harness)
    assert (harness.fanout._crowds, harness.fanout._waiting) == ({}, {})
    assert log.tracebacks != []


STEP = st.one_of(
    st.tuples(st.just("publish"), st.integers(0, 3)),
    st.tuples(st.just("reply"), st.integers(0, 7)),
    st.just(("turn", 0)),
)
CROWD = st.sets(st.integers(0, 7), min_size=4, max_size=6)
FEW = st.sets(st.integers(0, 7), max_size=3)


@settings(max_examples=300)
@given(st.tuples(CROWD, CROWD, FEW, FEW), st.lists(STEP, min_size=10, max_size=60))
def test_to_any_one_session_all_leaves_in_the_order_in_which_it_came(
    audiences: Sequence[set[int]], steps: list[tuple[str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuleaprt.transport.fanout.SLICE", 3)
        harness = Harness(TurningClock())
        journals: list[list[object]] = [[] for _ in range(8)]
        expected: list[list[object]] = [[] for _ in range(8)]
        listeners = [Listener(journal) for journal in journals]
        for topic, audience in enumerate(audiences):
            harness.listen(*(listeners[it] for it in audience), topic=f"topic.{topic}")
        for number, (kind, which) in enumerate(steps):
            if kind == "publish":
                harness.publish(publication({"cmd": "x", "data": number}, topic=f"topic.{which}"))
                for it in audiences[which]:
                    expected[it].append(number)
            elif kind == "reply":
                expected[which].append(number)
                harness.fanout.then(partial(journals[which].append, number), listeners[which])
            else:
                harness.turn()
        run(harness)
        assert journals == expected


# Room in the outbound queues.


class Slow(Listener):
    """A subscriber whose frames all wait."""

    def __init__(self, backpressure: Backpressure, clock: TurningClock, each: int) -> None:
        super().__init__()
        self.backpressure, self.clock, self.each = backpressure, clock, each
        self.bytes = 0
        self.is_cut = False

    def write(self, frame: bytes) -> None:
        super().write(frame)
        self.bytes += self.each
        self.backpressure.note(self, self.clock.seconds())

    def waiting(self) -> int:
        return self.bytes

    def cut(self) -> None:
        self.is_cut = True
        self.backpressure.forget(self)


def slow_board(harness: Harness, count: int, each: int = 100) -> list[Slow]:
    """Listeners of an event that is long enough for the long lane; so much of it waits for each."""
    listeners = [Slow(harness.backpressure, harness.clock, each) for _ in range(count)]
    harness.listen(*listeners)
    harness.publish(event("long", LONG_BYTES))
    return listeners


def test_a_long_event_waits_until_readers_have_made_room_and_reaches_all(harness: Harness) -> None:
    listeners = slow_board(harness, 12)
    harness.clock.advance(0)
    assert sum(len(it.frames) for it in listeners) == 6
    for _ in range(5):
        harness.clock.advance(HOLD_SECONDS)
    assert sum(len(it.frames) for it in listeners) == 6
    for listener in listeners:
        listener.bytes = 0
    harness.clock.advance(HOLD_SECONDS)
    assert [len(it.frames) for it in listeners] == [1] * 12
    assert not any(it.is_cut for it in listeners)


def test_while_a_long_event_waits_other_boards_and_replies_do_not(harness: Harness) -> None:
    slow_board(harness, 12)
    harness.clock.advance(0)
    other = Listener()
    done: list[str] = []
    harness.listen(other, topic="org.tuleap.kanban.4")
    harness.publish(replace(event("short"), topic="org.tuleap.kanban.4"))
    harness.fanout.then(lambda: done.append("reply"), other)
    harness.clock.advance(0)
    assert len(other.frames) == 1
    assert done == ["reply"]


def test_order_is_kept_behind_a_long_event_that_waits(harness: Harness) -> None:
    listeners = slow_board(harness, 12)
    harness.clock.advance(0)
    harness.publish(event("short"))
    harness.fanout.then(lambda: None, listeners[11])
    harness.clock.advance(0)
    assert listeners[0].frames[1:] == []
    for _ in range(4):
        for listener in listeners:
            listener.bytes = 0
        harness.clock.advance(HOLD_SECONDS)
    assert [
        [json.loads(it[it.index(b"[") :])[5]["data"] for it in listener.frames] for listener in listeners
    ] == [["long", "short"]] * 12


def test_readers_who_take_nothing_do_not_hold_up_the_others_for_long(harness: Harness) -> None:
    listeners = slow_board(harness, 12)
    harness.clock.advance(0)
    for _ in range(int(PATIENCE / HOLD_SECONDS) + 2):
        harness.clock.advance(HOLD_SECONDS)
    assert [len(it.frames) for it in listeners] == [1] * 12
    assert sum(it.is_cut for it in listeners) >= 1


def test_a_stop_ends_the_wait(harness: Harness) -> None:
    slow_board(harness, 12)
    harness.clock.advance(0)
    harness.fanout.stop()
    assert harness.clock.getDelayedCalls() == []
