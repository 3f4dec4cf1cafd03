"""Client libraries of others, over each transport and by each serializer."""

import pytest
import pytest_twisted

from tests.end_to_end.clients import WampError, received
from tests.end_to_end.server import Server
from tests.fakes import CAMPAIGN, KANBAN, body, ticket
from tests.interop.conftest import operator
from tests.interop.drivers import Join

ensure = pytest_twisted.ensureDeferred
DATA = {"artifact_id": 321, "label": "Réunion ☃ 𝄞", "values": [0.5, None, True, -1, 2**53, {}]}
RIGHTS = body()["rights"]
DELETE = {"cmd": "kanban:delete", "data": ""}


@ensure
async def test_a_page_gets_what_tuleap_posts_until_it_unsubscribes(join: Join, server: Server) -> None:
    page = await join(ticket(102))
    assert (page.welcome["authid"], page.welcome["authrole"]) == ("102", "user")
    subscription = await page.subscribe(KANBAN)
    await server.post(body(data=DATA))
    kwargs = {"cmd": "kanban_item:create", "data": DATA}
    assert await received(page) == [{"args": [], "kwargs": kwargs, "topic": None}]
    await page.unsubscribe(subscription)
    await server.post(body(data=DATA))
    assert await received(page) == []


@ensure
async def test_a_page_asks_for_what_it_missed(join: Join, server: Server) -> None:
    posted = [(await server.post(body(data={"number": number}))).json["publication"] for number in range(3)]
    page = await join(ticket())
    subscription = await page.subscribe(KANBAN)
    missed = await page.call("wamp.subscription.get_events", subscription, after_publication=posted[0])
    assert [it["publication"] for it in missed["args"]] == posted[1:]
    assert [it["kwargs"]["data"]["number"] for it in missed["args"]] == [1, 2]
    assert missed["kwargs"] == {"position": posted[2], "position_lost": False, "more": False}


@ensure
async def test_a_ticket_that_is_not_good(join: Join) -> None:
    with pytest.raises(WampError, match=r"^wamp\.error\.authentication_denied$"):
        await join(ticket(key=b"k" * 64))


@ensure
async def test_a_user_is_told_what_he_may_not_do(join: Join) -> None:
    page = await join(ticket())
    for asked in (
        page.subscribe("org.tuleap", match="prefix"),
        page.publish(KANBAN, DELETE | {"rights": RIGHTS}),
        page.call("wamp.session.count"),
    ):
        with pytest.raises(WampError, match=r"^wamp\.error\.not_authorized$"):
            await asked


@ensure
async def test_an_operator_publishes_to_whom_he_likes(join: Join) -> None:
    alice, bob, stranger = [await join(ticket(*it)) for it in ((102,), (103,), (104, ["@site_restricted"]))]
    for page in (alice, bob, stranger):
        await page.subscribe(KANBAN)
    publisher = await join(operator())
    await publisher.publish(KANBAN, DELETE | {"rights": RIGHTS})
    await publisher.publish(KANBAN, DELETE | {"rights": RIGHTS}, eligible=[bob.welcome["id"]])
    await publisher.publish(KANBAN, DELETE | {"rights": RIGHTS}, exclude_authid=["103"])
    event = {"args": [], "kwargs": DELETE, "topic": None}
    assert await received(alice) == [event] * 2
    assert await received(bob) == [event] * 2
    assert await received(stranger) == []


@ensure
async def test_a_publication_without_rights_is_refused(join: Join) -> None:
    publisher = await join(operator())
    with pytest.raises(WampError, match=r"^wamp\.error\.invalid_argument$"):
        await publisher.publish(KANBAN, DELETE)


@pytest.mark.parametrize(
    ("match", "pattern", "topics"),
    [
        ("prefix", "org.tuleap", [KANBAN, CAMPAIGN]),
        ("prefix", "org.tuleap.kanban", [KANBAN]),
        ("wildcard", "org.tuleap..9", [CAMPAIGN]),
    ],
)
@ensure
async def test_an_operator_watches_by_pattern(
    join: Join, server: Server, match: str, pattern: str, topics: list[str]
) -> None:
    watcher = await join(operator())
    await watcher.subscribe(pattern, match=match)
    await server.post(body(room_id=3))
    await server.post(body(room_id="testmanagement_9", cmd="testmanagement_campaign:update"))
    assert [it["topic"] for it in await received(watcher)] == topics


@ensure
async def test_who_has_two_patterns_and_the_topic_gets_an_event_of_each(join: Join, server: Server) -> None:
    watcher = await join(operator())
    await watcher.subscribe(KANBAN)
    await watcher.subscribe("org.tuleap", match="prefix")
    await watcher.subscribe("org..kanban.3", match="wildcard")
    await server.post(body(room_id=3))
    assert [it["topic"] for it in await received(watcher)] == [None, KANBAN, KANBAN]


@ensure
async def test_a_session_is_prolonged(join: Join) -> None:
    page = await join(ticket(102))
    prolonged = await page.call("org.tuleap.session.refresh", ticket(102))
    assert list(prolonged["args"][0]) == ["expires_at"]
    with pytest.raises(WampError, match=r"^org\.tuleap\.error\.token_invalid$"):
        await page.call("org.tuleap.session.refresh", ticket(103))


@ensure
async def test_an_operator_asks_who_is_there(join: Join) -> None:
    page, watcher = await join(ticket(4711)), await join(operator())
    subscription = await page.subscribe(KANBAN)
    here = (await watcher.call("wamp.session.list"))["args"][0]
    assert {page.welcome["id"], watcher.welcome["id"]} <= set(here)
    assert (await watcher.call("wamp.session.count"))["args"] == [len(here)]
    assert (await watcher.call("wamp.session.get", page.welcome["id"]))["args"][0]["authid"] == "4711"
    subscribers = await watcher.call("wamp.subscription.list_subscribers", subscription)
    assert page.welcome["id"] in subscribers["args"][0]


@ensure
async def test_an_operator_sends_a_session_away(join: Join) -> None:
    page, killer = await join(ticket()), await join(operator())
    await killer.call("wamp.session.kill", page.welcome["id"], reason="org.tuleap.test.enough")
    assert await page.end() == "for good"


@ensure
async def test_who_is_anonymous_is_an_operator_on_the_debug_endpoint(join: Join) -> None:
    debugger = await join()
    assert debugger.welcome["authrole"] == "operator"
    await debugger.subscribe("org.tuleap", match="prefix")
    assert (await debugger.call("wamp.session.count"))["args"] != [0]
