"""What sessions may subscribe to."""

import pytest

from tests.fakes import CAMPAIGN, KANBAN, identity
from tuleaprt.tuleap.topics import RoomPolicy
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.identifiers import Match


def may(who: Identity, topic: str, match: Match = Match.EXACT) -> bool:
    return RoomPolicy().may_subscribe(who, topic, match)


def test_a_user_may_subscribe_to_rooms_only() -> None:
    assert may(identity(), KANBAN)
    assert may(identity(), CAMPAIGN)
    assert not may(identity(), "wamp.session.on_join")
    assert not may(identity(), "org.tuleap.kanban.03")


def test_a_list_of_rooms_in_the_ticket_is_all_that_he_may_subscribe() -> None:
    assert may(identity(topics=[KANBAN]), KANBAN)
    assert not may(identity(topics=[KANBAN]), CAMPAIGN)


@pytest.mark.parametrize("topic", [KANBAN, CAMPAIGN])
def test_an_empty_list_of_rooms_allows_none(topic: str) -> None:
    assert not may(identity(topics=[]), topic)


def test_a_list_of_rooms_opens_nothing_that_is_no_room() -> None:
    assert not may(identity(topics=["wamp.session.on_join"]), "wamp.session.on_join")


def test_an_operator_may_subscribe_to_anything() -> None:
    assert may(identity(role=Role.OPERATOR), "wamp.session.on_join")
    assert may(identity(role=Role.OPERATOR), "org.tuleap.", Match.PREFIX)


@pytest.mark.parametrize("match", [Match.PREFIX, Match.WILDCARD])
def test_patterns_are_for_operators(match: Match) -> None:
    assert not may(identity(), KANBAN, match)
    assert not may(identity(topics=[KANBAN]), KANBAN, match)
