"""From messages to publications."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import ALICE, MEMBERS, create, presence, rights, update
from tests.fakes import MEMBER, WIRE, message
from tuleaprt.tuleap import publications
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import OperatorPublish, Post
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.wamp.publication import Audience, Publication, Window


def publications_for(
    message: Message, new_id: Callable[[int], int], audience: Audience | None = None
) -> tuple[Publication, ...]:
    input = OperatorPublish(message=message, audience=audience) if audience else Post(message=message)
    return publications.publications_for(input, 1000, Campaigns(max=9, idle_seconds=9), new_id)


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


def test_a_message_obeys_todays_rights_even_of_a_campaign_that_was_forgotten_meanwhile() -> None:
    campaigns = Campaigns(max=1, idle_seconds=9)

    def publish(body: dict[str, Any]) -> Publication:
        made = publications.publications_for(
            Post(message=decode(json.dumps(body).encode())), 1000, campaigns, lambda index: index
        )
        return made[0]

    told = publish(update(ALICE, 39, "passed"))
    publish(create(1, campaign=10))
    members = frozenset(MEMBERS)
    assert told.view(members, None) is not None
    publish(presence(ALICE, 39, rights=rights(artifact=["@ug_158"])))
    assert told.view(members, None) is None
    assert told.view(members | {"@ug_158"}, None) is not None
