"""A test campaign, lived through by the pages of its testers."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted

from tests.campaigns import ALICE, BOB, CAROL, create, presence, rights, update
from tests.end_to_end.clients import Node, WampError
from tests.end_to_end.line import Line
from tests.end_to_end.pages import Page, as_posted, came, gone, podium, standings, switched, viewer, went
from tests.end_to_end.server import Server
from tests.fakes import MEMBER, ticket
from tuleaprt.tuleap.commands import LEAVE

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]
INSIDERS = [*MEMBER, "@ug_158"]
SECRET = {"rights": rights(artifact=["@gpig_project_admin", "@ug_158"])}
"""Of execution 40 here."""

DAVE = 104
"""A user without an open page."""


async def post(server: Server, body: dict[str, Any]) -> int:
    """The id of the publication."""
    answer = await server.post(body)
    assert answer.status == 200
    id: int = answer.json["publication"]
    return id


@ensure
async def test_an_afternoon_of_two_testers_and_somebody_who_looks_on(start: Start, node: Node) -> None:
    # Alice must be back within it on a slow machine too; when Bob's is over, hers would be.
    server = await start(TULEAPRT_PRESENCE__GRACE="5")
    line = Line(server.public)
    through_the_line = f"ws://127.0.0.1:{line.port}/ws"
    alice, bob, carol = Page(node, ALICE), Page(node, BOB), Page(node, CAROL)
    await alice.open(through_the_line, ticket(ALICE, INSIDERS))
    await bob.open(server.url, ticket(BOB, INSIDERS))
    await carol.open(server.url)

    async def happens(body: dict[str, Any]) -> None:
        await post(server, body)
        for page in (alice, bob, carol):
            await page.look()

    passes, fails = update(ALICE, 39, "passed"), update(ALICE, 39, "failed")
    bob_passes, resets = update(BOB, 40, "passed", **SECRET), update(ALICE, 39, "notrun")
    await happens(presence(ALICE, 39))
    await happens(presence(BOB, 40, **SECRET))
    await happens(passes)
    await happens(fails)
    await happens(presence(ALICE, 40, 39, **SECRET))
    await happens(bob_passes)
    await happens(resets)
    await happens(presence(ALICE, 39, 40))

    before = len(server.process.lines)
    await line.cut()
    await server.process.written_since(before, rf"closed: .*user={ALICE}$")
    assert await alice.client.closed == "lost"
    line.mend()
    await alice.open(through_the_line, ticket(ALICE, INSIDERS))

    await bob.refresh(ticket(BOB, MEMBER))
    fails_in_secret, passes_again = update(DAVE, 40, "failed", **SECRET), update(ALICE, 39, "passed")
    await happens(fails_in_secret)
    await happens(presence(BOB, 39, 40))
    await happens(passes_again)

    assert await bob.close() == "wamp.close.goodbye_and_out"
    for page in (alice, carol):
        await page.client.event(LEAVE)
        await page.look()

    assert alice.told == [
        came(BOB, 40, BOB),
        podium((ALICE, 1, 1)),
        as_posted(bob_passes),
        podium((ALICE, 1, 1), (BOB, 1, 1)),
        podium((BOB, 1, 1)),
        # Here she was away.
        as_posted(fails_in_secret),
        podium((DAVE, 1, 1)),
        switched(came(BOB, 39, ALICE, BOB), went(BOB, 40)),
        podium((ALICE, 1, 1), (DAVE, 1, 1)),
        gone(BOB),
    ]
    assert bob.told == [
        came(ALICE, 39, ALICE),
        as_posted(passes),
        podium((ALICE, 1, 1)),
        as_posted(fails),
        switched(came(ALICE, 40, BOB, ALICE), went(ALICE, 39)),
        podium((ALICE, 1, 1), (BOB, 1, 1)),
        as_posted(resets),
        podium((BOB, 1, 1)),
        switched(came(ALICE, 39, ALICE), went(ALICE, 40, BOB)),
        # From here on the user may not see execution 40.
        as_posted(passes_again),
        podium((ALICE, 1, 1)),
    ]
    assert carol.told == [
        came(ALICE, 39, ALICE),
        as_posted(passes),
        podium((ALICE, 1, 1)),
        as_posted(fails),
        went(ALICE, 39),
        as_posted(resets),
        podium(),
        came(ALICE, 39, ALICE),
        came(BOB, 39, ALICE, BOB),
        as_posted(passes_again),
        podium((ALICE, 1, 1)),
        gone(BOB),
    ]
    assert await carol.presences() == await alice.presences() == {"39": [viewer(ALICE)]}
    for page in (alice, carol):
        await page.close()
    await line.cut()


@ensure
async def test_a_page_that_asks_is_told_what_it_may_see(start: Start, node: Node) -> None:
    server = await start()
    alice, carol, stranger = Page(node, ALICE), Page(node, CAROL), Page(node, DAVE)
    await alice.open(server.url, ticket(ALICE, INSIDERS))
    await carol.open(server.url)
    await stranger.open(server.url, ticket(DAVE, ["@site_active"]))
    await post(server, presence(ALICE, 39))
    await post(server, presence(BOB, 40, **SECRET))
    for number, execution in enumerate((39, 41, 42)):
        await post(server, update(CAROL if number else BOB, execution, "passed"))
    await post(server, update(BOB, 40, "blocked", **SECRET))

    for campaign in (9, "9"):
        assert await alice.presences(campaign) == {"39": [viewer(ALICE)], "40": [viewer(BOB)]}
        assert await alice.podium(campaign) == standings((BOB, 2, 1), (CAROL, 2, 1))
        assert await carol.presences(campaign) == {"39": [viewer(ALICE)]}
        assert await carol.podium(campaign) == standings((CAROL, 2, 1), (BOB, 1, 2))
        assert await stranger.presences(campaign) == {}
        assert await stranger.podium(campaign) == []
    assert (await alice.presences(10), await alice.podium(10)) == ({}, [])
    for ask in (alice.presences, alice.podium):
        with pytest.raises(WampError, match=r"^wamp\.error\.invalid_argument$"):
            await ask("09")
    for page in (alice, carol, stranger):
        await page.close()


@ensure
async def test_a_page_that_comes_back_reads_what_it_missed_as_far_as_it_makes_sense(
    start: Start, node: Node
) -> None:
    server = await start()
    alice = Page(node, ALICE)
    await alice.open(server.url, ticket(ALICE, INSIDERS))
    await post(server, update(BOB, 39, "passed"))
    position = (await alice.events(limit=0)).kwargs["position"]
    await alice.close()

    missed = [update(BOB, 39, "failed"), update(CAROL, 39, "passed"), create(43, by=BOB)]
    await post(server, presence(BOB, 39))
    await post(server, missed[0])
    await post(server, missed[1])
    await post(server, update(ALICE, 41, "passed"))
    await post(server, update(BOB, 40, "passed", **SECRET))
    await post(server, presence(BOB, 40, 39, **SECRET))
    last = await post(server, missed[2])

    await alice.open(server.url, ticket(ALICE, MEMBER))
    answer = await alice.events(after_publication=position)
    assert [it["kwargs"] for it in answer.args] == [
        as_posted(missed[0]),
        as_posted(missed[1]),
        podium((ALICE, 1, 1), (CAROL, 1, 1)),
        as_posted(missed[2]),
    ]
    assert answer.kwargs == {"position": last, "position_lost": False, "more": False}
    await alice.close()


@ensure
async def test_a_server_that_was_restarted_begins_anew(start: Start, node: Node) -> None:
    server = await start()
    alice = Page(node, ALICE)
    await alice.open(server.url)
    await post(server, presence(ALICE, 39))
    position = await post(server, update(BOB, 39, "passed"))
    assert (await alice.presences(), await alice.podium()) == (
        {"39": [viewer(ALICE)]},
        standings((BOB, 1, 1)),
    )
    await server.process.stop()
    await alice.client.closed

    server = await start()
    await alice.open(server.url)
    assert (await alice.presences(), await alice.podium()) == ({}, [])
    lost = await alice.events(after_publication=position)
    assert (lost.args, lost.kwargs["position_lost"]) == ([], True)
    await post(server, presence(BOB, 39))
    assert await alice.look() == [came(BOB, 39, BOB)]
    await alice.close()
