"""The fixtures through npm's socket.io-client: sessions, presence and rights."""

import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import jwt
import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.server import Server
from tests.end_to_end.test_sequences import moved
from tests.end_to_end.tuleap_pages import KANBAN_PAGE, Pages, TuleapPage
from tests.fakes import body, cases, ticket
from tests.sequences import ALL_SESSION_CASES, PRESENCE_CASES, PagePlayer
from tuleaprt.relay.procedures import PRESENCES

ensure = pytest_twisted.ensureDeferred
EVERYONE = "@everyone-of-this-test"
"""A group in all tokens here. Only the markers name it."""

UNRESTRICTED = {
    "submitter_id": None,
    "submitter_can_view": False,
    "submitter_only": [],
    "artifact": [],
    "tracker": [EVERYONE],
}


class LivePageStage:
    """A server and pages. After each step it posts markers, behind which nothing of the step can come."""

    def __init__(self, server: Server, pages: Pages) -> None:
        self._server = server
        self._pages = pages
        self._clients: dict[str, TuleapPage] = {}
        self._rooms: dict[str, Any] = {}
        self._windows: dict[str, str] = {}
        self._expire_at: dict[str, float] = {}
        self._markers = count(1)
        self._operator = PythonClient(server.url)

    @property
    def now(self) -> float:
        return time.time()

    async def begin(self) -> None:
        await self._operator.open(ticket(1, [], role="operator"))

    async def end(self) -> None:
        for page in self._clients.values():
            await page.vanish()
        await self._operator.leave()
        await self._operator.closed

    async def connect(self, client: str, namespace: str) -> None:
        page = self._pages.page(f"http://127.0.0.1:{self._server.private}", namespace)
        await page.open()
        self._clients[client] = page

    async def emit(self, client: str, name: str, argument: dict[str, Any]) -> None:
        page = self._clients[client]
        if "token" in argument:
            claims = jwt.decode(argument["token"], options={"verify_signature": False})
            self._expire_at[client] = claims["exp"]
        if name == "subscription":
            page.happened.clear()
            self._rooms[client], self._windows[client] = argument.get("room_id"), argument["uuid"]
        await page.emit(name, argument)

    async def post(self, body: dict[str, Any]) -> int:
        return (await self._server.post(body)).status

    async def wait(self, seconds: float) -> None:
        """Until the tokens have ended that end in this time."""
        for client, page in self._clients.items():
            if self._expire_at[client] < self.now + seconds:
                await page.happens(is_end)

    async def disconnect(self, client: str) -> None:
        await self._clients.pop(client).vanish()
        room, uuid = self._rooms.pop(client), self._windows[client]
        while any(it["uuid"] == uuid for on in (await self._seen(room)).values() for it in on):
            pass

    async def received(self, client: str) -> list[dict[str, Any]]:
        page = self._clients[client]
        if client not in self._rooms:
            return []
        await self._mark(page, self._rooms[client])
        events = [it["event"] for it in page.happened if "event" in it and not is_marker(it)]
        told = [{"event": it["cmd"], "data": it["data"]} for it in events]
        if any("disconnected" in it for it in page.happened):
            told.append({"event": "<disconnect>"})
        if any(map(is_end, page.happened)):
            del self._rooms[client]
        page.happened.clear()
        return told

    async def _mark(self, page: TuleapPage, room: Any) -> None:
        """Post markers until one arrives, as the page may not have subscribed yet, and wait for the last."""
        cmd = "kanban_column:create" if page.namespace == KANBAN_PAGE else "testmanagement_campaign:update"
        first = next(self._markers)
        last = first - 1
        while not any(is_end(it) or (is_marker(it) and marked(it) >= first) for it in page.happened):
            last = first if last < first else next(self._markers)
            data = {"artifact_id": last, "marker": True}
            posted = body(cmd=cmd, data=data, room_id=room, rights=UNRESTRICTED, sender_uuid=None)
            await self._server.post(posted)
        await page.happens(lambda it: is_end(it) or (is_marker(it) and marked(it) == last))

    async def viewers(self, topic: str) -> Any:
        return await self._seen(topic.rpartition(".")[2])

    async def _seen(self, room: object) -> Any:
        campaign = str(room).removeprefix("testmanagement_")
        return (await self._operator.call(PRESENCES, campaign)).args[0]


def is_marker(report: dict[str, Any]) -> bool:
    data = report.get("event", {}).get("data")
    return isinstance(data, dict) and "marker" in data


def marked(report: dict[str, Any]) -> int:
    """The number of a marker."""
    return int(report["event"]["data"]["artifact_id"])


def is_end(report: dict[str, Any]) -> bool:
    return "disconnected" in report or report.get("event", {}).get("cmd") == "error-jwt"


class LivePagePlayer(PagePlayer):
    def _token(self, spoken: dict[str, Any]) -> str:
        return super()._token(spoken | {"user_rights": [*spoken["user_rights"], EVERYONE]})


@pytest_twisted.async_yield_fixture(scope="module")
async def server_without_grace() -> AsyncIterator[Server]:
    server = await Server.start(TULEAPRT_PRESENCE__GRACE="0")
    yield server
    await server.process.stop("KILL")


async def play(case: dict[str, Any], server: Server, pages: Pages) -> None:
    stage = LivePageStage(server, pages)
    await stage.begin()
    await LivePagePlayer(stage, case).play()
    await stage.end()
    assert await server.metric("internal_errors_total") == 0


ALL = [moved(case, number) for number, case in enumerate([*PRESENCE_CASES, *ALL_SESSION_CASES], 101)]
EXPIRING = [case for case in ALL if any(step["op"] == "wait" for step in case["steps"])]


@pytest.mark.parametrize("case", [it for it in ALL if it not in EXPIRING], ids=lambda case: str(case["id"]))
@ensure
async def test_case(server_without_grace: Server, pages: Pages, case: dict[str, Any]) -> None:
    await play(case, server_without_grace, pages)


@ensure
async def test_cases_in_which_tokens_expire(server: Server, pages: Pages) -> None:
    # All at once, because each takes its time.
    await gatherResults([ensureDeferred(play(case, server, pages)) for case in EXPIRING])


@pytest.mark.parametrize("case", cases("rights_cases.json"), ids=lambda case: str(case["id"]))
@ensure
async def test_rights_case(server: Server, pages: Pages, case: dict[str, Any]) -> None:
    groups, user_id = case["user_rights"], case["user_id"]
    is_good = isinstance(groups, list) and all(isinstance(it, str) for it in groups) and user_id
    page = pages.page(f"http://127.0.0.1:{server.private}", KANBAN_PAGE, transports=["websocket"])
    await page.open()
    await page.subscribe(ticket(user_id, [*groups, EVERYONE] if is_good else groups), 3, f"u-{case['id']}")
    if not is_good:
        await page.next("disconnected", "io server disconnect")
        assert case["tuleaprt"]["receives"] is False
        return
    answer = await server.post(body(rights=case["rights"], sender_uuid=None))
    assert answer.status == 200 or not case["tuleaprt"]["receives"]
    await server.post(
        body(cmd="kanban_column:create", data={"artifact_id": 1, "marker": 1}, rights=UNRESTRICTED)
    )
    await page.happens(is_marker)
    received = [it for it in page.events() if it["cmd"] == "kanban_item:create"]
    assert (len(received) == 1) is case["tuleaprt"]["receives"], case["why"]
    await page.leave()
