"""A server whose journal is in SQLite: kills, restarts, and what its windows and pages get afterwards."""

import json
import random
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.processes import TWISTD, Process
from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import free_port
from tests.end_to_end.test_socketio import Reader
from tests.end_to_end.tuleap_pages import POLLING, WEBSOCKET, Pages
from tests.fakes import CAMPAIGN, FIXTURES, KANBAN, body, ticket, wire
from tuleaprt.relay.procedures import PODIUM, PRESENCES

ensure = pytest_twisted.ensureDeferred
GET_EVENTS = "wamp.subscription.get_events"


class Durable:
    """A server that is started again and again on one file and on the same ports."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"
        self._environment = {
            "TULEAPRT_JOURNAL__URL": f"sqlite://{self.path}",
            "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{free_port()}:interface=127.0.0.1"]',
            "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{free_port()}:interface=127.0.0.1"]',
            "TULEAPRT_SOCKETIO__REMINDER": "0.5",
        }
        self.server: Server

    async def start(self, **changes: str) -> Server:
        self.server = await Server.start(**self._environment | changes)
        return self.server

    async def end(self, how: str) -> None:
        await self.server.process.stop(how)
        assert self.server.tracebacks() == []


@pytest_twisted.async_yield_fixture
async def durable(tmp_path: Path) -> AsyncIterator[Durable]:
    durable = Durable(tmp_path)
    await durable.start()
    yield durable
    await durable.end("KILL")


async def opened(server: Server, topic: str = KANBAN, uuid: str = "u") -> tuple[PythonClient, int]:
    window = PythonClient(server.url)
    await window.open(ticket(102), uuid)
    return window, await window.subscribe(topic)


async def missed(window: PythonClient, subscription: int, after: int) -> tuple[list[Any], bool]:
    """The data of what came after, and whether the position is lost."""
    result = await window.call(GET_EVENTS, subscription, after_publication=after)
    return [it["kwargs"]["data"] for it in result.args], bool(result.kwargs["position_lost"])


OPENED = body(
    cmd="testmanagement_user:presence",
    room_id="testmanagement_9",
    sender_user_id=102,
    sender_uuid="u-viewer",
    data={
        "presence": {"execution_id": 39, "remove_from": "", "uuid": "u-viewer", "user": {"id": 102}},
    },
)
"""The window ``u-viewer`` opens an execution."""


def edit(data: object) -> dict[str, Any]:
    return body(cmd="kanban:edit", data=data, sender_uuid=None)


@pytest.mark.parametrize("how", ["KILL", "TERM"])
@ensure
async def test_a_window_gets_what_was_answered_before_the_end_of_the_process(
    durable: Durable, how: str
) -> None:
    window, subscription = await opened(durable.server)
    position = (await window.call(GET_EVENTS, subscription, limit=0)).kwargs["position"]
    for number in range(20):
        assert (await durable.server.post(edit(number))).status == 200
    await durable.end(how)
    await window.closed
    server = await durable.start()
    assert (await server.post(edit("after"))).status == 200
    window, subscription = await opened(server)
    assert await missed(window, subscription, position) == ([*range(20), "after"], False)
    await window.leave()


@ensure
async def test_presence_podium_and_revocations_outlive_a_kill(durable: Durable) -> None:
    window, _ = await opened(durable.server, CAMPAIGN, "u-viewer")
    await durable.server.post(OPENED)
    await durable.server.post(
        json.loads(wire("testmanagement_execution_update")) | {"room_id": "testmanagement_9"}
    )
    seen = [(await window.call(it, 9)).args for it in (PRESENCES, PODIUM)]
    assert all(it != [{}] for it in seen)
    assert (
        await durable.server.request(
            "DELETE", "/sessions/177", Authorization=f"Bearer {ticket(1, [], role='operator')}"
        )
    ).status == 200
    await durable.end("KILL")
    await window.closed
    server = await durable.start()
    window, _ = await opened(server, CAMPAIGN, "u-viewer")
    assert [(await window.call(it, 9)).args for it in (PRESENCES, PODIUM)] == seen
    refused = PythonClient(server.url)
    with pytest.raises(Exception, match=r"authentication_denied|token"):
        await refused.open(ticket(177))
    await window.leave()


@ensure
async def test_a_viewer_that_does_not_come_back_leaves_after_the_grace(durable: Durable) -> None:
    window, _ = await opened(durable.server, CAMPAIGN, "u-viewer")
    await durable.server.post(OPENED)
    assert (await window.call(PRESENCES, 9)).args != [{}]
    await durable.end("KILL")
    server = await durable.start(TULEAPRT_PRESENCE__GRACE="0.2")
    other, _ = await opened(server, CAMPAIGN, "u-other")
    while (await other.call(PRESENCES, 9)).args != [{}]:
        pass
    await other.leave()


@ensure
async def test_a_lower_group_is_not_forgotten_by_a_kill(durable: Durable) -> None:
    """An older token does not bring back the groups that a newer one has taken away."""
    first = PythonClient(durable.server.url)
    await first.open(ticket(103, ["@site_active", "@admin"]), "u-1")
    second = PythonClient(durable.server.url)
    await second.open(ticket(103, ["@site_active"], exp=None), "u-2")
    # Records are written in order, so the answer shows that the groups are on the disk.
    assert (await durable.server.post(edit("before"))).status == 200
    await durable.end("KILL")
    server = await durable.start()
    again = PythonClient(server.url)
    await again.open(ticket(103, ["@site_active", "@admin"], exp=time.time() + 600), "u-1")
    await again.subscribe(KANBAN)
    rights = body()["rights"] | {"tracker": ["@admin"], "submitter_can_view": False}
    await server.post(edit("secret") | {"rights": rights})
    await server.post(edit("open") | {"rights": rights | {"tracker": ["@site_active"]}})
    await again.event("kanban:edit")
    assert [it["kwargs"]["data"] for it in again.events] == ["open"]
    await again.leave()


@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING], ids="+".join)
@ensure
async def test_a_page_gets_what_it_missed_over_a_restart_without_reload(
    durable: Durable, pages: Pages, transports: list[str]
) -> None:
    port = durable.server.private
    page = pages.page(f"http://127.0.0.1:{port}", transports=transports)
    reader = Reader(page, 102, 3, "u-page")
    await reader.load()
    while not page.events():
        await durable.server.post(edit("before"))
    await durable.server.post(edit("seen"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "seen")
    await durable.end("TERM")
    await page.next("disconnected")
    server = await durable.start()
    for number in range(3):
        await server.post(edit(number))
    await reader.comes_back()
    await page.happens(lambda it: it.get("event", {}).get("data") == 2)
    await server.post(edit("after"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "after")
    assert [it["data"] for it in page.events()] == [0, 1, 2, "after"]
    await page.leave()


@ensure
async def test_a_page_gets_nothing_twice_after_a_kill(durable: Durable, pages: Pages) -> None:
    page = pages.page(f"http://127.0.0.1:{durable.server.private}", transports=WEBSOCKET)
    reader = Reader(page, 102, 3, "u-page")
    await reader.load()
    while not page.events():
        await durable.server.post(edit("before"))
    await durable.server.post(edit("seen"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "seen")
    await durable.end("KILL")
    await page.next("disconnected")
    server = await durable.start()
    await reader.comes_back()
    while not page.events():
        await server.post(edit("after"))
    assert {it["data"] for it in page.events()} == {"after"}
    await page.leave()


@ensure
async def test_kills_at_random_lose_and_double_nothing(durable: Durable) -> None:
    """A window that resumes by position, through a seeded series of kills."""
    chance = random.Random(7)
    window, subscription = await opened(durable.server)
    position = (await window.call(GET_EVENTS, subscription, limit=0)).kwargs["position"]
    answered: list[int] = []
    got: list[int] = []
    for number in range(120):
        try:
            if (await durable.server.post(edit(number))).status == 200:
                answered.append(number)
        except OSError:
            pass  # Not answered: it may be there or not.
        if chance.random() < 0.06:
            durable.server.process.transport.signalProcess("KILL")
            await durable.end("KILL")
            await window.closed
            got += await take(window)
            position = window.events[-1]["publication"] if window.events else position
            await durable.start()
            window, subscription = await opened(durable.server)
            replayed, is_lost = await missed(window, subscription, position)
            assert not is_lost
            got += replayed
            position = (await window.call(GET_EVENTS, subscription, limit=0)).kwargs["position"]
    await window.call(PRESENCES, 9)
    got += await take(window)
    assert got == sorted(set(got))
    assert set(answered) <= set(got)
    await window.leave()


async def take(window: PythonClient) -> list[int]:
    return [it["kwargs"]["data"] for it in window.events]


@ensure
async def test_a_second_server_on_the_same_file_does_not_start(durable: Durable) -> None:
    second = Process.start(
        [TWISTD, "-n", "--pidfile=", "tuleaprt"],
        {
            "TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key"),
            "TULEAPRT_JOURNAL__URL": f"sqlite://{durable.path}",
            "TULEAPRT_LISTEN__PRIVATE": '["tcp:0:interface=127.0.0.1"]',
            "TULEAPRT_LISTEN__PUBLIC": '["tcp:0:interface=127.0.0.1"]',
        },
    )
    assert await second.ended() == 1
    assert any("database is locked by another process" in it for it in second.lines)
    assert (await durable.server.post(edit(1))).status == 200


@ensure
async def test_a_disk_that_is_full_answers_503_and_recovers(durable: Durable) -> None:
    server = durable.server
    pid = server.process.transport.pid
    size = sum(it.stat().st_size for it in durable.path.parent.iterdir())
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    answer = await server.post(edit("x" * 200_000))
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert await server.metric("journal_up") == 0
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (await server.post(edit(1))).status == 200
    assert await server.metric("journal_up") == 1
