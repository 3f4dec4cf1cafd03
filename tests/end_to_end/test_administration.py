"""Administration of a running server, and tokens with fewer groups than before."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted

from tests.campaigns import ALICE, BOB, CAROL, presence, rights, update, user
from tests.end_to_end.clients import Node, WampError, received
from tests.end_to_end.pages import Page, as_posted, came, gone, podium, standings
from tests.end_to_end.server import Server
from tests.fakes import CAMPAIGN, KANBAN, MEMBER, body, ticket
from tests.web.requests import Answer
from tuleaprt.tuleap.commands import LEAVE
from tuleaprt.tuleap.ticket import MAX_CLOCK_SKEW

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]
SECRET = rights(artifact=["@gpig_project_admin", "@ug_158"])
RESULTS = [
    {"execution_id": 39, "status": "passed", "user": user(BOB), "rights": rights()},
    {"execution_id": 40, "status": "failed", "user": user(BOB), "rights": SECRET},
    {"execution_id": 41, "status": "passed", "user": user(CAROL), "automated": True, "rights": rights()},
    {"execution_id": 42, "status": "passed", "user": user(CAROL)},
    {"execution_id": 43, "status": "notrun", "user": None, "rights": rights()},
]
DENIED, REVOKED = "wamp.error.authentication_denied", "org.tuleap.close.revoked"
NOT_AUTHORIZED = r"^wamp\.error\.not_authorized$"


def operator() -> str:
    return ticket(1, [], role="operator")


async def put_results(server: Server, results: Any, token: str | None) -> Answer:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await server.request("PUT", "/campaigns/9/executions", json.dumps(results).encode(), **headers)


async def revoke(server: Server, user_id: int, token: str) -> Answer:
    return await server.request("DELETE", f"/sessions/{user_id}", Authorization=f"Bearer {token}")


@ensure
async def test_an_operator_says_what_the_results_of_a_campaign_are(start: Start, node: Node) -> None:
    server = await start()
    alice, carol = Page(node, ALICE), Page(node, CAROL)
    await alice.open(server.url, ticket(ALICE, [*MEMBER, "@ug_158"]))
    await carol.open(server.url)
    assert (await server.post(update(ALICE, 44, "passed"))).status == 200
    await carol.look()
    await alice.look()

    answer = await put_results(server, RESULTS, operator())
    assert (answer.status, list(answer.json)) == (200, ["publication"])
    assert await alice.look() == [podium((BOB, 2, 1))]
    (told,) = await received(carol.client)
    assert (told["kwargs"], told["publication"]) == (podium((BOB, 1, 1)), answer.json["publication"])

    assert (await put_results(server, RESULTS, operator())).status == 200
    assert await alice.look() == await carol.look() == []
    resets = update(BOB, 39, "notrun")
    assert (await server.post(resets)).status == 200
    assert await alice.look() == [as_posted(resets), podium((BOB, 1, 1))]
    assert await carol.look() == [as_posted(resets), podium()]
    # This makes the rights of execution 42 known.
    assert (await server.post(presence(BOB, 42))).status == 200
    assert await carol.look() == [came(BOB, 42, BOB), podium((CAROL, 1, 1))]
    for page in (alice, carol):
        await page.close()


@pytest.mark.parametrize(
    ("token", "status"),
    [(None, 401), (ticket(1, [], role="operator", key=b"k" * 64), 401), (ticket(), 403)],
    ids=["none", "forged", "of a user"],
)
@ensure
async def test_nobody_but_an_operator_does_that(
    server: Server, node: Node, token: str | None, status: int
) -> None:
    alice = Page(node, ALICE)
    await alice.open(server.url)
    assert (await put_results(server, RESULTS, token)).status == status
    assert (await revoke(server, ALICE, token or "")).status == status
    assert await alice.podium() == []
    assert not alice.client.closed.called
    await alice.close()


@ensure
async def test_a_user_whose_tickets_were_revoked_is_out_until_he_has_a_new_one(
    start: Start, node: Node
) -> None:
    server = await start(TULEAPRT_PRESENCE__GRACE="0.3")
    bob, his_other, carol = Page(node, BOB), Page(node, BOB, "another window"), Page(node, CAROL)
    old, older = ticket(BOB), ticket(BOB)
    await bob.open(server.url, old)
    await his_other.open(server.url)
    await carol.open(server.url)
    assert (await server.post(presence(BOB, 39))).status == 200

    answer = await revoke(server, BOB, operator())
    assert (answer.status, answer.json) == (200, {"user_id": BOB})
    assert [await it.client.closed for it in (bob, his_other)] == [REVOKED, REVOKED]
    for token in (old, older, ticket(BOB, exp=time.time() + 1805)):
        with pytest.raises(WampError, match=DENIED):
            await bob.open(server.url, token)
    await carol.client.event(LEAVE)
    assert await carol.look() == [came(BOB, 39, BOB), gone(BOB)]

    # Made now by a clock that is as far ahead as it may be: by any other, it would take longer to be good.
    await bob.open(server.url, ticket(BOB, exp=time.time() + 1800 + MAX_CLOCK_SKEW))
    assert (await server.post(presence(CAROL, 39))).status == 200
    assert await bob.look() == [came(CAROL, 39, CAROL)]
    with pytest.raises(WampError, match=r"^org\.tuleap\.error\.token_invalid$"):
        await bob.refresh(old)
    for page in (bob, carol):
        await page.close()


@ensure
async def test_a_room_that_a_newer_ticket_does_not_list_is_lost(start: Start, node: Node) -> None:
    server = await start()
    alice, her_other, carol = Page(node, ALICE), Page(node, ALICE, "another window"), Page(node, CAROL)
    await alice.open(server.url, ticket(ALICE, rooms=[CAMPAIGN, KANBAN]))
    await alice.client.subscribe(KANBAN)
    await her_other.open(server.url)
    await carol.open(server.url)
    assert (await server.post(presence(ALICE, 39))).status == 200
    assert (await server.post(update(BOB, 39, "passed"))).status == 200
    assert await alice.podium() == standings((BOB, 1, 1))

    await alice.look()
    await alice.refresh(ticket(ALICE, rooms=[KANBAN]))
    for asked in (alice.presences(), alice.podium(), alice.client.subscribe(CAMPAIGN)):
        with pytest.raises(WampError, match=NOT_AUTHORIZED):
            await asked
    with pytest.raises(WampError, match=r"^wamp\.error\.no_such_subscription$"):
        await alice.events()
    assert alice.client.revoked == [(alice.subscription, "wamp.error.not_authorized")]
    assert (await carol.look())[-1] == (await her_other.look())[-1] == gone(ALICE)

    on_the_board, in_the_campaign = body(), update(BOB, 39, "failed")
    for each in (on_the_board, in_the_campaign):
        assert (await server.post(each)).status == 200
    assert await alice.look() == [as_posted(on_the_board)]
    assert await her_other.look() == await carol.look() == [as_posted(in_the_campaign)]
    for page in (alice, her_other, carol):
        await page.close()
