"""The procedures about a campaign."""

from typing import Any

import pytest

from tests.campaigns import ALICE, BOB, CAMPAIGN, MEMBERS, UUID, presence, rights, update
from tests.world import World
from tuleaprt.relay.procedures import podium, presences
from tuleaprt.tuleap.topics import RoomPolicy
from tuleaprt.wamp.calls import Arguments

EVERYBODY, RESTRICTED = ["@site_active", *MEMBERS], rights(artifact=["@ug_158"])


@pytest.fixture
def world() -> World:
    """Alice is on 39 and has passed it; 40 is restricted."""
    world = World()
    world.post(presence(ALICE, 39))
    world.post(update(ALICE, 39, "passed"))
    world.post(update(BOB, 40, "failed", rights=RESTRICTED))
    return world


def test_the_snapshot_is_by_execution(world: World) -> None:
    (viewer,) = world.open(BOB, MEMBERS).presences()["39"]
    assert (viewer["id"], viewer["uuid"], viewer["email"]) == (ALICE, UUID[ALICE], "alice@example.com")


def test_the_podium_is_by_rank(world: World) -> None:
    def ranks(groups: list[str]) -> Any:
        standings = world.open(BOB, groups).podium()
        return [(it["user"]["username"], it["score"], it["rank"]) for it in standings]

    assert ranks(MEMBERS) == [("alice", 1, 1)]
    assert ranks([*MEMBERS, "@ug_158"]) == [("alice", 1, 1), ("bob", 1, 1)]
    assert ranks(["@other"]) == []


@pytest.mark.parametrize("id", [9, "9"])
def test_the_id_may_be_a_number_or_its_text(world: World, id: object) -> None:
    assert list(world.open(BOB, MEMBERS).presences(id)) == ["39"]


@pytest.mark.parametrize("id", [0, -9, 9.0, "09", "9 ", "٩", True, [9], "testmanagement_9", 2**53, None])
def test_what_is_no_canonical_id_is_refused(world: World, id: object) -> None:
    window = world.open(BOB, MEMBERS)
    assert window.presences(id) == window.podium(id) == "wamp.error.invalid_argument"


def test_there_are_no_other_arguments(world: World) -> None:
    window = world.open(BOB, MEMBERS)
    procedure = "org.tuleap.testmanagement.podium"
    assert window.call(procedure) == "wamp.error.invalid_argument"
    assert window.call(procedure, 9, 10) == "wamp.error.invalid_argument"
    assert window.call(procedure, 9, limit=3) == "wamp.error.invalid_argument"


@pytest.mark.parametrize("rooms", [[], ["org.tuleap.kanban.9"], ["org.tuleap.testmanagement.10"]])
def test_rooms_of_a_ticket_govern_the_snapshots_too(world: World, rooms: list[str]) -> None:
    window = world.open(BOB, MEMBERS, rooms=rooms)
    assert window.presences() == window.podium() == "wamp.error.not_authorized"
    assert list(world.open(BOB, MEMBERS, rooms=[CAMPAIGN]).presences()) == ["39"]


def test_operators_see_all(world: World) -> None:
    world.seed(CAMPAIGN, [{"execution_id": 41, "status": "passed", "user": {"id": 103}}])
    operator = world.open(1, [], role="operator")
    assert list(operator.presences()) == ["39"]
    assert [it["user"]["id"] for it in operator.podium()] == [103]
    assert world.open(BOB, MEMBERS).podium() == []


def test_of_a_campaign_that_is_unknown_there_is_nothing(world: World) -> None:
    window = world.open(BOB, MEMBERS)
    assert (window.presences(10), window.podium(10)) == ({}, [])


def test_a_big_answer_costs_more(world: World) -> None:
    for user in range(1000, 1200):
        world.post(presence(user, 39))
    session = world.open(BOB, MEMBERS).session
    costs = [
        ask(world.campaigns, RoomPolicy(), session, Arguments([9], {}), world.now).cost
        for ask in (presences, podium)
    ]
    assert costs == [2, 0]
