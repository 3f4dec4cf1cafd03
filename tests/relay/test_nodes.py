"""Several nodes on one journal: rights, windows, kills and viewers of one node hold on the others."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.campaigns import ALICE, BOB, MEMBERS, UUID, presence, rights, update
from tests.relay.test_state import known, told
from tests.world import GRACE, START, World, done
from tuleaprt.journal.journal import Apply, Record
from tuleaprt.tuleap.inputs import Input, Stopped, WindowSeen
from tuleaprt.tuleap.presence import NODE_SECONDS
from tuleaprt.wamp.publication import Window

ROOM = "testmanagement_9"


class Stream:
    """Records that several nodes read, each at its own pace."""

    def __init__(self) -> None:
        self.records: list[Record[Input]] = []
        self.readers: list[SharedJournal] = []


class SharedJournal:
    """The journal of one node. While it ``sleeps``, it reads nothing."""

    outlives_the_process = True
    is_shared = True
    epoch = b"e" * 32

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.sleeps = False
        self._read = 0
        self._apply: Apply[Input]
        self._is_applying = False
        stream.readers.append(self)

    def follow(self, apply: Apply[Input]) -> None:
        self._apply = apply

    async def append(self, input: Input, *, at: float) -> int:
        records = self.stream.records
        records.append(Record(position=len(records) + 1, at=at, input=input))
        position = len(records)
        for reader in self.stream.readers:
            reader.read()
        return position

    def read(self) -> None:
        if self._is_applying or self.sleeps:
            return
        self._is_applying = True
        while self._read < len(self.stream.records):
            self._read += 1
            self._apply(self.stream.records[self._read - 1])
        self._is_applying = False

    def wake(self) -> None:
        self.sleeps = False
        self.read()


class Nodes:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.stream = Stream()
        self.a, self.b = (
            World(node=name, journal=SharedJournal(self.stream), clock=self.clock) for name in "ab"
        )

    @property
    def inputs(self) -> list[Any]:
        return [it.input for it in self.stream.records]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    for world in (nodes.a, nodes.b):
        world.relay.stop()
    assert nodes.clock.getDelayedCalls() == []


def groups(window: Any) -> frozenset[str]:
    found: frozenset[str] = window.session.identity.groups
    return found


def test_a_post_to_any_node_reaches_the_windows_of_all_with_one_id(nodes: Nodes) -> None:
    windows = [it.open(BOB, MEMBERS) for it in (nodes.a, nodes.b)]
    for window in windows:
        window.subscribe("org.tuleap.kanban.3")
    body = {"room_id": 3, "cmd": "kanban:edit", "data": 1, "sender_user_id": 0, "sender_uuid": None}
    nodes.a.post(body | {"rights": rights()})
    assert [len(it.events()) for it in windows] == [1, 1]
    assert [it.id for it in nodes.a.published] == [it.id for it in nodes.b.published]


# Groups.


def test_the_newest_groups_of_a_user_hold_at_all_nodes(nodes: Nodes) -> None:
    here, there = nodes.a.open(ALICE, ["@x"], lifetime=600), nodes.b.open(ALICE, ["@x"], lifetime=600)
    nodes.b.open(ALICE, [], lifetime=900)
    assert groups(here) == groups(there) == frozenset()


def test_an_older_token_brings_no_groups_back_at_another_node(nodes: Nodes) -> None:
    older = nodes.a.ticket(ALICE, ["@x"], 600)
    nodes.a.open(ALICE, [], lifetime=900)
    assert groups(nodes.b.open(ALICE, [], token=older)) == frozenset()


def test_an_older_token_kept_back_for_another_node_brings_no_groups_back(nodes: Nodes) -> None:
    nodes.a.open(ALICE, [], lifetime=500)
    kept_back = nodes.a.ticket(ALICE, ["@x"], 600)
    nodes.a.open(ALICE, [], lifetime=900)
    window = nodes.b.open(ALICE, [], token=kept_back)
    assert groups(window) == frozenset()
    assert nodes.a.realm.credentials.state() == nodes.b.realm.credentials.state()


def test_a_storm_of_reconnections_writes_nothing(nodes: Nodes) -> None:
    for world in (nodes.a, nodes.b) * 3:
        world.open(ALICE, MEMBERS, lifetime=900)
    assert len(nodes.inputs) == 1


def test_groups_of_an_operator_are_no_news(nodes: Nodes) -> None:
    window = nodes.a.open(ALICE, ["@x"], lifetime=600)
    nodes.b.open(ALICE, [], lifetime=900, role="operator")
    assert groups(window) == {"@x"}


# Windows.


def test_a_window_on_an_execution_has_one_session_in_all(nodes: Nodes) -> None:
    former = nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.a.post(presence(ALICE, 39))
    latter = nodes.b.open(ALICE, MEMBERS, UUID[ALICE])
    assert former.ended() == "org.tuleap.close.replaced"
    assert latter.session.is_joined
    nodes.clock.advance(2 * GRACE)
    bob = nodes.a.open(BOB, MEMBERS)
    assert list(bob.presences()) == ["39"]


def test_a_window_that_is_late_to_read_keeps_its_new_session(nodes: Nodes) -> None:
    nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.a.post(presence(ALICE, 39))
    nodes.b.journal.sleeps = True
    nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    latest = nodes.b.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.b.journal.wake()
    assert latest.session.is_joined
    place = Window(ALICE, UUID[ALICE])
    assert nodes.a.campaigns.presence.session(place) == latest.session.id


def test_a_window_on_no_execution_writes_nothing(nodes: Nodes) -> None:
    nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.b.open(ALICE, MEMBERS, UUID[ALICE])
    assert not [it for it in nodes.inputs if isinstance(it, WindowSeen)]


def test_a_viewer_goes_on_at_another_node(nodes: Nodes) -> None:
    window = nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.b.post(presence(ALICE, 39))
    nodes.a.realm.leave(window.session)
    nodes.clock.advance(GRACE - 1)
    nodes.b.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.clock.advance(GRACE)
    assert list(nodes.b.open(BOB, MEMBERS).presences()) == ["39"]


# Ends.


def test_a_revocation_ends_the_sessions_of_all_nodes(nodes: Nodes) -> None:
    windows = [it.open(ALICE, MEMBERS, str(number)) for number, it in enumerate((nodes.a, nodes.b))]
    old = nodes.a.ticket(ALICE, [])
    nodes.a.revoke(ALICE)
    assert [it.ended() for it in windows] == ["org.tuleap.close.revoked"] * 2
    assert nodes.b.open(ALICE, [], token=old).ended() == "wamp.error.authentication_denied"


@pytest.mark.parametrize(
    ("procedure", "arguments", "spared"),
    [("kill_by_authid", [str(ALICE)], BOB), ("kill_by_authrole", ["user"], None), ("kill_all", [], None)],
)
def test_an_operator_kills_the_sessions_of_all_nodes(
    nodes: Nodes, procedure: str, arguments: list[Any], spared: int | None
) -> None:
    operator = nodes.a.open(1, [], role="operator")
    windows = {
        (world, user): world.open(user, MEMBERS) for world in (nodes.a, nodes.b) for user in (ALICE, BOB)
    }
    operator.call(f"wamp.session.{procedure}", *arguments)
    assert {it: window.ended() for it, window in windows.items()} == {
        (world, user): None if user == spared else "wamp.close.killed" for world, user in windows
    }
    assert operator.session.is_joined


def test_a_kill_does_not_reach_a_session_that_joined_after_it(nodes: Nodes) -> None:
    operator = nodes.a.open(1, [], role="operator")
    nodes.a.journal.sleeps = True
    operator.call("wamp.session.kill_by_authid", str(ALICE))
    window = nodes.a.open(ALICE, MEMBERS)
    nodes.a.journal.wake()
    assert window.session.is_joined


# Nodes that end.


def test_viewers_of_a_node_that_was_killed_leave_after_the_grace(nodes: Nodes) -> None:
    nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    bob = nodes.b.open(BOB, MEMBERS)
    nodes.a.post(presence(ALICE, 39))
    nodes.a.journal.sleeps = True
    for _ in range(4):
        assert list(bob.presences()) == ["39"]
        done(nodes.b.relay.probe("b"))
        nodes.clock.advance(NODE_SECONDS / 3)
    done(nodes.b.relay.probe("b"))
    nodes.clock.advance(GRACE)
    assert bob.presences() == {}
    nodes.a.relay.stop()


def test_a_node_that_was_only_slow_keeps_its_viewers(nodes: Nodes) -> None:
    nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.a.post(presence(ALICE, 39))
    done(nodes.a.relay.probe("a"))
    nodes.clock.advance(NODE_SECONDS + 1)
    done(nodes.b.relay.probe("b"))
    nodes.clock.advance(2 * GRACE)
    assert list(nodes.b.open(BOB, MEMBERS).presences()) == ["39"]


def test_a_new_start_does_not_end_the_viewers_of_other_nodes(nodes: Nodes) -> None:
    nodes.a.open(ALICE, MEMBERS, UUID[ALICE])
    nodes.a.post(presence(ALICE, 39))
    third = World(node="c", journal=SharedJournal(nodes.stream), clock=nodes.clock)
    third.relay.rebuild(nodes.stream.records)
    third.journal._read = len(nodes.stream.records)
    third.relay.resume()
    nodes.clock.advance(2 * GRACE)
    assert list(third.open(BOB, MEMBERS).presences()) == ["39"]


def test_positions_of_a_node_that_stops_are_learnt_by_the_others(nodes: Nodes) -> None:
    learnt: list[Any] = []
    for world in (nodes.a, nodes.b):
        world.relay.follow_stops(lambda positions, world=world: learnt.append((world, positions)))  # type: ignore[misc]
    positions = ((102, "u", "org.tuleap.kanban.3", 77),)
    done(nodes.a.relay.stopped(positions))
    assert learnt == [(nodes.b, positions)]
    assert isinstance(nodes.inputs[-1], Stopped)


# All nodes come to the same.

CREDENTIALS = 7
"""Where ``known`` has the newest token of each user."""

WORLDS = st.sampled_from("ab")
STEP = st.one_of(
    st.tuples(st.just("open"), WORLDS, st.sampled_from([ALICE, BOB]), st.sampled_from([MEMBERS, []])),
    st.tuples(st.just("view"), WORLDS, st.sampled_from([ALICE, BOB]), st.sampled_from([39, 40])),
    st.tuples(st.just("update"), WORLDS, st.sampled_from(["passed", "failed"])),
    st.tuples(st.just("leave"), WORLDS),
    st.tuples(st.just("revoke"), WORLDS, st.sampled_from([ALICE, BOB])),
    st.tuples(st.just("sleep"), WORLDS),
    st.tuples(st.just("wake"), WORLDS),
    st.tuples(st.just("wait"), st.integers(1, 20)),
    st.tuples(st.just("probe"), WORLDS),
)


def act(nodes: Nodes, step: tuple[Any, ...]) -> None:
    if step[0] == "wait":
        nodes.clock.advance(step[1])
        return
    world = getattr(nodes, step[1])
    match step:
        case ("open", _, user, shown):
            world.open(user, shown, UUID[user])
        case ("view", _, user, execution):
            world.post(presence(user, execution))
        case ("update", _, status):
            world.post(update(BOB, 39, status))
        case ("leave", _):
            for window in world.windows:
                world.realm.leave(window.session)
        case ("revoke", _, user):
            world.revoke(user)
        case ("sleep", _):
            world.journal.sleeps = True
        case ("wake", _):
            world.journal.wake()
        case ("probe", name):
            done(world.relay.probe(name))


@given(st.lists(STEP, max_size=30))
def test_all_nodes_publish_the_same_and_know_the_same(steps: list[tuple[Any, ...]]) -> None:
    nodes = Nodes()
    for step in steps:
        act(nodes, step)
    for world in (nodes.a, nodes.b) * 2:
        world.journal.wake()
    assert told(nodes.a) == told(nodes.b)
    assert [it for at, it in enumerate(known(nodes.a)) if at != CREDENTIALS] == [
        it for at, it in enumerate(known(nodes.b)) if at != CREDENTIALS
    ]
    assert groups_of(nodes.a) == groups_of(nodes.b)
    for world in (nodes.a, nodes.b):
        world.relay.stop()


def groups_of(world: World) -> dict[int, frozenset[str]]:
    """The ends of tokens may differ where the groups are the same."""
    return {user: shown for user, (_, shown) in world.realm.credentials.state().items()}
