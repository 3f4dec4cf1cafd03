"""The tiles and the tables of the inspector come from one reading."""

import pytest_twisted

from tests.browser.browser import (
    MEMBER,
    OUTSIDER,
    RESTRICTED,
    TESTER,
    TILES_AND_ROWS,
    Browser,
    Site,
    Window,
    tiles_and_rows,
)
from tests.browser.conftest import Open

ensure = pytest_twisted.ensureDeferred

# The observer runs after each change of the page, before anything is painted.
WATCH = f"""(() => {{
  globalThis.compared = [];
  const compare = {TILES_AND_ROWS};
  const observer = new MutationObserver(() => globalThis.compared.push(compare()));
  observer.observe(document.getElementById("reading"), {{ childList: true, subtree: true }});
}})()"""


async def inspect(browser: Browser, site: Site) -> Window:
    window = Window(browser)
    await window.do("open", url=f"{site.url}/inspector.html")
    await window.see('#sessions td:text-is("this page")')
    return window


@ensure
async def test_each_tile_is_the_number_of_rows_also_while_windows_come_and_go(
    open_window: Open, site: Site, browser: Browser
) -> None:
    inspector = await inspect(browser, site)
    await inspector.do("evaluate", expression=WATCH)
    windows = [await open_window(it) for it in (MEMBER, TESTER, RESTRICTED, OUTSIDER)]
    windows.append(await open_window(TESTER, is_tuleaps=True))
    await inspector.see("#sessions tr:nth-child(7)")  # a kanban and a campaign are two pages
    assert await tiles_and_rows(inspector) == {"sessions": [7, 7], "subscriptions": [9, 9]}
    await inspector.see('#subscriptions tr:has-text("org.tuleap.kanban.3") .number:text-is("5")')
    for window in windows:
        await window.do("evaluate", expression="location.assign('about:blank')")
    await inspector.miss("#sessions tr:nth-child(2)")
    assert await tiles_and_rows(inspector) == {"sessions": [1, 1], "subscriptions": [7, 7]}
    seen = await inspector.do("evaluate", expression="globalThis.compared")
    assert len(seen) > 2
    assert [it for it in seen if any(tile != rows for tile, rows in it.values())] == []
    assert await inspector.complaints() == []
    await inspector.do("close")


@ensure
async def test_a_reading_that_fails_leaves_the_former_one_which_is_marked_as_old(
    open_window: Open, site: Site, browser: Browser
) -> None:
    inspector = await inspect(browser, site)
    await inspector.see('#read-at:text-matches("^Read at [0-9:]{8}.$")')
    site.tell_the_page(private=9)
    await inspector.see("#reading[data-old]")
    [age] = await inspector.texts("#read-at")
    assert age.startswith("Old: read at ")
    assert "The reading has failed: the server does not answer GET /metrics." in age
    await open_window(OUTSIDER)
    assert await tiles_and_rows(inspector) == {"sessions": [1, 1], "subscriptions": [7, 7]}
    site.tell_the_page()
    await inspector.see('#sessions td:text-is("Olga Weber")')
    await inspector.see("#reading:not([data-old])")
    await inspector.do("close")


@ensure
async def test_a_lost_connection_and_an_end_for_good_are_explained(site: Site, browser: Browser) -> None:
    inspector = await inspect(browser, site)
    await site.server.process.stop("KILL")
    await inspector.see('#connection:has-text("The connection was lost.")')
    await inspector.see('#read-at:has-text("Old: read at ")')
    assert (await tiles_and_rows(inspector))["sessions"] == [1, 1]
    await site.start_server()
    await inspector.is_live()
    await inspector.see("#reading:not([data-old])")
    await inspector.miss("#connection")
    await site.revoke(1)
    await inspector.see('#state[data-state="offline"]')
    await inspector.see('#connection:has-text("An administrator has revoked the token.")')
    await inspector.see('#again:text-is("Connect again")')
    await inspector.do("close")
