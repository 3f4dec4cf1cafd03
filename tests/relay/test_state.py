"""A snapshot and the records after it give what all records give."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.relay.test_properties import GROUPS, STEPS, Theatre
from tests.world import World, plain
from tuleaprt.errors import CorruptRecord, PositionLost
from tuleaprt.journal.journal import Record
from tuleaprt.relay.state import Owners
from tuleaprt.tuleap import records
from tuleaprt.tuleap.inputs import GroupsShown, Input
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR

KANBAN = "org.tuleap.kanban.3"
POST = {
    "room_id": 3,
    "cmd": "kanban:edit",
    "data": 1,
    "sender_user_id": 0,
    "sender_uuid": None,
    "rights": {
        "submitter_id": None,
        "submitter_can_view": False,
        "submitter_only": [],
        "artifact": [],
        "tracker": ["@site_active"],
    },
}
TOPICS = ("org.tuleap.testmanagement.9", "org.tuleap.testmanagement.10")


def owners(world: World) -> Owners:
    return Owners(realm=world.realm, campaigns=world.campaigns, revocations=world.verifier.revocations)


def told(world: World) -> list[Any]:
    """What each kind of reader would receive of each publication."""
    return [
        (
            it.id,
            it.topic,
            [plain(it.view(frozenset(groups), user)) for groups in GROUPS for user in (101, None)],
        )
        for it in world.published
    ]


def known(world: World) -> list[Any]:
    """What the server can say at the end."""
    state = world.campaigns.state()
    return [
        *(world.campaigns.presences(topic, ANONYMOUS_OPERATOR) for topic in TOPICS),
        *(world.campaigns.podium(topic, ANONYMOUS_OPERATOR) for topic in TOPICS),
        sorted(state.places),
        state.executions,
        state.unwatched,
        world.realm.credentials.state(),
        world.verifier.revocations.state(),
        world.realm.history.state(),
    ]


def rebuilt(them: list[Record[Input]], snapshot: bytes | None = None) -> World:
    world = World(max_campaigns=3)
    if snapshot is not None:
        owners(world).restore(snapshot)
    world.relay.rebuild(them)
    return world


def read_back(record: Record[Input]) -> Record[Input]:
    input = records.decode(records.encode(record.input))
    assert input == record.input
    return Record(position=record.position, at=record.at, input=input)


@given(STEPS, st.floats(0, 1))
def test_a_snapshot_and_the_rest_of_the_records_give_what_all_records_give(steps: Any, part: float) -> None:
    theatre = Theatre(stands_still=False, max_campaigns=3)
    for step in steps:
        if step[0] not in ("restart", "idle"):
            theatre.act(step)
    theatre.world.revoke(103)
    them = [read_back(it) for it in theatre.world.journal.records]
    cut = round(part * len(them))
    whole = rebuilt(them)
    before = rebuilt(them[:cut])
    after = rebuilt(them[cut:], owners(before).snapshot())
    assert told(after) == told(whole)[len(before.published) :]
    assert known(after) == known(whole)
    assert known(whole)[:5] == known(theatre.world)[:5]


def test_a_page_that_comes_back_after_a_restart_gets_what_it_missed() -> None:
    first = World()
    window = first.open(102, ["@site_active"], "u")
    subscription = window.subscribe(KANBAN)
    _, position = window.position()
    first.post(POST)
    second = rebuilt(first.journal.records)
    back = second.open(102, ["@site_active"], "u")
    subscription = back.subscribe(KANBAN)
    assert isinstance(subscription, int)
    assert [it["data"] for it in back.missed(subscription, position)] == [1]


def test_after_a_loss_of_records_no_position_is_known_and_the_rest_of_the_state_is_the_same() -> None:
    first = World()
    first.post(POST)
    subscription = first.open(102, ["@site_active"]).subscribe(KANBAN)
    first.revoke(104)
    snapshot = owners(first).snapshot()
    same, other = World(), World()
    owners(same).restore(snapshot)
    owners(other).restore(snapshot, is_followed=False)
    assert known(other)[:-1] == known(same)[:-1] == known(first)[:-1]
    positions = []
    for world in (same, other):
        window = world.open(102, ["@site_active"])
        assert window.subscribe(KANBAN) == subscription
        positions.append(window.position()[1])
    assert positions[0] == first.published[-1].id
    assert positions[1] != positions[0]
    (ring,) = [it for it in other.realm.broker.subscriptions if it.topic == KANBAN]
    with pytest.raises(PositionLost):
        other.realm.history.place(ring, positions[0])


def test_groups_of_a_former_process_hold() -> None:
    world = World()
    shown = GroupsShown(user_id=102, exp=world.now + 900, groups=frozenset())
    older = GroupsShown(user_id=102, exp=world.now + 600, groups=frozenset({"@admin"}))
    them = [Record(position=at, at=world.now, input=it) for at, it in enumerate((shown, older), 1)]
    world.relay.rebuild(them)
    window = world.open(102, ["@admin"], lifetime=800)
    assert window.session.identity.groups == frozenset()


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x02x", b"\x01", b"\x01garbage"])
def test_what_is_no_snapshot_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptRecord):
        owners(World()).restore(body)
