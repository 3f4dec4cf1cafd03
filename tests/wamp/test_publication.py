"""The audience that a publisher names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import identity
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR, Identity, Role
from tuleaprt.wamp.publication import Audience, JsonText

PEOPLE: dict[int, Identity] = {
    1: identity(101),
    2: identity(101),
    3: identity(102),
    4: identity(102, role=Role.OPERATOR),
    5: ANONYMOUS_OPERATOR,
}
"""By session."""


def reached(**conditions: Any) -> set[int]:
    wanted = Audience(**conditions)
    return {session for session, who in PEOPLE.items() if wanted.admits(session, who)}


def test_without_conditions_everybody_is_meant() -> None:
    assert reached() == set(PEOPLE)


@pytest.mark.parametrize("condition", ["eligible", "eligible_authid", "eligible_authrole"])
def test_an_empty_list_of_the_eligible_means_nobody(condition: str) -> None:
    assert reached(**{condition: frozenset()}) == set()


@pytest.mark.parametrize("condition", ["exclude", "exclude_authid", "exclude_authrole"])
def test_an_empty_list_of_the_excluded_excludes_nobody(condition: str) -> None:
    assert reached(**{condition: frozenset()}) == set(PEOPLE)


def test_the_eligible() -> None:
    assert reached(eligible=frozenset({1, 3, 99})) == {1, 3}
    assert reached(eligible_authid=frozenset({"101", "anonymous"})) == {1, 2, 5}
    assert reached(eligible_authrole=frozenset({"operator"})) == {4, 5}


def test_the_excluded() -> None:
    assert reached(exclude=frozenset({1, 99})) == {2, 3, 4, 5}
    assert reached(exclude_authid=frozenset({"102"})) == {1, 2, 5}
    assert reached(exclude_authrole=frozenset({"user"})) == {4, 5}


def test_the_publisher_is_left_out_and_not_his_other_sessions() -> None:
    assert reached(publisher=1) == {2, 3, 4, 5}
    assert reached(publisher=1, eligible=frozenset({1, 2})) == {2}


sessions = st.frozensets(st.integers(1, 6))
authids = st.frozensets(st.sampled_from(["101", "102", "103", "anonymous"]))
authroles = st.frozensets(st.sampled_from(["user", "operator"]))


@given(
    st.none() | sessions,
    st.none() | authids,
    st.none() | authroles,
    sessions,
    authids,
    authroles,
    st.none() | st.integers(1, 6),
)
def test_every_condition_takes_away_whom_it_does_not_want(
    eligible: frozenset[int] | None,
    eligible_authid: frozenset[str] | None,
    eligible_authrole: frozenset[str] | None,
    exclude: frozenset[int],
    exclude_authid: frozenset[str],
    exclude_authrole: frozenset[str],
    publisher: int | None,
) -> None:
    def called(names: frozenset[str]) -> set[int]:
        return {session for session, who in PEOPLE.items() if names & {who.authid, who.role.value}}

    expected = set(PEOPLE) - exclude - called(exclude_authid) - called(exclude_authrole) - {publisher}
    if eligible is not None:
        expected &= eligible
    if eligible_authid is not None:
        expected &= called(eligible_authid)
    if eligible_authrole is not None:
        expected &= called(eligible_authrole)
    assert expected == reached(
        eligible=eligible,
        eligible_authid=eligible_authid,
        eligible_authrole=eligible_authrole,
        exclude=exclude,
        exclude_authid=exclude_authid,
        exclude_authrole=exclude_authrole,
        publisher=publisher,
    )


@pytest.mark.parametrize(
    ("audience", "names_sessions"),
    [
        (Audience(), False),
        (Audience(eligible_authid=frozenset({"101"}), exclude_authrole=frozenset({"user"})), False),
        (Audience(publisher=1), False),
        (Audience(eligible=frozenset()), True),
        (Audience(eligible=frozenset({1})), True),
        (Audience(exclude=frozenset()), False),
        (Audience(exclude=frozenset({1})), True),
    ],
)
def test_an_audience_says_whether_it_names_single_sessions(audience: Audience, names_sessions: bool) -> None:
    assert audience.names_sessions is names_sessions


def test_json_texts_are_compared_by_their_letters() -> None:
    assert JsonText(b"1") == JsonText(b"1")
    assert JsonText(b"1") != JsonText(b"1.0")
    assert JsonText(b"1") != b"1"
    assert len({JsonText(b"1"), JsonText(b"1")}) == 1


def test_an_audience_weighs_what_its_lists_take() -> None:
    assert Audience().weight == 0
    assert Audience(eligible=frozenset(), exclude_authid=frozenset({"1", "2"}), publisher=1).weight == 400
