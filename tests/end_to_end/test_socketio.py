"""Tuleap's pages as they are, on npm's socket.io-client, against a real twistd."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted

from tests.end_to_end.clients import PythonClient, received
from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import free_port
from tests.end_to_end.tuleap_pages import (
    BOTH,
    CAMPAIGN_PAGE,
    KANBAN_PAGE,
    POLLING,
    WEBSOCKET,
    Pages,
    TuleapPage,
)
from tests.fakes import KANBAN, body, ticket, wire

ensure = pytest_twisted.ensureDeferred
UUID = "7b1c8d2e-0000-4000-8000-00000000000a"


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
    # A subscription to a kanban is not answered.
    while not page.events():
        await server.post(wire("kanban_item_create"))
    await page.event("kanban_item:create")
    await page.leave()
    await page.next("disconnected", "io client disconnect")
    assert server.tracebacks() == []


@ensure
async def test_nothing_is_lost_doubled_or_out_of_order_during_the_upgrade(
    server: Server, pages: Pages
) -> None:
    url = f"http://127.0.0.1:{server.private}"
    page = pages.page(url, transports=BOTH)
    await page.open()
    await page.subscribe(ticket(101), 3, UUID)
    number = 0
    while not any("upgraded" in it for it in page.happened):
        number += 1
        await server.post(edit(number))
    last = number + 50
    for later in range(number + 1, last + 1):
        await server.post(edit(later))
    await page.happens(lambda it: it.get("event", {}).get("data") == last)
    got = [it["data"] for it in page.events()]
    # It may have subscribed after the first posts.
    assert got == list(range(got[0], last + 1))
    await page.leave()


def edit(data: object, **changes: Any) -> dict[str, Any]:
    return body(cmd="kanban:edit", data=data, sender_uuid=None, **changes)


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING], ids="+".join)
@ensure
async def test_a_page_that_is_refused_does_not_come_back(
    server: Server, pages: Pages, transports: list[str]
) -> None:
    page = pages.page(f"http://127.0.0.1:{server.private}", transports=transports)
    await page.open()
    await page.subscribe("forged", 3, UUID)
    await page.next("disconnected", "io server disconnect")
    await server.process.written(r"closed: refused \(DecodeError\)")
    assert not any("forged" in it for it in server.process.lines)


@ensure
async def test_an_unknown_namespace_is_refused(server: Server, pages: Pages) -> None:
    page = pages.page(f"http://127.0.0.1:{server.private}", "/admin")
    assert (await page.open())["refused"] == "Invalid namespace"
    await page.leave()


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING], ids="+".join)
@ensure
async def test_an_expired_token_makes_the_page_fetch_another(
    server: Server, pages: Pages, transports: list[str]
) -> None:
    page = pages.page(f"http://127.0.0.1:{server.private}", CAMPAIGN_PAGE, transports=transports)
    await page.open()
    await page.subscribe(ticket(101, exp=1), "testmanagement_9", UUID)
    assert await page.event("error-jwt") == "JWTExpired"
    await page.subscribe(ticket(101), "testmanagement_9", UUID)
    assert await page.event("presences") == {}
    await page.leave()


@ensure
async def test_windows_of_both_kinds_of_client_know_of_each_other(server: Server, pages: Pages) -> None:
    page = pages.page(f"http://127.0.0.1:{server.private}")
    await page.open()
    await page.subscribe(ticket(101), 3, "u-page")
    window = PythonClient(server.url)
    await window.open(ticket(101), "u-wamp")
    await window.subscribe(KANBAN)
    while await sessions_of(server, 101) < 2:
        pass
    for number, uuid in enumerate(("u-page", "u-wamp", "u-other")):
        await server.post(body(cmd="kanban:edit", data=number, sender_user_id=101, sender_uuid=uuid))
    await server.post(edit("last"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "last")
    assert [it["data"] for it in page.events()] == [1, 2, "last"]
    assert [it["kwargs"]["data"] for it in await received(window)] == [0, 2, "last"]
    # The window moves to the other kind of client: it replaces itself.
    moved = PythonClient(server.url)
    await moved.open(ticket(101), "u-page")
    await page.next("disconnected", "io server disconnect")
    await moved.leave()
    await window.leave()


async def sessions_of(server: Server, user_id: int) -> int:
    operator = PythonClient(server.url)
    await operator.open(ticket(1, [], role="operator"))
    ids = (await operator.call("wamp.session.list")).args[0]
    details = [(await operator.call("wamp.session.get", id)).args[0] for id in ids]
    await operator.leave()
    return sum(it["authid"] == str(user_id) for it in details)


@ensure
async def test_an_operator_sees_a_page_and_ends_it(server: Server, pages: Pages) -> None:
    page = pages.page(f"http://127.0.0.1:{server.private}", transports=BOTH)
    await page.open()
    await page.subscribe(ticket(177), 3, UUID)
    await page.upgraded()
    while await sessions_of(server, 177) < 1:
        pass
    operator = PythonClient(server.url)
    await operator.open(ticket(1, [], role="operator"))
    for id in (await operator.call("wamp.session.list")).args[0]:
        details = (await operator.call("wamp.session.get", id)).args[0]
        if details["authid"] == "177":
            assert details["transport"]["type"] == "socketio"
            assert details["transport"]["protocol"] == "engine.io.4.websocket"
            await operator.call("wamp.session.kill", id)
    await page.next("disconnected", "io server disconnect")
    await operator.leave()


class Reader:
    """What the code of Tuleap's page does with its socket: it subscribes at load and at each ``error-jwt``,
    and at no other time.
    """

    def __init__(self, page: TuleapPage, user_id: int, room_id: int | str, uuid: str) -> None:
        self.page = page
        self._subscription = user_id, room_id, uuid

    async def load(self) -> None:
        await self.page.open()
        await self._subscribe()

    async def comes_back(self) -> None:
        """The library connects again by itself; the server asks for a token, and the page answers."""
        await self.page.next("connected")
        assert await self.page.event("error-jwt") == "JWTExpired"
        await self._subscribe()

    async def _subscribe(self) -> None:
        user_id, room_id, uuid = self._subscription
        await self.page.subscribe(ticket(user_id), room_id, uuid)


@pytest.mark.parametrize(
    ("namespace", "room_id", "posted"),
    [
        (KANBAN_PAGE, 3, "kanban_item_create"),
        (CAMPAIGN_PAGE, "testmanagement_9", "testmanagement_campaign_update"),
    ],
)
@pytest.mark.parametrize("transports", [BOTH, POLLING], ids="+".join)
@ensure
async def test_a_page_survives_a_restart_of_the_server_without_reload(
    pages: Pages, namespace: str, room_id: int | str, posted: str, transports: list[str]
) -> None:
    ports = [free_port() for _ in range(2)]
    environment = {
        "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{ports[0]}:interface=127.0.0.1"]',
        "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{ports[1]}:interface=127.0.0.1"]',
        "TULEAPRT_SOCKETIO__REMINDER": "0.5",
    }
    first = await Server.start(**environment)
    reader = Reader(
        pages.page(f"http://127.0.0.1:{ports[0]}", namespace, transports=transports), 102, room_id, UUID
    )
    await reader.load()
    if namespace == CAMPAIGN_PAGE:
        await reader.page.event("presences")
    while not reader.page.events():
        await first.post(wire(posted))
    await first.process.stop()
    await reader.page.next("disconnected")
    second = await Server.start(**environment)
    await reader.comes_back()
    if namespace == CAMPAIGN_PAGE:
        assert await reader.page.event("presences") == {}
    reader.page.happened.clear()
    while not reader.page.events():
        await second.post(wire(posted))
    await reader.page.leave()
    await second.process.stop()
    assert first.tracebacks() == second.tracebacks() == []


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING], ids="+".join)
@ensure
async def test_a_page_whose_connection_breaks_gets_what_it_missed_once_and_in_order(
    start: Callable[..., Awaitable[Server]], pages: Pages, transports: list[str]
) -> None:
    server = await start(TULEAPRT_SOCKETIO__REMINDER="0.5")
    page = pages.page(f"http://127.0.0.1:{server.private}", transports=transports)
    reader = Reader(page, 102, 3, UUID)
    await reader.load()
    while not page.events():
        await server.post(edit("before"))
    await server.post(edit("seen"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "seen")
    await page.break_off()
    await page.next("disconnected")
    # What the server sends before it notices is lost: these pages acknowledge nothing.
    while await sessions_of(server, 102):
        pass
    for number in range(5):
        await server.post(edit(number))
    await server.post(edit("own", sender_user_id=102) | {"sender_uuid": UUID})
    await reader.comes_back()
    await page.happens(lambda it: it.get("event", {}).get("data") == 4)
    await server.post(edit("after"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "after")
    assert [it["data"] for it in page.events()] == [0, 1, 2, 3, 4, "after"]
    await page.leave()
