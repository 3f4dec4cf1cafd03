"""One Chromium for all, a server with its substitute for each module, and windows that must not complain."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.browser.browser import MEMBER, Browser, Site, Window

Open = Callable[..., Awaitable[Window]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    pytest_twisted.blockon(ensureDeferred(browser.command("quit")))
    pytest_twisted.blockon(ensureDeferred(browser.process.stop("KILL")))


@pytest_twisted.async_yield_fixture
async def site() -> AsyncIterator[Site]:
    site = await Site.start(TULEAPRT_PRESENCE__GRACE="2")
    yield site
    await site.stop()
    assert site.server.tracebacks() == []
    assert not [line for line in site.page.lines if "Traceback" in line]


@pytest_twisted.async_yield_fixture
async def empty() -> AsyncIterator[Site]:
    """No cards and no tests."""
    site = await Site.start(is_empty=True)
    yield site
    await site.stop()


@pytest.fixture
def open_window(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens windows of users. At the end no window may have reported an error."""
    site: Site = request.getfixturevalue("site")
    opened: list[Window] = []

    async def open(
        user: int = MEMBER, view: str = "board", *, is_tuleaps: bool = False, **options: Any
    ) -> Window:
        window = Window(browser)
        opened.append(window)
        await window.do(
            "open", url=f"{site.url}/?as={user}{'&page=tuleap' if is_tuleaps else ''}#{view}", **options
        )
        await window.is_live()
        return window

    yield open
    for window in opened:
        complaints = pytest_twisted.blockon(ensureDeferred(window.complaints()))
        pytest_twisted.blockon(ensureDeferred(window.do("close")))
        assert complaints == []
