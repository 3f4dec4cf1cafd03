"""States of the live page that explain themselves: nothing to show, a lost connection, a refused token."""

import pytest
import pytest_twisted

from tests.browser.browser import MEMBER, RESTRICTED, TESTER, Browser, Site, Window, card, in_column
from tests.browser.conftest import Open

ensure = pytest_twisted.ensureDeferred

TODO, REVIEW = 6580, 15343
NO_CARDS = "#board > .empty"
NO_TESTS = "#campaign .tests > .empty"


async def notice(window: Window) -> str:
    [text] = await window.texts("#connection p")
    return text


@ensure
async def test_a_board_without_cards_and_a_campaign_without_tests(browser: Browser, empty: Site) -> None:
    alice, jose = Window(browser), Window(browser)
    for window, user in ((alice, MEMBER), (jose, RESTRICTED)):
        await window.do("open", url=f"{empty.url}/?as={user}")
        await window.see(NO_CARDS)
        assert await window.texts(NO_CARDS) == [
            "There are no cards that you may see. Add one in a column below, or in another window."
        ]
        assert await window.texts(".cards .empty") == ["No cards."] * 5
        await window.click('a[data-view="campaign"]')
        await window.see(NO_TESTS)
    [for_members] = await alice.texts(NO_TESTS)
    assert for_members.endswith("Add one with the button “Add a test”, or in another window.")
    [for_others] = await jose.texts(NO_TESTS)
    assert for_others.endswith("A member of the project can add one.")
    await alice.click("text=Add a test")
    await alice.fill("dialog input", "The first")
    await alice.click("dialog button.main")
    for window in (alice, jose):
        await window.see('.test:has-text("The first")')
        await window.miss(NO_TESTS)
        await window.click('a[data-view="board"]')
    await jose.fill(f"{in_column(TODO)} .add input[name=label]", "The first")
    await jose.press(f"{in_column(TODO)} .add input[name=label]", "Enter")
    for window in (alice, jose):
        await window.see('.card:has-text("The first")')
        await window.miss(NO_CARDS)
        await window.do("close")


@ensure
async def test_a_column_without_cards(open_window: Open) -> None:
    alice = await open_window(MEMBER)
    await alice.miss(NO_CARDS)
    await alice.press(card(309), "Shift+ArrowRight")
    await alice.see(f'{in_column(REVIEW)} .empty:text-is("No cards. Add one below, or move one here.")')
    for _ in range(2):
        await alice.press(f"{in_column('archive')} .card", "Shift+ArrowLeft")
    await alice.see(f'{in_column("archive")} .empty:text-is("No cards. Move one here.")')
    await alice.miss(f"{in_column(REVIEW)} .empty")


@ensure
async def test_a_lost_connection_says_when_the_next_attempt_is_and_marks_what_is_old(
    open_window: Open, site: Site
) -> None:
    alice, bob = await open_window(MEMBER), await open_window(TESTER, is_tuleaps=True)
    for window in (alice, bob):
        await window.see(card(302))
        await window.miss("#connection")
    await site.server.process.stop("KILL")
    await alice.see('#next:text-matches("Next attempt in [1-9][0-9]? s.")')
    for window, begin, end in (
        (alice, "The connection was lost.", "."),
        (bob, "The ", "The page tries again by itself."),
    ):
        await window.see("#main[data-old]")
        said = await notice(window)
        assert said.startswith(begin), said
        assert "What you see may be old: changes since " in said
        assert said.endswith(end), said
    await site.start_server()
    for window in (alice, bob):
        await window.is_live()
        await window.see("#main:not([data-old])")
    await alice.miss("#connection")


@ensure
async def test_a_server_that_stops_is_no_lost_line(open_window: Open, site: Site) -> None:
    alice = await open_window(MEMBER)
    await alice.do(
        "evaluate",
        expression="""new MutationObserver(([it]) => {
          globalThis.first ??= it.target.textContent;
        }).observe(document.getElementById("connection"), { childList: true }) ?? null""",
    )
    await site.server.process.stop("TERM")
    await alice.see("#connection")
    assert "The server has stopped." in await alice.do("evaluate", expression="globalThis.first")


@ensure
async def test_a_page_that_is_opened_without_a_server_says_so_and_loads_later(
    browser: Browser, site: Site
) -> None:
    await site.server.process.stop("KILL")
    alice = Window(browser)
    await alice.do("open", url=f"{site.url}/?as={MEMBER}")
    await alice.see("text=The board is not loaded yet")
    assert "may be old" not in await notice(alice)
    await alice.miss("#main[data-old]")
    await site.start_server()
    await alice.see(card(302))
    await alice.miss("#connection")
    await alice.do("close")


@pytest.mark.parametrize("cause", ["killed", "refused", "revoked"])
@ensure
async def test_an_end_for_good_says_why_and_offers_another_connection(
    open_window: Open, site: Site, browser: Browser, cause: str
) -> None:
    alice = await open_window(MEMBER)
    await alice.see(card(302))
    why = "The server has refused the token."
    if cause == "killed":
        why = "An operator has ended the session."
        inspector = Window(browser)
        await inspector.do("open", url=f"{site.url}/inspector.html")
        await inspector.click('#sessions tr:has-text("Alice Martin") button')
        await inspector.do("close")
    elif cause == "refused":
        site.tell_the_page(key=b"k" * 88)
        await site.page.written("PUT /campaigns/9/executions: 401")
        await alice.click("#line summary")
        await alice.click("#cut")
    else:
        await site.revoke(MEMBER)
    await alice.see('#state[data-state="offline"]')
    await alice.see("#main[data-old]")
    said = await notice(alice)
    assert said.startswith(f"{why} What you see may be old"), said
    assert said.endswith("The page does not try again.")
    await alice.miss("#notice")
    if cause == "revoked":
        return  # Tuleap's new tokens are refused for some time
    site.tell_the_page()
    await alice.click("#again")
    await alice.is_live()
    await alice.see(card(302))


@ensure
async def test_tuleaps_page_says_that_it_has_been_ended_for_good(
    open_window: Open, site: Site, browser: Browser
) -> None:
    alice = await open_window(MEMBER, is_tuleaps=True)
    await alice.see(card(302))
    inspector = Window(browser)
    await inspector.do("open", url=f"{site.url}/inspector.html")
    await inspector.see("#sessions tr:nth-child(3)")
    for rows in (3, 2):
        await inspector.click("#sessions button")
        # The row goes with the next reading, and those below it move up.
        await inspector.miss(f"#sessions tr:nth-child({rows})")
    await inspector.do("close")
    await alice.see('#state[data-state="offline"]')
    assert (await notice(alice)).startswith("The server has ended the connection for good.")
    await alice.click("#again")
    await alice.is_live()
