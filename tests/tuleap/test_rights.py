"""Tuleap's rule, by its cases and against a second formulation of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import cases, rights
from tuleaprt.tuleap.rights import Rights

GROUPS = ("@a", "@b", "@c")
some_groups = st.frozensets(st.sampled_from(GROUPS))
user_ids = st.one_of(st.none(), st.sampled_from([101, 102]))
some_rights = st.builds(
    Rights,
    submitter_id=user_ids,
    submitter_can_view=st.booleans(),
    submitter_only=some_groups,
    artifact=some_groups,
    tracker=st.frozensets(st.sampled_from(GROUPS), min_size=1),
)


@pytest.mark.parametrize("case", cases("rights_cases.json"), ids=lambda case: str(case["id"]))
def test_case(case: dict[str, Any]) -> None:
    try:
        parsed = msgspec.convert(case["rights"], Rights)
        groups = msgspec.convert(case["user_rights"] or [], frozenset[str])
    except msgspec.ValidationError:
        receives = False
    else:
        receives = parsed.admit(groups, case["user_id"])
    assert receives is case["tuleaprt"]["receives"], case["why"]


@given(some_rights, some_groups, user_ids)
def test_rule_equals_the_sentences_of_the_contract(
    rights: Rights, groups: frozenset[str], user_id: int | None
) -> None:
    in_tracker = any(group in rights.tracker for group in groups)
    unrestricted = len(rights.artifact) == 0
    in_artifact = any(group in rights.artifact for group in groups)
    is_submitter = user_id is not None and rights.submitter_id == user_id
    in_submitter_only = any(group in rights.submitter_only for group in groups)
    ordinary = in_tracker and (unrestricted or in_artifact)
    as_submitter = is_submitter and rights.submitter_can_view and in_submitter_only
    assert rights.admit(groups, user_id) is (ordinary or as_submitter)


@given(some_rights, some_groups, some_groups, user_ids)
def test_another_group_never_hides_a_message(
    rights: Rights, groups: frozenset[str], more: frozenset[str], user_id: int | None
) -> None:
    if rights.admit(groups, user_id):
        assert rights.admit(groups | more, user_id)


@given(some_rights, user_ids)
def test_nobody_without_a_group_receives_anything(rights: Rights, user_id: int | None) -> None:
    assert not rights.admit(frozenset(), user_id)


@given(some_groups)
def test_of_two_users_with_equal_groups_only_the_submitter_may_gain_by_having_submitted(
    groups: frozenset[str],
) -> None:
    own = rights(submitter_id=101, submitter_can_view=True, submitter_only=frozenset({"@a"}))
    assert own.admit(groups, 101) is ("@a" in groups)
    assert own.admit(groups, None) is False
    assert own.admit(groups, 102) is False


def test_empty_artifact_list_restricts_nobody_and_empty_submitter_list_admits_nobody() -> None:
    assert rights(artifact=frozenset()).admit(frozenset({"@site_active"}), None)
    submitted = rights(submitter_id=101, submitter_can_view=True, tracker=frozenset({"@x"}))
    assert not submitted.admit(frozenset({"@site_active"}), 101)
