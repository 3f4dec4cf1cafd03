"""``wamp``, the command line of Autobahn|Python. It cannot show a token, so it uses the debug endpoint."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted

from tests.end_to_end.clients import received
from tests.end_to_end.processes import Process
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, wire
from tests.interop.conftest import exit_status, operator, url
from tests.interop.drivers import Driver

ensure = pytest_twisted.ensureDeferred
TOOL = str(Path(sys.executable).parent / "wamp")
Wamp = Callable[..., Process]


@pytest.fixture(params=["websocket", "rawsocket"])
def wamp(request: pytest.FixtureRequest, server: Server) -> Wamp:
    where = ["--url", url(server, request.param, debug=True), "--realm", "tuleap", "--max-failures", "1"]
    return lambda *arguments: Process.start([TOOL, *where, *arguments], {})


async def refused(process: Process, error: str) -> None:
    """The tool ends well even so."""
    await process.written(rf"^{error}")
    assert await exit_status(process) == 0


@ensure
async def test_it_is_an_operator(wamp: Wamp) -> None:
    calling = wamp("call", "wamp.session.count")
    await calling.written("^connected: authrole=operator authmethod=anonymous$")
    await calling.written("^result: 1$")
    assert await exit_status(calling) == 0


@ensure
async def test_it_watches_everything(wamp: Wamp, server: Server, wampy: Driver) -> None:
    onlooker = await wampy.open(server.url, "json", operator())
    await onlooker.subscribe("wamp.subscription.on_subscribe")
    # The operator receives its own publication, too.
    assert len(await received(onlooker)) == 1
    watching = wamp("subscribe", "--match", "prefix", "--times", "1", "org.tuleap.")
    await onlooker.next_event()
    await server.post(wire("kanban_item_create"))
    assert await exit_status(watching) == 0
    event = {"args": [], "kwargs": {"cmd": "kanban_item:create", "data": {"artifact_id": 321}}}
    assert [json.loads(it) for it in watching.lines if it.startswith("{")] == [event]
    await onlooker.leave()


@ensure
async def test_it_cannot_say_who_may_see_what_it_publishes(wamp: Wamp) -> None:
    what = ["--keyword", "cmd", "kanban:delete", "--keyword", "data", ""]
    await refused(wamp("publish", KANBAN, *what), r"wamp\.error\.invalid_argument: .*rights")
    await refused(
        wamp("publish", KANBAN, *what, "--keyword", "rights", "{}"),
        r"wamp\.error\.invalid_argument: .*rights",
    )


@ensure
async def test_it_is_told_what_is_wrong_with_a_call(wamp: Wamp) -> None:
    await refused(wamp("call", "wamp.session.get", "7"), r"wamp\.error\.invalid_argument: session")
    await refused(wamp("call", "org.tuleap.nothing"), r"wamp\.error\.no_such_procedure: ")


@ensure
async def test_it_registers_nothing(wamp: Wamp) -> None:
    await refused(wamp("register", "org.tuleap.mine", sys.executable), r"wamp\.error\.not_authorized: ")
