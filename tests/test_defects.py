"""One test for each numbered defect of Tuleap's Node server (contract 9) that concerns this one.

BUG-25 is of Tuleap's pages.
"""

import json
from typing import Any

import pytest

from tests.campaigns import (
    ALICE,
    BOB,
    CAMPAIGN,
    CAROL,
    MEMBERS,
    UUID,
    create,
    delete,
    link,
    presence,
    rights,
    update,
)
from tests.conftest import TurningClock
from tests.fakes import KANBAN, CountingMetrics, body, ticket
from tests.web.requests import Connection, request
from tests.world import GRACE, MAX_LIFETIME, START, Window, World, done
from tuleaprt.configuration.options import Limits
from tuleaprt.operations.logs import Faults
from tuleaprt.tuleap.message import Message
from tuleaprt.wamp.outlet import End
from tuleaprt.web.private import MessageResource
from tuleaprt.web.site import PrivateSite

OTHER_CAMPAIGN = "org.tuleap.testmanagement.10"
RESTRICTED = rights(artifact=["@ug_158"])


@pytest.fixture
def world() -> World:
    return World()


def page(world: World, user_id: int, topic: str = CAMPAIGN, groups: Any = MEMBERS, **how: Any) -> Window:
    """A page that shows a room. Its first messages are already read."""
    window = world.open(user_id, groups, UUID.get(user_id, f"uuid of {user_id}"), **how)
    assert isinstance(window.subscribe(topic), int)
    window.take()
    return window


def seen(window: Window) -> list[tuple[str, Any]]:
    return [(it["cmd"], it["data"]) for it in window.events()]


def card(sender: int, **changes: Any) -> dict[str, Any]:
    return body(sender_user_id=sender, sender_uuid=UUID.get(sender), rights=rights(), **changes)


def test_bug_1_who_leaves_a_test_is_gone(world: World) -> None:
    page(world, ALICE)
    bob = page(world, BOB)
    world.post(presence(ALICE, 39))
    seen(bob)
    world.post(presence(ALICE, 39, remove_from=39))
    ((_, data),) = seen(bob)
    assert (data["execution_to_remove"], data["execution_presences_to_remove"]) == ("39", [])
    assert bob.presences() == {}


def test_bug_2_snapshot_and_leave_are_for_those_who_may_see_the_test(world: World) -> None:
    page(world, ALICE)
    bob, outsider = page(world, BOB), page(world, CAROL, groups=["@site_active"])
    world.post(presence(ALICE, 39))
    assert (len(bob.presences()), outsider.presences()) == (1, {})
    seen(bob)
    world.windows[0].close()
    world.wait(GRACE)
    assert (seen(bob), seen(outsider)) == ([("user:leave", UUID[ALICE])], [])


def test_bug_3_who_closes_the_kanban_of_ones_number_takes_nothing_from_one(world: World) -> None:
    bob, other = page(world, BOB, KANBAN), page(world, CAROL, f"org.tuleap.kanban.{BOB}")
    other.close()
    world.post(card(ALICE))
    assert len(seen(bob)) == 1


def test_bug_4_an_older_ticket_of_another_window_changes_nothing(world: World) -> None:
    bob = page(world, BOB)
    older = world.open(BOB, [], "another window", lifetime=MAX_LIFETIME - 60)
    older.subscribe(CAMPAIGN)
    older.take()
    world.post(update(ALICE, 39, "passed"))
    for window in (bob, older):
        assert seen(window)[0][0] == "testmanagement_execution:update"


def test_bug_5_a_refresh_prolongs_the_session_that_refreshed(world: World) -> None:
    first = world.open(BOB, MEMBERS, "one", lifetime=60)
    second = world.open(BOB, MEMBERS, "two", lifetime=60)
    second.refresh(world.ticket(BOB, MEMBERS))
    world.wait(60)
    assert first.ended() == "org.tuleap.error.token_expired"
    assert second.ended() is None


def test_bug_6_the_ticket_of_another_user_refreshes_nothing(world: World) -> None:
    bob = page(world, BOB, lifetime=60)
    for other in (world.ticket(CAROL, ["@x"]), world.ticket(BOB, ["@x"], role="operator")):
        assert bob.refresh(other) == "org.tuleap.error.token_invalid"
    assert (bob.session.identity.groups, bob.session.identity.exp) == (set(MEMBERS), START + 60)


def test_bug_7_the_end_of_a_ticket_is_told_when_it_comes(world: World) -> None:
    bob = page(world, BOB, lifetime=60)
    world.wait(60)
    assert bob.ended() == "org.tuleap.error.token_expired"
    assert world.open(BOB, MEMBERS, lifetime=-5).ended() == "org.tuleap.error.token_expired"
    world.post(presence(ALICE, 39))
    assert list(page(world, BOB).presences()) == ["39"]


def test_bug_8_presence_of_a_window_that_is_not_connected_is_told_in_the_ordinary_form(world: World) -> None:
    bob = page(world, BOB)
    world.post(presence(ALICE, 39))
    ((_, data),) = seen(bob)
    assert set(data) == {"user", "execution_to_add", "execution_presences_to_add"}
    assert list(bob.presences()) == ["39"]
    world.wait(GRACE)
    assert (seen(bob), bob.presences()) == ([("user:leave", UUID[ALICE])], {})


def test_bug_9_a_test_that_somebody_without_a_window_deletes_has_no_viewers_any_more(world: World) -> None:
    page(world, ALICE)
    bob = page(world, BOB)
    world.post(presence(ALICE, 39))
    world.post(delete(39, by=CAROL))
    assert bob.presences() == {}


def test_bug_10_what_a_sender_has_sent_is_not_told_again_when_he_comes_back(world: World) -> None:
    page(world, ALICE, KANBAN, lifetime=60)
    bob = page(world, BOB, KANBAN)
    world.wait(60)
    world.post(card(ALICE))
    page(world, ALICE, KANBAN)
    assert len(seen(bob)) == 1


def test_bug_11_a_page_may_show_several_rooms_and_is_gone_from_all_when_it_goes(world: World) -> None:
    alice, bob = page(world, ALICE), page(world, BOB)
    assert alice.subscribe(CAMPAIGN) == alice.subscribe(CAMPAIGN)
    alice.subscribe(OTHER_CAMPAIGN)
    world.post(presence(BOB, 39))
    assert len(seen(alice)) == 1
    world.post(presence(ALICE, 40))
    world.post(presence(ALICE, 50, campaign=10))
    left = [it for it in seen(bob) if "execution_to_remove" in it[1]]
    assert [data["execution_to_remove"] for _, data in left] == ["40"]
    alice.close()
    world.wait(GRACE)
    assert (bob.presences(10), list(bob.presences(9)), seen(bob)) == ({}, ["39"], [])


def site(clock: TurningClock, world: World) -> Connection:
    faults = Faults(CountingMetrics())

    async def accept(message: Message) -> int:
        return int(done(world.relay.accept(message)))

    post = MessageResource(accept, secret=b"", metrics=CountingMetrics(), faults=faults)
    limits = {"timeout": 60, "max_body": Limits().max_post_size}
    return Connection(
        PrivateSite({"message": post}, hosts=["localhost"], clock=clock, faults=faults, **limits)
    )


def test_bug_12_a_long_body_is_not_lost(world: World, clock: TurningClock) -> None:
    bob = page(world, BOB, KANBAN)
    connection = site(clock, world)
    ids = list(range(1_000_000))
    long = card(ALICE, cmd="kanban_item:move", data={"ordered_destination_column_items_ids": ids})
    (answer,) = connection.send(request(body=json.dumps(long).encode()))
    assert answer.status == 200
    assert seen(bob) == [("kanban_item:move", {"ordered_destination_column_items_ids": ids})]
    connection.close()


def test_bug_13_nonsense_of_a_client_ends_its_own_session_and_no_other(world: World) -> None:
    bob = page(world, BOB)
    for nonsense in (
        None,
        7,
        [],
        {},
        [[]],
        [32],
        [32, {}, [], 3],
        ["subscription", {"room_id": 3}],
        [99, 1],
    ):
        for attacker in (Window(world), page(world, CAROL)):
            attacker.say(nonsense)  # type: ignore[arg-type]
            assert End.VIOLATION in [it[0] for it in attacker.outlet.take() if isinstance(it, tuple)]
    world.post(update(ALICE, 39, "passed"))
    assert len(seen(bob)) == 2
    assert world.metrics.internal_errors == 0


def test_bug_14_sessions_may_end_in_any_order_and_more_than_once(world: World) -> None:
    windows = [page(world, ALICE), page(world, ALICE), page(world, BOB)]
    world.post(presence(ALICE, 39))
    for window in (windows[1], windows[0], windows[1], windows[2], windows[0]):
        window.close()
        world.wait(1)
    world.wait(GRACE)
    assert (len(world.realm.sessions), len(world.campaigns.presence)) == (0, 0)
    assert world.metrics.internal_errors == 0


@pytest.mark.parametrize("id", ["__proto__", "", "3.0", "03", "-1", "constructor", "9" * 400, "3 "])
def test_bug_15_what_names_no_room_is_refused(world: World, id: str) -> None:
    window = world.open(BOB, MEMBERS)
    for family in ("kanban", "testmanagement"):
        uri = window.subscribe(f"org.tuleap.{family}.{id}")
        assert uri in ("wamp.error.not_authorized", "wamp.error.invalid_uri")
    assert window.presences(id) == "wamp.error.invalid_argument"
    assert world.post(card(ALICE, room_id=id)) == 422
    assert world.post(presence(ALICE, 39, room_id=f"testmanagement_{id}")) == 422


def test_bug_16_a_ticket_that_lists_rooms_opens_no_other_and_nothing_of_presence_leaks(world: World) -> None:
    world.post(presence(ALICE, 39))
    outsider = page(world, CAROL, groups=["@site_active"])
    assert (outsider.presences(), seen(outsider)) == ({}, [])
    confined = world.open(BOB, MEMBERS, rooms=[OTHER_CAMPAIGN])
    assert confined.subscribe(CAMPAIGN) == confined.presences() == "wamp.error.not_authorized"


def test_bug_17_what_changes_nothing_is_not_told_and_empty_lists_are_not_kept(world: World) -> None:
    page(world, ALICE)
    bob = page(world, BOB)
    world.post(presence(ALICE, 39))
    seen(bob)
    world.post(presence(ALICE, 39))
    assert seen(bob) == []
    world.post(presence(ALICE, 40))
    assert list(bob.presences()) == ["40"]


def test_bug_18_nobody_takes_the_place_of_another_window(world: World) -> None:
    page(world, ALICE)
    bob = page(world, BOB)
    world.post(presence(ALICE, 39))
    seen(bob)
    stolen = presence(ALICE, 40, 39) | {"sender_user_id": CAROL, "sender_uuid": "carols"}
    assert world.post(stolen) == 422
    world.post(presence(CAROL, 40, 39, uuid=UUID[ALICE]))
    assert [it["id"] for it in bob.presences()["39"]] == [ALICE]


def test_bug_19_who_says_nothing_is_closed(world: World) -> None:
    silent = Window(world)
    world.wait(10)
    assert silent.outlet.done == [(End.SILENT, "")]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"{}", 415),
        ("application/json", b"", 400),
        ("application/json", b"[1]", 400),
        ("application/json", b"{", 400),
    ],
)
def test_bug_20_a_request_that_is_refused_does_not_break_the_next(
    world: World, clock: TurningClock, content_type: str, body: bytes, status: int
) -> None:
    connection = site(clock, world)
    (refused,) = connection.send(request(body=body, Content_Type=content_type))
    (next,) = connection.send(request(body=json.dumps(card(ALICE)).encode()))
    assert (refused.status, next.status) == (status, 200)
    connection.close()


def test_bug_21_the_algorithm_is_pinned_and_the_claims_are_typed(world: World) -> None:
    exp = world.now + 60
    for token in (
        ticket(BOB, MEMBERS, exp=exp, algorithm="HS256"),
        ticket(str(BOB), MEMBERS, exp=exp),
        ticket(BOB, "@gpig_project_members", exp=exp),
        ticket(BOB, {"0": "@gpig_project_members"}, exp=exp),
        ticket(BOB, None, exp=exp),
    ):
        assert world.open(0, [], token=token).ended() == "wamp.error.authentication_denied"


@pytest.mark.parametrize("artifact", [{}, "", None, {"length": 0}, 0])
def test_bug_22_rights_that_are_malformed_are_refused_and_not_taken_for_unrestricted(
    world: World, artifact: object
) -> None:
    bob = page(world, BOB)
    assert world.post(presence(ALICE, 39, rights=rights() | {"artifact": artifact})) == 422
    assert (seen(bob), bob.presences()) == ([], {})


def test_bug_23_a_leave_adds_nobody_and_a_move_carries_both_lists(world: World) -> None:
    bob = page(world, BOB)
    world.post(presence(ALICE, 39, remove_from=39))
    assert (seen(bob), bob.presences()) == ([], {})
    world.post(presence(ALICE, 40, remove_from=77))
    ((_, data),) = seen(bob)
    assert (data["execution_to_remove"], data["execution_presences_to_remove"]) == ("77", [])


def test_bug_24_one_page_hears_boards_and_campaigns_whoever_sends(world: World) -> None:
    page(world, ALICE, KANBAN)
    bob = page(world, BOB)
    bob.subscribe(KANBAN)
    world.post(create(39))
    seen(bob)
    world.post(card(ALICE))
    world.post(link(39))
    assert [cmd for cmd, _ in seen(bob)] == ["kanban_item:create", "testmanagement_execution:link_artifact"]


def test_a_bug_title_does_not_tell_of_a_test_that_one_may_not_see(world: World) -> None:
    """The rights of a link are those of the linked bug, which says nothing of the test."""
    bob, chosen = page(world, BOB), page(world, CAROL, groups=[*MEMBERS, "@ug_158"])
    world.post(update(ALICE, 39, "passed", rights=RESTRICTED))
    seen(chosen)
    world.post(link(39))
    assert seen(bob) == []
    assert [cmd for cmd, _ in seen(chosen)] == ["testmanagement_execution:link_artifact"]


def test_who_submitted_a_test_that_others_may_not_see_is_told_of_its_bug(world: World) -> None:
    own = rights(["@x"], submitter_id=BOB, submitter_only=MEMBERS)
    bob, carol = page(world, BOB), page(world, CAROL)
    world.post(update(ALICE, 39, "passed", rights=own))
    seen(bob)
    world.post(link(39))
    assert [cmd for cmd, _ in seen(bob)] == ["testmanagement_execution:link_artifact"]
    assert seen(carol) == []
