"""Presence: which windows are on which execution."""

from typing import Any

import pytest

from tuleaprt.tuleap.presence import NODE_SECONDS, Departure, Presence, PresenceChange, Viewers
from tuleaprt.wamp.publication import JsonText, Window

NINE, TEN = "org.tuleap.testmanagement.9", "org.tuleap.testmanagement.10"
ALICE, BOB = Window(101, "a"), Window(102, "b")
BORROWED = Window(102, "a")


def user(window: Window) -> JsonText:
    return JsonText(f'{{"id":{window.user_id},"uuid":"{window.uuid}"}}'.encode())


def on(execution: int, *windows: Window) -> Viewers:
    return Viewers(execution=execution, viewers=tuple(map(user, windows)))


@pytest.fixture
def presence() -> Presence:
    return Presence()


def enter(
    presence: Presence,
    window: Window,
    execution: int,
    left: int | None = None,
    *,
    topic: str = NINE,
    at: float = 1000,
) -> list[PresenceChange]:
    return presence.enter(window, topic, execution, user(window), left=left, at=at)


def where(presence: Presence, topic: str = NINE) -> dict[int, list[Window]]:
    return {execution: list(viewers) for execution, viewers in presence.viewers(topic).items()}


def test_entering_tells_all_who_are_there_in_the_order_in_which_they_came(presence: Presence) -> None:
    enter(presence, BOB, 39)
    assert enter(presence, ALICE, 39) == [
        PresenceChange(topic=NINE, viewer=user(ALICE), added=on(39, BOB, ALICE))
    ]


def test_a_switch_carries_both_lists(presence: Presence) -> None:
    enter(presence, BOB, 39)
    enter(presence, ALICE, 39)
    (change,) = enter(presence, ALICE, 40, left=39)
    assert (change.added, change.removed) == (on(40, ALICE), on(39, BOB))
    assert where(presence) == {39: [BOB], 40: [ALICE]}


@pytest.mark.parametrize("left", [None, 39, 77])
def test_a_window_goes_from_where_it_is_wherever_it_says_that_it_was(
    presence: Presence, left: int | None
) -> None:
    enter(presence, ALICE, 39)
    (change,) = enter(presence, ALICE, 40, left)
    assert change.removed == on(39)
    assert where(presence) == {40: [ALICE]}


def test_of_a_window_that_was_nowhere_the_place_that_it_left_is_told(presence: Presence) -> None:
    enter(presence, BOB, 77)
    (change,) = enter(presence, ALICE, 40, left=77)
    assert change.removed == on(77, BOB)
    (change,) = enter(presence, Window(103, "c"), 40, left=78)
    assert change.removed == on(78)


def test_entering_again_changes_nothing(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    assert enter(presence, ALICE, 39) == enter(presence, ALICE, 39, left=40) == []


def test_leaving_tells_who_remains(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    enter(presence, BOB, 39)
    assert presence.leave(ALICE, NINE, 39) == [
        PresenceChange(topic=NINE, viewer=user(ALICE), removed=on(39, BOB))
    ]


def test_who_leaves_where_he_is_not_stays_where_he_is(presence: Presence) -> None:
    enter(presence, ALICE, 40)
    assert presence.leave(ALICE, NINE, 39) == presence.leave(ALICE, TEN, 40) == []
    assert presence.leave(BOB, NINE, 40) == []
    assert where(presence) == {40: [ALICE]}


def test_a_window_that_enters_another_campaign_leaves_the_first(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    here, there = enter(presence, ALICE, 50, left=39, topic=TEN)
    # 39 is nothing in campaign 10.
    assert here == PresenceChange(topic=TEN, viewer=user(ALICE), added=on(50, ALICE))
    assert there == PresenceChange(topic=NINE, viewer=user(ALICE), removed=on(39))
    assert (where(presence), where(presence, TEN)) == ({}, {50: [ALICE]})


def test_a_borrowed_uuid_moves_nobody_else(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    enter(presence, BORROWED, 40, left=39)
    assert where(presence) == {39: [ALICE], 40: [BORROWED]}


def test_a_borrowed_uuid_does_not_make_its_owner_vanish(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    enter(presence, BORROWED, 40, at=1001)
    # user:leave names a uuid, and pages would take both away.
    assert presence.grace_ended(BORROWED, 1001) == [
        PresenceChange(topic=NINE, viewer=user(BORROWED), removed=on(40))
    ]
    assert isinstance(presence.grace_ended(ALICE, 1000)[0], Departure)


def test_of_a_deleted_execution_nothing_is_left(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    enter(presence, BOB, 40)
    presence.delete(NINE, 39)
    presence.delete(NINE, 38)
    presence.delete(TEN, 39)
    assert where(presence) == {40: [BOB]}
    assert not presence.holds(ALICE)
    assert presence.grace_ended(ALICE, 1000) == []
    presence.delete(NINE, 40)
    assert len(presence) == 0


def gone(window: Window, execution: int = 39) -> list[Any]:
    return [Departure(topic=NINE, execution=execution, window=window)]


def test_a_window_that_was_never_connected_goes_when_its_grace_ends(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    assert presence.absent_since(ALICE) == 1000
    assert presence.grace_ended(ALICE, 1000) == gone(ALICE)
    assert presence.grace_ended(ALICE, 1000) == []


def test_a_sign_of_life_begins_the_grace_anew(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    enter(presence, ALICE, 39, at=1010)
    assert presence.grace_ended(ALICE, 1000) == []
    enter(presence, ALICE, 40, at=1020)
    assert presence.grace_ended(ALICE, 1010) == []
    assert presence.grace_ended(ALICE, 1020) == gone(ALICE, 40)


def test_a_window_that_is_connected_has_no_grace_that_could_end(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    presence.seen(ALICE, 5000)
    assert presence.absent_since(ALICE) is None
    assert presence.grace_ended(ALICE, 1000) == []
    enter(presence, ALICE, 40)
    assert presence.absent_since(ALICE) is None


def test_a_window_that_came_back_within_its_grace_stays(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    presence.seen(ALICE, 5000)
    presence.lost(ALICE, 5000, 1100)
    presence.seen(ALICE, 5001)
    assert presence.grace_ended(ALICE, 1100) == []
    presence.lost(ALICE, 5001, 1200)
    assert presence.grace_ended(ALICE, 1100) == []
    assert presence.grace_ended(ALICE, 1200) == gone(ALICE)


def test_the_late_death_of_a_session_that_was_replaced_means_nothing(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    presence.seen(ALICE, 5000)
    presence.seen(ALICE, 5001)
    presence.lost(ALICE, 5000, 1100)
    assert presence.absent_since(ALICE) is None


def test_who_unsubscribes_goes_at_once(presence: Presence) -> None:
    enter(presence, ALICE, 39)
    presence.seen(ALICE, 5000)
    assert presence.unsubscribed(ALICE, TEN) == []
    assert presence.unsubscribed(ALICE, NINE) == gone(ALICE)
    assert presence.unsubscribed(ALICE, NINE) == []


def test_of_a_window_that_is_nowhere_there_is_nothing_to_say(presence: Presence) -> None:
    presence.seen(ALICE, 5000)
    presence.lost(ALICE, 5000, 1)
    assert presence.absent_since(ALICE) is None
    assert presence.campaign_of(ALICE) is None
    assert len(presence) == 0


# Nodes.


def test_windows_of_a_node_that_is_not_heard_of_are_absent() -> None:
    presence = Presence()
    for window, node in ((ALICE, "a"), (BOB, "b")):
        presence.enter(window, "org.tuleap.testmanagement.9", 39, JsonText(b"{}"), left=None, at=1000)
        presence.seen(window, 5000, node)
    assert presence.heard("a", 1000) == presence.heard("b", 1000) == []
    assert presence.heard("a", 1000 + NODE_SECONDS) == []
    assert presence.heard("a", 1001 + NODE_SECONDS) == [BOB]
    assert presence.absent_since(BOB) == 1001 + NODE_SECONDS
    assert presence.session(ALICE) == 5000
    assert presence.nodes() == {"a": 1001 + NODE_SECONDS}


def test_a_node_that_has_written_no_probe_yet_has_its_time() -> None:
    presence = Presence()
    presence.enter(ALICE, "org.tuleap.testmanagement.9", 39, JsonText(b"{}"), left=None, at=1000)
    presence.seen(ALICE, 5000, "a")
    assert presence.heard("b", 2000) == []
    assert presence.heard("b", 2000 + NODE_SECONDS) == []
    assert presence.heard("b", 2001 + NODE_SECONDS) == [ALICE]


def test_nodes_outlive_a_snapshot() -> None:
    before, after = Presence(), Presence()
    before.enter(ALICE, "org.tuleap.testmanagement.9", 39, JsonText(b"{}"), left=None, at=1000)
    before.seen(ALICE, 5000, "a")
    before.heard("a", 1000)
    after.restore(before.state(), before.nodes())
    assert after.heard("b", 1001 + NODE_SECONDS) == [ALICE]
