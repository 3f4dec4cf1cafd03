"""From messages to publications."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import ALICE, CAMPAIGN, MEMBERS, create, delete, link, presence, rights, update
from tests.fakes import MEMBER, WIRE, message
from tuleaprt.tuleap import publications
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import Linked
from tuleaprt.tuleap.inputs import CampaignSeeded, OperatorPublish, Post, decode_seed
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.wamp.publication import Audience, Publication, Window


def publications_for(
    message: Message, new_id: Callable[[int], int], audience: Audience | None = None
) -> tuple[Publication, ...]:
    input = OperatorPublish(message=message, audience=audience) if audience else Post(message=message)
    campaigns = Campaigns(max=9, idle_seconds=9, max_publications=1000)
    if isinstance(message.command, Linked):
        campaigns.executions.learn(message.topic, message.command.execution, message.rights)
    return publications.publications_for(input, 1000, campaigns, new_id)


ALL = frozenset({*MEMBER, "@gpig_project_admin", "@ug_158", "@ug_159"})


@pytest.mark.parametrize("path", [it for it in WIRE if "presence" not in it.name], ids=lambda it: it.stem)
def test_a_message_is_published_verbatim(path: Path) -> None:
    posted = json.loads(path.read_bytes())
    publication, *_ = publications_for(decode(path.read_bytes()), lambda index: 1000 + index)
    assert publication.id == 1000
    kwargs = publication.view(ALL, None)
    assert kwargs is not None
    assert (kwargs["cmd"], json.loads(kwargs["data"].text)) == (posted["cmd"], posted["data"])
    assert kwargs["data"].text in path.read_bytes()
    assert publication.view(frozenset({"@other_project_members"}), None) is None


def test_the_view_wants_to_know_the_submitter() -> None:
    (publication,) = publications_for(message(), lambda index: 1)
    assert publication.submitters == {102}


def test_a_structure_message_has_no_submitter() -> None:
    rights = {
        "submitter_id": None,
        "submitter_can_view": False,
        "submitter_only": [],
        "artifact": [],
        "tracker": ["@a"],
    }
    (publication,) = publications_for(message(rights=rights), lambda index: 1)
    assert publication.submitters == frozenset()


def test_the_sender_is_a_window() -> None:
    (publication,) = publications_for(message(sender_user_id=101, sender_uuid="u"), lambda index: 1)
    assert publication.sender == Window(101, "u")


@pytest.mark.parametrize("uuid", [None, ""])
def test_a_sender_without_uuid_is_no_window(uuid: str | None) -> None:
    (publication,) = publications_for(message(sender_uuid=uuid), lambda index: 1)
    assert publication.sender is None


def test_whom_an_operator_wants_to_reach_goes_with_it() -> None:
    audience = Audience(eligible=frozenset())
    (publication,) = publications_for(message(), lambda index: 1, audience)
    assert publication.audience is audience


def test_it_weighs_what_was_posted() -> None:
    (publication,) = publications_for(decode(WIRE[0].read_bytes()), lambda index: 1)
    assert publication.size == len(WIRE[0].read_bytes())


def test_the_lists_of_its_audience_weigh_too() -> None:
    audience = Audience(exclude_authid=frozenset({"1", "2"}))
    (publication,) = publications_for(message(), lambda index: 1, audience)
    assert publication.size == message().size + audience.weight


def publish(campaigns: Campaigns, body: dict[str, Any]) -> Publication:
    input = Post(message=decode(json.dumps(body).encode()))
    return publications.publications_for(input, 1000, campaigns, lambda index: index)[0]


MEMBER_GROUPS, CHOSEN = frozenset(MEMBERS), frozenset({*MEMBERS, "@ug_158"})
RESTRICTED = rights(artifact=["@ug_158"])


@pytest.mark.parametrize("told", [update(ALICE, 39, "passed"), create(39), delete(39)])
@pytest.mark.parametrize("later", [update(ALICE, 39, "failed"), create(39), delete(39), presence(ALICE, 39)])
def test_attack_forgotten_campaign(told: dict[str, Any], later: dict[str, Any]) -> None:
    campaigns = Campaigns(max=1, idle_seconds=9, max_publications=1000)
    first = publish(campaigns, told)
    publish(campaigns, create(1, campaign=10))
    assert first.view(MEMBER_GROUPS, None) is not None
    publish(campaigns, later | {"rights": RESTRICTED})
    if later["cmd"] == "testmanagement_user:presence":
        publish(campaigns, presence(ALICE, 1, campaign=10))
    for id in (11, 12):
        publish(campaigns, create(1, campaign=id))
        assert first.view(MEMBER_GROUPS, None) is None
        assert first.view(CHOSEN, None) is not None


def test_attack_a_bug_is_linked_to_a_test_whose_campaign_was_forgotten() -> None:
    campaigns = Campaigns(max=1, idle_seconds=9, max_publications=1000)
    publish(campaigns, create(39, rights=RESTRICTED))
    publish(campaigns, create(1, campaign=10))
    linked = publish(campaigns, link(39))
    assert (linked.view(MEMBER_GROUPS, None), linked.view(CHOSEN, None)) == (None, linked.kwargs)


def test_attack_a_bug_is_linked_to_a_test_that_is_unknown_after_a_restart() -> None:
    linked = publish(Campaigns(max=9, idle_seconds=9, max_publications=1000), link(39))
    assert linked.view(CHOSEN, None) is None
    assert linked.kwargs is not None


def test_the_history_obeys_the_rights_that_a_seed_brings() -> None:
    campaigns = Campaigns(max=9, idle_seconds=9, max_publications=1000)
    told = publish(campaigns, update(ALICE, 39, "passed"))
    entry = {"execution_id": 39, "status": "passed", "user": None}
    for given, seen in ((None, True), (RESTRICTED, False), (None, False), (rights(), True)):
        of = None if given is None else {key: it for key, it in given.items() if key != "field"}
        results, users = decode_seed(json.dumps([entry | {"rights": of}]).encode())
        input = CampaignSeeded(topic=CAMPAIGN, results=results, users=users)
        publications.publications_for(input, 1000, campaigns, lambda index: index)
        assert (told.view(MEMBER_GROUPS, None) is not None) is seen
        assert told.view(CHOSEN, None) is not None
