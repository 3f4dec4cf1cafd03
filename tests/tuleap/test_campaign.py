"""What the server knows of the campaigns."""

import json
from typing import Any

import pytest

from tests.fakes import CAMPAIGN, identity, message, rights
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import Created, Deleted, Linked, Updated, Viewing
from tuleaprt.tuleap.podium import Result
from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.publication import JsonText, Window

ALL, FEW = rights(), rights(artifact=frozenset({"@ug_158"}))
MEMBER, CHOSEN = identity(102), identity(103, ["@site_active", "@ug_158"])
OPERATOR = identity(1, role=Role.OPERATOR)
ALICE = Window(101, "a")


def topic(id: int) -> str:
    return f"org.tuleap.testmanagement.{id}"


@pytest.fixture
def campaigns() -> Campaigns:
    return Campaigns(max=3, idle_seconds=100, max_publications=1000)


def say(campaigns: Campaigns, command: Any, of: Rights = ALL, *, at: float = 1000, id: int = 9) -> list[Any]:
    return campaigns.apply(command, of, campaigns.campaign(topic(id), at), at)


def view(campaigns: Campaigns, execution: int, of: Rights = ALL, **where: Any) -> list[Any]:
    viewing = Viewing(execution=execution, left=None, window=ALICE, viewer=JsonText(b'{"id":101}'))
    return say(campaigns, viewing, of, **where)


def update(campaigns: Campaigns, execution: int, of: Rights = ALL, **data: Any) -> list[Any]:
    posted = {"artifact_id": execution, "status": "passed", "user": {"id": 101}, "previous_user": None} | data
    said = message(room_id="testmanagement_9", cmd="testmanagement_execution:update", data=posted)
    return say(campaigns, said.command, of)


def scores(campaigns: Campaigns, of: Any = MEMBER) -> dict[int, int]:
    standings = campaigns.podium(CAMPAIGN, of)
    return {json.loads(it["user"].text)["id"]: it["score"] for it in standings}


def test_a_snapshot_shows_the_executions_that_one_may_see(campaigns: Campaigns) -> None:
    view(campaigns, 39, FEW)
    assert campaigns.presences(CAMPAIGN, MEMBER) == {}
    assert campaigns.presences(CAMPAIGN, CHOSEN) == {39: [JsonText(b'{"id":101}')]}
    assert campaigns.presences(CAMPAIGN, OPERATOR) == campaigns.presences(CAMPAIGN, CHOSEN)
    assert campaigns.presences(topic(10), OPERATOR) == {}


def test_a_submitter_sees_what_he_submitted(campaigns: Campaigns) -> None:
    own = rights(
        tracker=frozenset({"@x"}),
        submitter_id=102,
        submitter_can_view=True,
        submitter_only=frozenset({"@site_active"}),
    )
    view(campaigns, 39, own)
    assert list(campaigns.presences(CAMPAIGN, MEMBER)) == [39]
    assert campaigns.presences(CAMPAIGN, CHOSEN) == {}


@pytest.mark.parametrize("newest", [Created(execution=39), "update", "view"])
def test_the_newest_rights_of_an_execution_hold(campaigns: Campaigns, newest: Any) -> None:
    update(campaigns, 39)
    view(campaigns, 39)
    if newest == "update":
        update(campaigns, 39, FEW)
    elif newest == "view":
        view(campaigns, 39, FEW)
    else:
        say(campaigns, newest, FEW)
    assert (campaigns.presences(CAMPAIGN, MEMBER), scores(campaigns)) == ({}, {})
    assert (list(campaigns.presences(CAMPAIGN, CHOSEN)), scores(campaigns, CHOSEN)) == ([39], {101: 1})


def test_the_rights_of_a_linked_bug_are_not_those_of_the_execution(campaigns: Campaigns) -> None:
    update(campaigns, 39, FEW)
    view(campaigns, 39, FEW)
    say(campaigns, Linked(execution=39), ALL)
    say(campaigns, Linked(execution=40), ALL)
    assert (campaigns.presences(CAMPAIGN, MEMBER), scores(campaigns)) == ({}, {})
    assert campaigns.executions.rights_of(CAMPAIGN, 39) == FEW
    assert campaigns.executions.rights_of(CAMPAIGN, 40) is None
    assert campaigns.executions.rights_of(topic(10), 39) is None


def seeded(campaigns: Campaigns, of: Rights | None, *executions: int) -> None:
    results = {
        it: Result(status="passed", author=101, is_automated=False, rights=of) for it in executions or (39,)
    }
    campaigns.seed(campaigns.campaign(CAMPAIGN, 1000), results, {101: JsonText(b'{"id":101}')})


def test_the_rights_that_a_seed_brings_hold_for_presence_and_podium(campaigns: Campaigns) -> None:
    update(campaigns, 39)
    view(campaigns, 39)
    seeded(campaigns, FEW)
    assert (campaigns.presences(CAMPAIGN, MEMBER), scores(campaigns)) == ({}, {})
    assert (list(campaigns.presences(CAMPAIGN, CHOSEN)), scores(campaigns, CHOSEN)) == ([39], {101: 1})


def test_a_seed_without_rights_leaves_those_that_are_known(campaigns: Campaigns) -> None:
    seeded(campaigns, None)
    assert (scores(campaigns), scores(campaigns, CHOSEN), scores(campaigns, OPERATOR)) == ({}, {}, {101: 1})
    view(campaigns, 39, FEW)
    seeded(campaigns, None)
    assert (scores(campaigns), scores(campaigns, CHOSEN)) == ({}, {101: 1})


def test_a_deleted_execution_has_no_viewers_and_no_points(campaigns: Campaigns) -> None:
    update(campaigns, 39)
    view(campaigns, 39)
    assert say(campaigns, Deleted(execution=39)) == []
    assert (campaigns.presences(CAMPAIGN, OPERATOR), scores(campaigns, OPERATOR)) == ({}, {})


def test_the_podium_of_a_campaign_that_is_unknown_is_empty(campaigns: Campaigns) -> None:
    assert campaigns.podium(CAMPAIGN, OPERATOR) == []


def test_a_late_update_does_not_bring_a_deleted_execution_back(campaigns: Campaigns) -> None:
    update(campaigns, 39)
    say(campaigns, Deleted(execution=39))
    update(campaigns, 39)
    assert scores(campaigns) == {}
    seeded(campaigns, ALL, 40)
    update(campaigns, 39)
    assert scores(campaigns) == {101: 1}
    say(campaigns, Created(execution=39))
    update(campaigns, 39)
    assert scores(campaigns) == {101: 2}


def test_a_seed_that_lists_a_deleted_execution_brings_it_back(campaigns: Campaigns) -> None:
    say(campaigns, Deleted(execution=39))
    seeded(campaigns, ALL, 39)
    seeded(campaigns, ALL)
    update(campaigns, 39)
    assert scores(campaigns) == {101: 1}


def known(campaigns: Campaigns) -> list[int]:
    """The campaigns that are remembered."""
    return [id for id in range(20) if campaigns.podium(topic(id), OPERATOR)]


def result(campaigns: Campaigns, *, at: float = 1000, id: int = 9) -> None:
    user = JsonText(b'{"id":101}')
    say(campaigns, Updated(execution=39, status="passed", author=101, user=user), id=id, at=at)


def test_the_longest_idle_is_forgotten_first(campaigns: Campaigns) -> None:
    for id in (1, 2, 3):
        result(campaigns, id=id, at=1000 + id)
    say(campaigns, Created(execution=40), id=1, at=1010)
    result(campaigns, id=4, at=1011)
    assert (known(campaigns), len(campaigns)) == ([1, 3, 4], 3)


def test_what_is_idle_for_long_is_forgotten(campaigns: Campaigns) -> None:
    result(campaigns, id=1)
    result(campaigns, id=2, at=1050)
    say(campaigns, Created(execution=40), id=2, at=1100)
    assert known(campaigns) == [2]


def test_a_campaign_that_somebody_looks_at_is_not_idle(campaigns: Campaigns) -> None:
    result(campaigns, id=1)
    view(campaigns, 39, id=1)
    for id in range(2, 9):
        result(campaigns, id=id, at=1000 + 200 * id)
    assert known(campaigns) == [1, 8]
    for id in range(10, 15):
        result(campaigns, id=id, at=3000)
    assert known(campaigns) == [1, 13, 14]
    say(campaigns, Viewing(execution=39, left=39, window=ALICE, viewer=JsonText(b"{}")), id=1, at=3001)
    result(campaigns, id=15, at=3100.5)
    assert known(campaigns) == [1, 15]


def test_all_may_have_viewers(campaigns: Campaigns) -> None:
    for id in range(1, 6):
        viewing = Viewing(execution=39, left=None, window=Window(id, "w"), viewer=JsonText(b"{}"))
        say(campaigns, viewing, id=id)
    assert len(campaigns) == 5


def test_attack_many_watched_campaigns_are_not_searched_for_an_idle_one(campaigns: Campaigns) -> None:
    for id in range(1, 100):
        viewing = Viewing(execution=39, left=None, window=Window(id, "w"), viewer=JsonText(b"{}"))
        say(campaigns, viewing, id=id)
    searched: list[str] = []
    viewers = campaigns.presence.viewers
    campaigns.presence.viewers = lambda of: (searched.append(of), viewers(of))[1]  # type: ignore[method-assign]
    say(campaigns, Created(execution=39), id=1)
    assert set(searched) == {topic(1)}


def small() -> Campaigns:
    """It keeps the rights of the two executions that were named last."""
    return Campaigns(max=3, idle_seconds=100, max_publications=1)


def rights_known(campaigns: Campaigns) -> list[int]:
    return [it for it in range(100) if campaigns.executions.rights_of(CAMPAIGN, it) is not None]


def test_rights_are_kept_of_what_was_named_last_has_a_result_or_a_viewer() -> None:
    campaigns = small()
    update(campaigns, 1)
    view(campaigns, 2)
    for execution in range(3, 9):
        say(campaigns, Created(execution=execution))
    assert rights_known(campaigns) == [1, 2, 7, 8]
    say(campaigns, Viewing(execution=2, left=2, window=ALICE, viewer=JsonText(b"{}")))
    assert rights_known(campaigns) == [1, 2, 8]
    say(campaigns, Deleted(execution=1))
    assert rights_known(campaigns) == [1, 2]
    say(campaigns, Created(execution=3))
    say(campaigns, Created(execution=4))
    assert rights_known(campaigns) == [3, 4]


def test_attack_executions_that_are_created_and_deleted_without_end_take_no_memory() -> None:
    campaigns = small()
    for execution in range(1, 100):
        update(campaigns, execution)
        say(campaigns, Deleted(execution=execution))
    assert len(campaigns.executions) == 2


def test_rights_that_a_seed_has_brought_go_with_its_results() -> None:
    campaigns = small()
    seeded(campaigns, ALL, 1, 2, 3)
    assert rights_known(campaigns) == [1, 2, 3]
    seeded(campaigns, ALL, 3)
    assert rights_known(campaigns) == [2, 3]
    for id in (10, 11, 12):
        result(campaigns, id=id)
    assert (rights_known(campaigns), len(campaigns.executions)) == ([2, 3], 5)


def test_attack_seeds_of_many_executions_do_not_displace_what_messages_name() -> None:
    campaigns = small()
    say(campaigns, Created(execution=50))
    for first in (1, 11, 21):
        seeded(campaigns, ALL, *range(first, first + 10))
    assert rights_known(campaigns) == [*range(21, 31), 50]
    seeded(campaigns, ALL, 40)
    assert (rights_known(campaigns), len(campaigns.executions)) == ([30, 40, 50], 3)


def test_a_window_that_goes_elsewhere_leaves_an_idle_campaign_behind(campaigns: Campaigns) -> None:
    view(campaigns, 39, id=1)
    view(campaigns, 39, id=2)
    assert campaigns.unsubscribed(ALICE, topic(2), 1050) != []
    for id in (3, 4):
        result(campaigns, id=id, at=1100.5)
    assert (len(campaigns), campaigns.grace_ended(ALICE, 0, 1101)) == (3, [])
