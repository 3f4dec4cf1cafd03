"""What the server knows of the campaigns."""

import json
from typing import Any

import pytest

from tests.fakes import CAMPAIGN, identity, message, rights
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import Created, Deleted, Linked, Viewing
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
    return Campaigns(max=3, idle_seconds=100)


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
    say(campaigns, Deleted(execution=40), ALL)
    assert (campaigns.presences(CAMPAIGN, MEMBER), scores(campaigns)) == ({}, {})
    assert campaigns.rights_of(CAMPAIGN, 39) == FEW
    assert campaigns.rights_of(CAMPAIGN, 40) is campaigns.rights_of(topic(10), 40) is None


def test_a_deleted_execution_has_no_viewers_and_no_points(campaigns: Campaigns) -> None:
    update(campaigns, 39)
    view(campaigns, 39)
    assert say(campaigns, Deleted(execution=39)) == []
    assert (campaigns.presences(CAMPAIGN, OPERATOR), scores(campaigns, OPERATOR)) == ({}, {})


def test_the_podium_of_a_campaign_that_is_unknown_is_empty(campaigns: Campaigns) -> None:
    assert campaigns.podium(CAMPAIGN, OPERATOR) == []


def known(campaigns: Campaigns) -> list[int]:
    return [id for id in range(20) if campaigns.rights_of(topic(id), 39) is not None]


def test_the_longest_idle_is_forgotten_first(campaigns: Campaigns) -> None:
    for id in (1, 2, 3):
        say(campaigns, Created(execution=39), id=id, at=1000 + id)
    say(campaigns, Created(execution=40), id=1, at=1010)
    say(campaigns, Created(execution=39), id=4, at=1011)
    assert (known(campaigns), len(campaigns)) == ([1, 3, 4], 3)


def test_what_is_idle_for_long_is_forgotten(campaigns: Campaigns) -> None:
    say(campaigns, Created(execution=39), id=1)
    say(campaigns, Created(execution=39), id=2, at=1050)
    say(campaigns, Created(execution=40), id=2, at=1100)
    assert known(campaigns) == [2]


def test_a_campaign_that_somebody_looks_at_is_not_idle(campaigns: Campaigns) -> None:
    view(campaigns, 39, id=1)
    for id in range(2, 9):
        say(campaigns, Created(execution=39), id=id, at=1000 + 200 * id)
    assert known(campaigns) == [1, 8]
    for id in range(10, 15):
        say(campaigns, Created(execution=39), id=id, at=3000)
    assert known(campaigns) == [1, 13, 14]
    say(campaigns, Viewing(execution=39, left=39, window=ALICE, viewer=JsonText(b"{}")), id=1, at=3001)
    say(campaigns, Created(execution=39), id=15, at=3100.5)
    assert known(campaigns) == [1, 15]


def test_all_may_have_viewers(campaigns: Campaigns) -> None:
    for id in range(1, 6):
        viewing = Viewing(execution=39, left=None, window=Window(id, "w"), viewer=JsonText(b"{}"))
        say(campaigns, viewing, id=id)
    assert len(campaigns) == 5
