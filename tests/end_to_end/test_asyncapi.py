"""docs/asyncapi.json says what a page receives: events and answers of a real server are compared with it."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from jsonschema import Draft7Validator

from tests.campaigns import ALICE, BOB, create, delete, link, presence, update
from tests.campaigns import CAMPAIGN as CAMPAIGN_TOPIC
from tests.docs.pages import printed_by
from tests.end_to_end.clients import PythonClient, received
from tests.end_to_end.processes import ROOT
from tests.end_to_end.server import Server
from tests.fakes import WIRE, ticket
from tuleaprt.tuleap.commands import LEAVE
from tuleaprt.tuleap.topics import room

ensure = pytest_twisted.ensureDeferred
FILE = ROOT / "docs" / "asyncapi.json"
DOCUMENT = json.loads(FILE.read_text())
SCHEMA = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
KANBANS = [it for it in WIRE if it.stem.startswith("kanban")]
Start = Callable[..., Awaitable[Server]]


def valid(schema: Any) -> Draft7Validator:
    # References are to the components of the document.
    return Draft7Validator({"allOf": [schema], "components": DOCUMENT["components"]})


def payload(message: str) -> Draft7Validator:
    return valid(DOCUMENT["components"]["messages"][message]["payload"])


def messages_of(channel: str, event: Any) -> list[str]:
    """The messages of the channel that the event may be."""
    return [it for it in DOCUMENT["channels"][channel]["messages"] if payload(it).is_valid(event)]


def test_the_description_is_up_to_date_and_as_asyncapi_wants_it() -> None:
    assert printed_by("docs/asyncapi.py") == FILE.read_text(), (
        "run: python docs/asyncapi.py > docs/asyncapi.json"
    )
    assert list(Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(DOCUMENT)) == []


def test_the_addresses_are_those_of_the_rooms() -> None:
    for channel, room_id in (("kanban", 3), ("campaign", "testmanagement_3")):
        _, topic = room(room_id)
        assert DOCUMENT["channels"][channel]["address"].replace("{id}", "3") == topic


EVENT = {"cmd": "kanban_item:create", "data": {"artifact_id": 321}}


@pytest.mark.parametrize(
    "event",
    [
        {"data": EVENT["data"]},
        {"cmd": EVENT["cmd"]},
        {**EVENT, "rights": {}},
        {**EVENT, "cmd": "token_has_been_updated"},
    ],
)
def test_what_is_no_event_is_not_described(event: dict[str, Any]) -> None:
    assert messages_of("kanban", EVENT) == ["KanbanChange"]
    assert messages_of("kanban", event) == []


@ensure
async def test_events_and_answers_are_as_described(start: Start) -> None:
    server = await start(TULEAPRT_PRESENCE__GRACE="0.1")
    page, other = PythonClient(server.url), PythonClient(server.url)
    await page.open(ticket())
    subscriptions = {CAMPAIGN_TOPIC: await page.subscribe(CAMPAIGN_TOPIC)}
    posts = [json.loads(it.read_bytes()) for it in KANBANS]
    for topic in {room(it["room_id"])[1] for it in posts}:
        subscriptions[topic] = await page.subscribe(topic)
    await other.open(ticket(BOB), uuid="22222222-2222-4222-8222-222222222222")
    await other.subscribe(CAMPAIGN_TOPIC)
    posts += [
        *(create(39), create(40), presence(ALICE, 39), presence(BOB, 39), update(ALICE, 39, "passed")),
        *(presence(BOB, 40, 39), presence(ALICE, 39, 39), link(40), delete(39)),
    ]
    for body in posts:
        assert (await server.post(body)).status == 200
    await other.leave()
    await page.event(LEAVE)

    seen = set()
    for event in await received(page):
        channel = "campaign" if event["kwargs"]["cmd"] in _of_campaigns(posts) else "kanban"
        found = messages_of(channel, event["kwargs"])
        assert len(found) == 1, event
        seen.update(found)
    assert seen == {"KanbanChange", "CampaignChange", "Presence", "Leave", "Podium"}

    assert (await server.post(presence(ALICE, 40))).status == 200
    assert (await server.post(update(ALICE, 40, "passed"))).status == 200
    calls: dict[str, list[Any]] = {
        "ping": [],
        "refresh": [ticket()],
        "presences": [9],
        "podium": ["9"],
        "get_events": [subscriptions[CAMPAIGN_TOPIC]],
    }
    for name, args in calls.items():
        assert payload(f"{name}_call").is_valid({"args": args, "kwargs": {}})
        answer = await page.call(DOCUMENT["channels"][name]["address"], *args)
        said = {"args": list(answer.args), "kwargs": answer.kwargs}
        assert list(payload(f"{name}_answer").iter_errors(said)) == [], said
        assert not payload(f"{name}_answer").is_valid(said | {"args": [*said["args"], "more"]})
        if name in ("presences", "podium", "get_events"):
            assert said["args"][0]
    with pytest.raises(Exception, match="invalid_argument"):
        await page.call(DOCUMENT["channels"]["presences"]["address"], "x")
    assert not payload("presences_call").is_valid({"args": ["x"], "kwargs": {}})


def _of_campaigns(posts: list[dict[str, Any]]) -> set[str]:
    mine = {it["cmd"] for it in posts if str(it["room_id"]).startswith("testmanagement")}
    return {*mine, LEAVE, "testmanagement_podium:update"}


def test_every_reference_has_its_target() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            for name, value in part.items():
                if name == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in references(DOCUMENT):
        target = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
