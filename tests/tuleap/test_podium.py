"""The podium of a campaign."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FIXTURES, rights
from tuleaprt.tuleap.podium import Ledger, Podium, Result
from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.publication import JsonText

ALL = rights()
FEW = rights(artifact=frozenset({"@ug_158"}))


def user(id: int, name: str = "") -> JsonText:
    return JsonText(json.dumps({"id": id, "real_name": name}).encode())


def update(
    ledger: Ledger,
    execution: int,
    status: str | None,
    author: int | None,
    of: Rights = ALL,
    *,
    is_automated: bool | None = None,
    name: str = "",
) -> None:
    representation = user(author or 0, name)
    ledger.update(
        execution, status=status, author=author, user=representation, is_automated=is_automated, rights=of
    )


def scores(podium: Podium, seen: Iterable[Rights | None] = (ALL,)) -> dict[int, int]:
    return {json.loads(it["user"].text)["id"]: it["score"] for it in podium.standings(seen)}


def whole(podium: Podium) -> list[Any]:
    return podium.standings(podium.scores)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


CURRENT = json.loads((FIXTURES / "podium_cases.json").read_text())["current"]


@pytest.mark.parametrize("case", CURRENT, ids=lambda case: str(case["id"]))
def test_the_rule_of_todays_pages(ledger: Ledger, case: dict[str, Any]) -> None:
    results, users = {}, {}
    for it in case["executions"]:
        if (definition := it["definition"]) is not None:
            author = it["previous_result"]["submitted_by"]
            users[author["id"]] = user(author["id"])
            results[it["id"]] = Result(
                status=it["status"],
                author=author["id"],
                is_automated=definition["automated_tests"] != "",
                rights=ALL,
            )
    ledger.replace(results, users)
    wanted = case["tuleaprt"]
    found = scores(ledger.podium)
    assert {str(id): score for id, score in found.items()} == wanted["scores"]
    for group in wanted.get("by_score", []):
        assert sorted(list(found)[: len(group)]) == group
        for id in group:
            del found[id]


def test_passed_failed_blocked_and_whatever_else_there_is_count_and_notrun_does_not(ledger: Ledger) -> None:
    for execution, status in enumerate(["passed", "failed", "blocked", "à revoir", None, "notrun"], 1):
        update(ledger, execution, status, 101)
    assert scores(ledger.podium) == {101: 5}


def test_the_last_author_has_the_point(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    update(ledger, 39, "failed", 102)
    assert scores(ledger.podium) == {102: 1}
    update(ledger, 39, "notrun", 102)
    assert scores(ledger.podium) == {}


def test_a_result_of_nobody_is_nobodys(ledger: Ledger) -> None:
    update(ledger, 39, "passed", None)
    assert ledger.podium == Podium()


def test_automated_tests_do_not_count_and_stay_automated(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101, is_automated=True)
    update(ledger, 39, "failed", 102)
    assert ledger.podium == Podium()
    update(ledger, 39, "failed", 102, is_automated=False)
    assert scores(ledger.podium) == {102: 1}


def test_equal_scores_share_a_rank(ledger: Ledger) -> None:
    for execution, author in enumerate([103, 103, 101, 102, 102, 104], 1):
        update(ledger, execution, "passed", author)
    ranks = [(it["score"], it["rank"]) for it in whole(ledger.podium)]
    assert ranks == [(2, 1), (2, 1), (1, 3), (1, 3)]


def test_everybody_gets_the_scores_of_what_he_may_see(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    update(ledger, 40, "passed", 101, FEW)
    update(ledger, 41, "passed", 102, FEW)
    assert scores(ledger.podium) == {101: 1}
    assert scores(ledger.podium, [ALL, FEW]) == {101: 2, 102: 1}
    assert scores(ledger.podium, []) == {}


def test_a_point_is_where_the_newest_rights_put_it(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    ledger.regard(39, FEW)
    ledger.regard(40, FEW)
    assert (scores(ledger.podium), scores(ledger.podium, [FEW])) == ({}, {101: 1})
    assert len(ledger) == 1


def test_a_deleted_execution_gives_no_points(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    ledger.delete(39)
    ledger.delete(39)
    assert (ledger.podium, set(ledger.executions)) == (Podium(), set())


def test_a_user_is_represented_as_in_his_newest_result(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101, name="Alice")
    before = ledger.podium
    update(ledger, 40, "notrun", 101, name="Alice Martin")
    (standing,) = whole(ledger.podium)
    assert standing["user"] == user(101, "Alice Martin")
    assert whole(before)[0]["user"] == user(101, "Alice")


def test_who_has_no_points_is_forgotten(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    update(ledger, 39, "passed", 102)
    update(ledger, 40, "notrun", 103)
    assert set(ledger.podium.users) == {102}


def test_what_changes_nothing_leaves_the_podium_as_it_is(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    before = ledger.podium
    update(ledger, 39, "failed", 101)
    update(ledger, 40, "notrun", 102)
    ledger.regard(39, rights())
    assert ledger.podium is before


def test_a_seed_replaces_everything(ledger: Ledger) -> None:
    update(ledger, 39, "passed", 101)
    seeded = {
        40: Result(status="passed", author=102, is_automated=False, rights=ALL),
        41: Result(status="passed", author=102, is_automated=False, rights=None),
        42: Result(status="passed", author=103, is_automated=True, rights=ALL),
    }
    ledger.replace(seeded, {102: user(102), 103: user(103)})
    assert scores(ledger.podium) == {102: 1}
    assert scores(ledger.podium, [ALL, None]) == {102: 2}
    update(ledger, 41, "failed", 102)
    update(ledger, 42, "failed", 103)
    assert scores(ledger.podium) == {102: 2}


STATUS = st.sampled_from(["notrun", "passed", "failed", "blocked"])
STEP = st.one_of(
    st.tuples(
        st.just("update"), st.integers(1, 4), STATUS, st.integers(101, 103), st.sampled_from([ALL, FEW])
    ),
    st.tuples(st.just("delete"), st.integers(1, 4)),
    st.tuples(st.just("rights"), st.integers(1, 4), st.sampled_from([ALL, FEW])),
)


@given(st.lists(STEP), st.sampled_from([(), (ALL,), (FEW,), (ALL, FEW)]))
def test_it_equals_the_last_post_of_each_execution(steps: list[Any], seen: tuple[Rights, ...]) -> None:
    ledger = Ledger()
    last: dict[int, Any] = {}
    for kind, execution, *rest in steps:
        known = last.get(execution)
        if kind == "delete":
            ledger.delete(execution)
            last[execution] = None
        elif kind == "rights":
            ledger.regard(execution, *rest)
            if known is not None:
                last[execution] = (*known[:2], *rest)
        else:
            update(ledger, execution, *rest)
            last[execution] = rest
    points = [(author, of) for it in last.values() if it for status, author, of in [it] if status != "notrun"]
    visible = [author for author, of in points if of in seen]
    assert scores(ledger.podium, seen) == {author: visible.count(author) for author in visible}
    assert set(ledger.podium.users) == {author for author, _ in points}
    assert all(ledger.podium.scores.values())


@given(st.lists(STEP), st.randoms(use_true_random=False))
def test_how_the_posts_of_different_executions_interleave_changes_nothing(
    steps: list[Any], random: Any
) -> None:
    rows: dict[int, list[Any]] = {}
    for step in steps:
        rows.setdefault(step[1], []).extend([step, step] if random.random() < 0.3 else [step])
    order = [execution for execution, row in rows.items() for _ in row]
    random.shuffle(order)
    shuffled = [rows[execution].pop(0) for execution in order]
    assert ledger_after(shuffled).podium == ledger_after(steps).podium


def ledger_after(steps: list[Any]) -> Ledger:
    ledger = Ledger()
    for kind, execution, *rest in steps:
        if kind == "update":
            update(ledger, execution, *rest)
        elif kind == "delete":
            ledger.delete(execution)
        else:
            ledger.regard(execution, *rest)
    return ledger
