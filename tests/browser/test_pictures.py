"""What the page looks like: nothing sticks out, and the pictures of the documentation.

With PICTURES=1 in the environment the pictures in docs/images are taken anew.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.browser.browser import (
    MEMBER,
    OUTSIDER,
    RESTRICTED,
    TESTER,
    Browser,
    Site,
    Window,
    card,
    execution,
    tiles_and_rows,
)
from tests.browser.conftest import Open

ensure = pytest_twisted.ensureDeferred

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
DESK: dict[str, Any] = {"width": 1200, "height": 680}
PHONE: dict[str, Any] = {"width": 390, "height": 780}

STICKING_OUT = """() => {
  const width = document.documentElement.clientWidth;
  const seen = [...document.body.querySelectorAll("*")].filter((it) => it.checkVisibility());
  const isScrolled = (it) => it.closest(".columns, .scroll") !== null;
  const out = seen.filter((it) => !isScrolled(it) && it.getBoundingClientRect().right > width + 1);
  const texts = seen.filter((it) => it.matches("button, h1, h2, .card, .row, .tag"));
  const cut = texts.filter((it) => it.scrollWidth > it.clientWidth + 1);
  return [...out, ...cut].map((it) => it.outerHTML.slice(0, 100));
}"""


ROWS_OF_THE_BAR = """(() => {
  const middle = ({ top, bottom }) => Math.round((top + bottom) / 8);
  const children = [...document.querySelector(".bar").children];
  return new Set(children.map((it) => middle(it.getBoundingClientRect()))).size;
})()"""


# The tests come by REST, the podium by WAMP; automated tests give no points.
RESULTS_WITHOUT_A_POINT = """() => {
  const isCounted = (it) => it.dataset.status !== "notrun" && !/automated/.test(it.textContent);
  const results = [...document.querySelectorAll(".test")].filter(isCounted).length;
  const scores = [...document.querySelectorAll(".podium [data-score]")].map((it) => Number(it.dataset.score));
  return scores.reduce((points, score) => points - score, results);
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return IMAGES if os.environ.get("PICTURES") else tmp_path


@pytest_twisted.async_yield_fixture
async def crowded() -> AsyncIterator[Site]:
    site = await Site.start(cards=200)
    yield site
    await site.stop()


async def picture(window: Window, path: Path) -> None:
    """Take it; nothing may stick out."""
    path.parent.mkdir(exist_ok=True)
    await window.do("screenshot", path=str(path))
    assert await window.do("evaluate", expression=f"({STICKING_OUT})()") == []
    assert path.stat().st_size > 1000


@ensure
async def test_the_board(open_window: Open, folder: Path) -> None:
    alice, bob = await open_window(MEMBER, **DESK), await open_window(TESTER)
    await bob.press(card(302), "Shift+ArrowRight")
    await alice.see('.latency:has-text("ms")')
    await picture(alice, folder / "board.png")


@ensure
async def test_the_campaign_and_its_podium_by_day_and_by_night(open_window: Open, folder: Path) -> None:
    alice = await open_window(MEMBER, "campaign", **DESK)
    dark = await open_window(RESTRICTED, "campaign", **DESK, dark=True)
    bob = await open_window(TESTER, "campaign", **PHONE)
    await dark.click(f"{execution(42)} .row")
    await dark.click(f"{execution(42)} .results .blocked")
    await bob.click(f"{execution(41)} .row")
    await alice.click(f"{execution(40)} .row")
    for window in (alice, bob, dark):
        await window.see(f"{execution(40)} .viewers .avatar")
        await window.see(f"{execution(41)} .viewers .avatar")
        await window.see(f'{execution(42)}[data-status="blocked"]')
        await window.see('.steps [data-user="140"]')
        assert await window.do("evaluate", expression=f"({RESULTS_WITHOUT_A_POINT})()") == 0
    await picture(alice, folder / "campaign.png")
    await picture(dark, folder / "dark.png")
    await picture(bob, folder / "phone-campaign.png")


@ensure
async def test_a_lost_line_and_its_menu(open_window: Open, site: Site, folder: Path) -> None:
    alice = await open_window(MEMBER, **DESK)
    await alice.see(card(302))
    await site.server.process.stop("KILL")
    await alice.see('#state[data-state="reconnecting"]')
    await alice.click("#line summary")
    await picture(alice, folder / "reconnecting.png")


@pytest.mark.parametrize("look", [DESK, PHONE], ids=["desk", "phone"])
@ensure
async def test_the_states(
    open_window: Open, site: Site, browser: Browser, empty: Site, tmp_path: Path, look: dict[str, Any]
) -> None:
    late, nothing, inspector = Window(browser), Window(browser), Window(browser)
    await nothing.do("open", url=f"{empty.url}/?as={MEMBER}", **look)
    await nothing.see("#board > .empty")
    await picture(nothing, tmp_path / "empty-board.png")
    await nothing.click('a[data-view="campaign"]')
    await picture(nothing, tmp_path / "empty-campaign.png")
    alice, bob = await open_window(MEMBER, **look), await open_window(TESTER, "campaign", **look)
    await inspector.do("open", url=f"{site.url}/inspector.html", **look)
    await inspector.see("#sessions tr")
    await site.revoke(MEMBER)
    await alice.see("#again")
    await picture(alice, tmp_path / "offline.png")
    await site.server.process.stop("KILL")
    await late.do("open", url=f"{site.url}/?as={MEMBER}", **look)
    for window, name in ((late, "late"), (bob, "campaign"), (inspector, "inspector")):
        await window.see("#connection")
        await picture(window, tmp_path / f"lost-{name}.png")
    for window in (late, nothing, inspector):
        await window.do("close")


@ensure
async def test_what_others_may_see(open_window: Open, tmp_path: Path) -> None:
    jose, olga = await open_window(RESTRICTED, **DESK), await open_window(OUTSIDER, **PHONE)
    await jose.see(card(303))
    await jose.miss("text=Add a column")
    await picture(jose, tmp_path / "restricted.png")
    await olga.see(".nothing")
    await picture(olga, tmp_path / "outsider.png")


@ensure
async def test_the_phone(open_window: Open, folder: Path, tmp_path: Path) -> None:
    phone = await open_window(MEMBER, **PHONE)
    await phone.see(card(302))
    await picture(phone, folder / "phone.png")
    await phone.click("#line summary")
    await picture(phone, tmp_path / "phone-menu.png")
    await phone.press("#line summary", "Escape")
    await phone.miss("#cut")
    await phone.click(card(301))
    await picture(phone, tmp_path / "phone-card.png")


@ensure
async def test_a_window_as_tuleaps_page_by_day_by_night_and_on_the_phone(
    open_window: Open, folder: Path, tmp_path: Path
) -> None:
    desk = await open_window(MEMBER, "campaign", is_tuleaps=True, **DESK)
    dark = await open_window(TESTER, is_tuleaps=True, **DESK, dark=True)
    phone = await open_window(RESTRICTED, is_tuleaps=True, **PHONE)
    bob = await open_window(TESTER, "campaign")
    await bob.click(f"{execution(40)} .row")
    await desk.see(f"{execution(40)} .viewers .avatar")
    await bob.click('a[data-view="board"]')
    await bob.press(card(303), "Shift+ArrowRight")
    for window in (dark, phone):
        await window.see('#log li[data-cmd="kanban_item:move"]')
    for window in (desk, dark, phone):
        await window.see('.protocol:has-text("polling → websocket")')
    assert await desk.do("evaluate", expression=ROWS_OF_THE_BAR) == 1
    await desk.click("#windows summary")
    await picture(desk, folder / "tuleap-page.png")
    await picture(dark, tmp_path / "tuleap-dark.png")
    await picture(phone, tmp_path / "tuleap-phone.png")
    await phone.click("#windows summary")
    await picture(phone, tmp_path / "tuleap-phone-menu.png")


@ensure
async def test_the_inspector(open_window: Open, folder: Path) -> None:
    for user in (MEMBER, TESTER, RESTRICTED, OUTSIDER):
        await open_window(user)
    inspector, bob = await open_window(MEMBER, **DESK), await open_window(TESTER)
    await inspector.do("evaluate", expression="location.assign('inspector.html')")
    await inspector.see('#sessions td:text-is("Olga Weber")')
    await bob.press(card(302), "Shift+ArrowRight")
    await inspector.see('#log li[data-cmd="kanban_item:move"]')
    await inspector.miss('[data-count="filtered_total"] dd:text-is("0")')
    await inspector.see('[data-count="sessions"] dd:text-is("6")')
    await inspector.see('[data-count="subscriptions"] dd:text-is("9")')
    expected = {"sessions": [6, 6], "subscriptions": [9, 9]}
    assert await tiles_and_rows(inspector) == expected
    await picture(inspector, folder / "inspector.png")
    assert await tiles_and_rows(inspector) == expected


@ensure
async def test_two_hundred_cards(browser: Any, crowded: Site, tmp_path: Path) -> None:
    window = Window(browser)
    await window.do("open", url=f"{crowded.url}/?as={MEMBER}", **DESK)
    await window.see(card(1199))
    assert len(await window.values(".card", "data-id")) == 210
    await picture(window, tmp_path / "crowded.png")
    await window.do("close")
