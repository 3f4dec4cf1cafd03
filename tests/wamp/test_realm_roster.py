"""The sessions of a realm, by id, user and window."""

import pytest

from tests.fakes import Member
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.publication import Window
from tuleaprt.wamp.realm import Sessions, window_of


def member(id: int, user_id: int = 101, window: str | None = None, role: Role = Role.USER) -> Member:
    made = Member(user_id=user_id, role=role)
    made.id = id
    made.window = window
    return made


@pytest.fixture
def roster() -> Sessions[Member]:
    return Sessions()


def test_a_session_is_found_by_its_id_its_user_and_its_window(roster: Sessions[Member]) -> None:
    first, second, other = member(1, window="a"), member(2), member(3, 102)
    for it in (first, second, other):
        roster.enter(it)
    assert roster[2] is second
    assert roster.of_user(101) == (first, second)
    assert roster.of_user(103) == ()
    assert roster.windows == {Window(101, "a"): first}


def test_whoever_came_last_is_the_windows(roster: Sessions[Member]) -> None:
    former, latter = member(1, window="a"), member(2, window="a")
    roster.enter(former)
    roster.enter(latter)
    assert roster.leave(former)
    assert roster.windows == {Window(101, "a"): latter}


def test_nothing_is_left_of_who_has_left(roster: Sessions[Member]) -> None:
    first, second = member(1, window="a"), member(2)
    roster.enter(first)
    roster.enter(second)
    assert roster.leave(first) and roster.leave(second)
    assert not roster.leave(first)
    assert (dict(roster), roster.users, roster.windows) == ({}, {}, {})


def test_an_operator_speaks_for_no_window() -> None:
    assert window_of(member(1, window="a", role=Role.OPERATOR)) is None
    assert window_of(member(1)) is None
    assert window_of(member(1, window="a")) == (101, "a")
