"""The live page as Tuleap's page, over socket.io, in Chromium: beside windows over WAMP."""

from typing import Any

import pytest
import pytest_twisted

from tests.browser.browser import MEMBER, RESTRICTED, TESTER, Site, Window, card, execution, in_column
from tests.browser.conftest import Open

ensure = pytest_twisted.ensureDeferred

TODO, DOING, REVIEW = 6580, 6816, 15343
ALICE, BOB = ('.viewers .avatar[aria-label^="Alice"]', '.viewers .avatar[aria-label^="Bob"]')


async def create(window: Window, label: str) -> None:
    await window.fill(f"{in_column(TODO)} .add input[name=label]", label)
    await window.press(f"{in_column(TODO)} .add input[name=label]", "Enter")


async def both(open_window: Open, user: int, view: str = "board", **options: Any) -> list[Window]:
    """A window of each kind, with what it shows loaded."""
    windows = [await open_window(user, view, is_tuleaps=it, **options) for it in (False, True)]
    for window in windows:
        await window.see(card(303) if view == "board" else execution(40))
    return windows


@ensure
async def test_each_window_names_its_protocol_and_transport(open_window: Open) -> None:
    wamp, tuleap = await both(open_window, MEMBER)
    await wamp.see('.protocol:has-text("WAMP websocket")')
    await tuleap.see('.protocol:has-text("socket.io polling → websocket")')


@ensure
async def test_the_menu_opens_either_kind_for_each_user(open_window: Open) -> None:
    wamp = await open_window(MEMBER)
    assert await wamp.values("#others a", "href") == [f"?as={it}#board" for it in (101, 102, 140, 150)]
    [first, *_] = await wamp.values("#pages a", "href")
    assert first == "?as=101&page=tuleap#board"
    await wamp.do("evaluate", expression=f"location.assign('{first}')")
    await wamp.see('#protocol:text-is("socket.io")')
    await wamp.is_live()


@ensure
async def test_a_new_card_is_seen_in_both_kinds_of_window(open_window: Open) -> None:
    windows = await both(open_window, TESTER)
    alice = await open_window(MEMBER)
    await create(alice, "For both")
    for window in windows:
        await window.see('.card:has-text("For both")')
        assert await window.values("#log li[data-cmd]", "data-cmd") == ["kanban_item:create"]


@pytest.mark.parametrize("is_sender_tuleaps", [False, True], ids=["WAMP", "socket.io"])
@ensure
async def test_the_senders_window_is_left_out_across_both_kinds(
    open_window: Open, is_sender_tuleaps: bool
) -> None:
    windows = await both(open_window, MEMBER)
    sender, other = windows[:: -1 if is_sender_tuleaps else 1]
    await create(sender, "Only once")
    await other.see('.card:has-text("Only once")')
    # What comes behind the own post shows that nothing of it came before.
    await other.press(card(302), "Shift+ArrowRight")
    await sender.see(f"{in_column(DOING)} {card(302)}")
    assert "kanban_item:create" not in await sender.values("#log li[data-cmd]", "data-cmd")
    assert len([it for it in await sender.texts(".card") if "Only once" in it]) == 1


@pytest.mark.parametrize("is_viewer_tuleaps", [False, True], ids=["WAMP", "socket.io"])
@ensure
async def test_a_viewer_in_one_kind_is_seen_in_both_and_leaves(
    open_window: Open, is_viewer_tuleaps: bool
) -> None:
    windows = await both(open_window, TESTER, "campaign")
    viewer = await open_window(MEMBER, "campaign", is_tuleaps=is_viewer_tuleaps)
    await viewer.click(f"{execution(40)} .row")
    for window in windows:
        await window.see(f"{execution(40)} {ALICE}")
    await viewer.click(f"{execution(41)} .row")
    for window in windows:
        await window.see(f"{execution(41)} {ALICE}")
        await window.miss(f"{execution(40)} {ALICE}")
    late = await both(open_window, RESTRICTED, "campaign")
    for window in late:
        await window.see(f"{execution(41)} {ALICE}")
    await viewer.do("evaluate", expression="location.assign('about:blank')")
    for window in [*windows, *late]:
        await window.miss(f"{execution(41)} {ALICE}")


@ensure
async def test_both_kinds_count_the_same_podium(open_window: Open) -> None:
    windows = await both(open_window, RESTRICTED, "campaign")
    alice = await open_window(MEMBER, "campaign", is_tuleaps=True)
    await alice.click(f"{execution(40)} .row")
    await alice.click(f"{execution(40)} .results .passed")
    for window in windows:
        await window.see('.steps .place-0.rank-1[data-user="101"][data-score="3"]')
    podiums = [await window.do("evaluate", expression=PODIUM) for window in windows]
    assert podiums[0] == podiums[1]


PODIUM = "document.querySelector('.podium').textContent"


@ensure
async def test_a_restart_of_the_server_needs_no_reload_in_either_kind(open_window: Open, site: Site) -> None:
    wamp, tuleap = windows = await both(open_window, TESTER)
    alice = await open_window(MEMBER, "campaign", is_tuleaps=True)
    await alice.click(f"{execution(40)} .row")
    for window in windows:
        await window.do("evaluate", expression="globalThis.hasNotBeenReloaded = true")
    await site.server.process.stop("KILL")
    for window in (*windows, alice):
        await window.see('#state[data-state="reconnecting"]')
    await site.start_server()
    await tuleap.see("#connection:has-text('waits until the server asks for a token')")
    for window in (*windows, alice):
        await window.is_live()
    await tuleap.see("#connection:has-text('Live again')")
    await tuleap.see('.protocol:has-text("socket.io polling → websocket")')
    for window in windows:
        await window.click('a[data-view="campaign"]')
        await window.see(f"{execution(40)} {ALICE}")
        await window.click('a[data-view="board"]')
    await wamp.press(card(302), "Shift+ArrowRight")
    await tuleap.see(f"{in_column(DOING)} {card(302)}")
    await tuleap.press(card(306), "Shift+ArrowRight")
    await wamp.see(f"{in_column(REVIEW)} {card(306)}")
    for window in windows:
        assert await window.do("evaluate", expression="globalThis.hasNotBeenReloaded") is True


@ensure
async def test_what_happens_while_the_line_is_cut_is_sent_to_the_page(open_window: Open) -> None:
    _, tuleap = await both(open_window, TESTER)
    alice = await open_window(MEMBER)
    await tuleap.click("#line summary")
    await tuleap.click("#cut")
    await tuleap.see('#state[data-state="reconnecting"]')
    await alice.press(card(302), "Shift+ArrowRight")
    await tuleap.see(f"{in_column(DOING)} {card(302)}")
    await tuleap.is_live()


@ensure
async def test_a_token_that_expires_is_followed_by_another(open_window: Open, site: Site) -> None:
    _, tuleap = await both(open_window, TESTER)
    alice = await open_window(MEMBER)
    await tuleap.click("#line summary")
    await tuleap.click("#expire")
    await tuleap.see('#state[data-state="reconnecting"]')
    await tuleap.is_live()
    asked = "performance.getEntriesByType('resource').filter((it) => it.name.includes('api/jwt')).length"
    # Two when it was loaded, two after the reconnection, and one when the short token has expired.
    await tuleap.do(
        "evaluate", expression=f"new Promise((done) => setInterval(() => {asked} > 4 && done(), 50))"
    )
    await alice.press(card(302), "Shift+ArrowRight")
    await tuleap.see(f"{in_column(DOING)} {card(302)}")


@ensure
async def test_a_group_that_is_lost_takes_its_cards_with_it(open_window: Open) -> None:
    _, tuleap = await both(open_window, TESTER)
    alice = await open_window(MEMBER)
    await tuleap.see(card(304))
    await tuleap.click("#line summary")
    await tuleap.click('#groups input[value="@ug_158"]')
    await tuleap.miss(card(304))
    await alice.press(card(304), "Shift+ArrowRight")
    await alice.press(card(302), "Shift+ArrowRight")
    await tuleap.see(f"{in_column(DOING)} {card(302)}")
    assert "304" not in " ".join(await tuleap.texts("#log li[data-cmd] .about"))
    await tuleap.click('#groups input[value="@ug_158"]')
    await tuleap.see(f"{in_column(DOING)} {card(304)}")


@ensure
async def test_a_session_that_an_operator_ends_stays_away(open_window: Open) -> None:
    tuleap = await open_window(RESTRICTED, is_tuleaps=True)
    inspector = await open_window(MEMBER)
    await inspector.do("evaluate", expression="location.assign('inspector.html')")
    await inspector.see('#sessions tr:has-text("José Núñez"):has-text("engine.io.4")')
    await inspector.click('#sessions tr:has-text("José Núñez") button')
    await tuleap.see('#state[data-state="offline"]')
    await tuleap.see("#connection:has-text('the server has ended the connection for good')")
