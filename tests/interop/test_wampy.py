"""wampy as a page would use it, and its command line."""

import json
import re
from typing import Any

import pytest
import pytest_twisted

from tests.end_to_end.clients import received
from tests.end_to_end.processes import ROOT, Process
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, body, ticket, wire
from tests.interop.conftest import exit_status, operator
from tests.interop.drivers import Driver

ensure = pytest_twisted.ensureDeferred
TOOL = str(ROOT / "node_modules" / ".bin" / "wampy")
PUBLICATION = {"cmd": "kanban:delete", "data": "", "rights": body()["rights"]}


def wampy_tool(url: str, token: str | None, *arguments: str) -> Process:
    who = [] if token is None else ["--authid", "whoever", "--ticket", token]
    return Process.start([TOOL, *arguments, "--url", url, "--realm", "tuleap", *who], {})


def shown(process: Process) -> str:
    """What it wrote, without the colours."""
    return re.sub(r"\x1b\[\d+m", "", "\n".join(process.lines))


@ensure
async def test_a_page_comes_back_after_the_server_has_stopped(wampy: Driver) -> None:
    server = await Server.start()
    page = await wampy.open(server.url, "json", ticket())
    await server.process.stop()
    assert await page.end() == "comes back"


@ensure
async def test_a_page_whose_ticket_has_expired_does_not_come_back(wampy: Driver) -> None:
    server = await Server.start(TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="0.5")
    page = await wampy.open(server.url, "json", ticket())
    assert await page.end() == "for good"
    await server.process.stop()


@pytest.mark.parametrize("serializer", ["json", "msgpack", "cbor"])
@pytest.mark.parametrize(
    ("pattern", "match", "claims"),
    [(KANBAN, "exact", {}), ("org.tuleap", "prefix", {"role": "operator"})],
    ids=["user", "operator"],
)
@ensure
async def test_the_tool_subscribes(
    server: Server, serializer: str, pattern: str, match: str, claims: dict[str, Any]
) -> None:
    how = ["--match", match, "--serializer", serializer]
    watching = wampy_tool(server.url, ticket(**claims), "subscribe", pattern, *how)
    await watching.written("Successfully subscribed to topic")
    await server.post(wire("kanban_item_create"))
    await watching.written('"artifact_id":.*321')
    assert (f'"topic": "{KANBAN}"' in shown(watching).partition("Received topic event")[2]) is (
        match != "exact"
    )
    assert await watching.stop("TERM") == 0
    assert watching.lines[-1] == "Disconnected from router. Exiting..."


@ensure
async def test_the_tool_publishes(server: Server, wampy: Driver) -> None:
    alice, bob = [await wampy.open(server.url, "json", ticket(it)) for it in (102, 103)]
    for page in (alice, bob):
        await page.subscribe(KANBAN)
    # An authid, here a number, cannot be named: the tool sends what looks like one as one.
    what = ["--json", "--argsDict", json.dumps(PUBLICATION), "--eligible", str(alice.welcome["id"])]
    publishing = wampy_tool(server.url, operator(), "publish", KANBAN, *what)
    assert await exit_status(publishing) == 0
    assert "Successfully published to topic" in shown(publishing)
    assert [it["kwargs"] for it in await received(alice)] == [{"cmd": "kanban:delete", "data": ""}]
    assert await received(bob) == []
    for page in (alice, bob):
        await page.leave()


@ensure
async def test_the_tool_calls(server: Server) -> None:
    calling = wampy_tool(server.url, operator(), "call", "wamp.session.count")
    assert await exit_status(calling) == 0
    assert re.search(r'"argsList": \[\s*1\s*\]', shown(calling))


@ensure
async def test_the_tool_needs_no_ticket_on_the_debug_endpoint(server: Server) -> None:
    calling = wampy_tool(f"ws://127.0.0.1:{server.debug}/ws", None, "call", "wamp.session.count")
    assert await exit_status(calling) == 0
    assert re.search(r'"argsList": \[\s*1\s*\]', shown(calling))


@ensure
async def test_the_tool_shows_why_a_call_is_refused(server: Server) -> None:
    calling = wampy_tool(server.url, ticket(), "call", "wamp.session.count", "--verbose")
    assert await exit_status(calling) == 0
    assert "'wamp.error.not_authorized'" in shown(calling)
    assert "Call error:CallError: Wamp error" in shown(calling)


@ensure
async def test_the_tool_shows_why_a_ticket_is_refused(server: Server) -> None:
    calling = wampy_tool(server.url, ticket(key=b"k" * 64), "call", "wamp.session.count")
    assert await exit_status(calling) == 1
    assert "errorUri: 'wamp.error.authentication_denied'" in shown(calling)
