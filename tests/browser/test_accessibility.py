"""axe-core finds nothing to complain about on the live page: both themes, on a desktop and on a phone."""

import json

import pytest
import pytest_twisted

from tests.browser.browser import MEMBER, OUTSIDER, Browser, Site, Window, card
from tests.browser.conftest import Open
from tests.end_to_end.processes import ROOT

ensure = pytest_twisted.ensureDeferred
AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text()
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 780}}
LOOKS = [
    pytest.param({**size, "dark": dark}, id=f"{name}, {'dark' if dark else 'light'}")
    for name, size in SIZES.items()
    for dark in (False, True)
]


async def complaints(window: Window) -> list[str]:
    """Each rule that is broken, with the first element that breaks it."""
    found = await window.do(
        "evaluate", expression=f"{AXE}; axe.run().then((it) => JSON.stringify(it.violations))"
    )
    return [f"{it['id']}: {it['nodes'][0]['html'][:200]}" for it in json.loads(found)]


@pytest.mark.parametrize("look", LOOKS)
@ensure
async def test_the_board_and_the_campaign_are_for_everybody(
    open_window: Open, look: dict[str, object]
) -> None:
    window = await open_window(MEMBER, **look)
    await window.see(card(302))
    assert await complaints(window) == []
    await window.do("evaluate", expression="location.hash = '#campaign'")
    await window.see("#campaign table, #campaign li")
    assert await complaints(window) == []


async def both_views_are_for_everybody(window: Window) -> None:
    for view in ("board", "campaign"):
        await window.do("evaluate", expression=f"location.hash = '#{view}'")
        await window.see(f"#{view}")
        assert await complaints(window) == [], view


@pytest.mark.parametrize("look", LOOKS)
@ensure
async def test_an_empty_board_and_an_empty_campaign_are_explained_to_everybody(
    browser: Browser, empty: Site, look: dict[str, object]
) -> None:
    window = Window(browser)
    await window.do("open", url=f"{empty.url}/?as={MEMBER}", **look)
    await window.see("#board > .empty")
    await both_views_are_for_everybody(window)
    await window.do("close")


@pytest.mark.parametrize("look", LOOKS)
@ensure
async def test_a_lost_connection_is_explained_to_everybody(
    open_window: Open, site: Site, browser: Browser, look: dict[str, object]
) -> None:
    window, late, inspector = await open_window(MEMBER, **look), Window(browser), Window(browser)
    await window.see(card(302))
    await inspector.do("open", url=f"{site.url}/inspector.html", **look)
    await inspector.see("#sessions tr")
    await site.server.process.stop("KILL")
    await late.do("open", url=f"{site.url}/?as={MEMBER}", **look)
    for it in (window, inspector):
        await it.see("#main[data-old]")
        await it.see("#connection")
    await late.see("text=The board is not loaded yet")
    await both_views_are_for_everybody(window)
    await both_views_are_for_everybody(late)
    assert await complaints(inspector) == []
    for it in (late, inspector):
        await it.do("close")


@pytest.mark.parametrize("look", LOOKS)
@ensure
async def test_a_refused_token_is_explained_to_everybody(
    open_window: Open, site: Site, look: dict[str, object]
) -> None:
    window = await open_window(MEMBER, **look)
    await window.see(card(302))
    await site.revoke(MEMBER)
    await window.see("#again")
    await both_views_are_for_everybody(window)


@ensure
async def test_a_board_that_may_not_be_seen_is_explained_to_everybody(open_window: Open) -> None:
    window = await open_window(OUTSIDER)
    await window.see("text=You may not see this board")
    assert await complaints(window) == []


@pytest.mark.parametrize("look", LOOKS)
@ensure
async def test_the_inspector_is_for_everybody(
    open_window: Open, site: Site, browser: Browser, look: dict[str, object]
) -> None:
    await open_window(MEMBER)
    window = Window(browser)
    await window.do("open", url=f"{site.url}/inspector.html", **look)
    await window.see("#sessions tr")
    assert await complaints(window) == []
    await window.do("close")
