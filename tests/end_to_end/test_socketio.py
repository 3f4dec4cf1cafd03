"""Tuleap's pages as they are, on npm's socket.io-client, against a real twistd."""

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.end_to_end.server import Server
from tests.end_to_end.tuleap_pages import (
    BOTH,
    KANBAN_PAGE,
    POLLING,
    WEBSOCKET,
    Pages,
)
from tests.fakes import ticket, wire

ensure = pytest_twisted.ensureDeferred
UUID = "7b1c8d2e-0000-4000-8000-00000000000a"


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    pages = Pages()
    yield pages
    pytest_twisted.blockon(ensureDeferred(pages.process.stop("KILL")))


@pytest.mark.parametrize("version", ["4.6", "4.7", "4.8"])
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, BOTH], ids="+".join)
@pytest.mark.parametrize("port", ["private", "public"])
@ensure
async def test_a_page_gets_events(
    server: Server, pages: Pages, version: str, transports: list[str], port: str
) -> None:
    url = f"http://127.0.0.1:{getattr(server, port)}"
    page = pages.page(url, KANBAN_PAGE, version, transports=transports)
    await page.open()
    await page.next("began", transports[0])
    await page.subscribe(ticket(101), 3, UUID)
    if transports == BOTH:
        await page.upgraded()
    await server.post(wire("kanban_item_create"))
    await page.event("kanban_item:create")
    await page.leave()
    await page.next("disconnected", "io client disconnect")
    assert server.tracebacks() == []
