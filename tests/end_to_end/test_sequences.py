"""The fixtures' sequences on a running server: presence by autobahn-js, sessions by Autobahn|Python."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint

from tests.end_to_end.clients import Client, Node, PythonClient, WampError, received
from tests.end_to_end.processes import patiently
from tests.end_to_end.server import Server
from tests.fakes import ticket
from tests.sequences import EXPIRED, PRESENCE_CASES, SESSION_CASES, Player
from tuleaprt.relay.procedures import PRESENCES
from tuleaprt.wamp.procedures import REFRESH

ensure = pytest_twisted.ensureDeferred
SHORT = 5
"""The life of tokens that live one second in the cases, so that a slow machine has time."""


class LiveStage:
    def __init__(self, server: Server, new_client: Callable[[], Client]) -> None:
        self._server = server
        self._new_client = new_client
        self._clients: dict[str, Client] = {}
        self._uuids: dict[str, str | None] = {}
        self._expire_at: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._campaigns: set[str] = set()
        self._silent: list[WebSocketClientProtocol] = []
        self._operator = PythonClient(server.url)

    @property
    def now(self) -> float:
        return time.time()

    async def begin(self) -> None:
        await self._operator.open(ticket(1, [], role="operator"))

    async def end(self) -> None:
        for client in (self._operator, *self._clients.values()):
            if not client.closed.called:
                await client.leave()
                await client.closed
        for protocol in self._silent:
            protocol.sendClose()
            await protocol.is_closed

    async def open(self, client: str, token: str, uuid: str | None) -> str | None:
        opening = self._new_client()

        def note(reason: str) -> str:
            self._reasons[client] = reason
            return reason

        try:
            opened = await opening.open(token, uuid)
        except WampError as refusal:
            return str(refusal)
        opening.closed.addCallback(note)
        self._clients[client], self._uuids[client] = opening, uuid
        self._expire_at[client] = opened["authextra"]["expires_at"]
        return None

    async def connect(self, client: str) -> None:
        factory = WebSocketClientFactory(self._server.url, protocols=["wamp.2.json"])
        factory.protocol = WebSocketClientProtocol
        protocol = await TCP4ClientEndpoint(reactor, factory.host, factory.port).connect(factory)
        await protocol.is_open
        self._silent.append(protocol)

    async def subscribe(self, client: str, topic: str) -> None:
        await self._clients[client].subscribe(topic)
        if "testmanagement" in topic:
            self._campaigns.add(topic)

    async def presences(self, client: str, campaign: str) -> Any:
        return (await self._clients[client].call(PRESENCES, campaign)).args[0]

    async def refresh(self, client: str, token: str) -> bool:
        try:
            result = await self._clients[client].call(REFRESH, token)
        except WampError as refusal:
            assert str(refusal) == "org.tuleap.error.token_invalid"
            return False
        self._expire_at[client] = result.args[0]["expires_at"]
        return True

    async def post(self, body: dict[str, Any]) -> int:
        return (await self._server.post(body)).status

    async def wait(self, seconds: float) -> None:
        for client, expire_at in self._expire_at.items():
            if expire_at < self.now + seconds:
                await patiently(self._clients[client].closed, f"the end of the ticket of {client}")

    async def disconnect(self, client: str) -> None:
        leaving, uuid = self._clients.pop(client), self._uuids[client]
        await leaving.leave()
        await leaving.closed
        await patiently(ensureDeferred(self._gone(uuid)), f"the end of the grace of {client}")

    async def _gone(self, uuid: str | None) -> None:
        for topic in self._campaigns:
            while any(it["uuid"] == uuid for on in (await self.viewers(topic)).values() for it in on):
                pass

    async def received(self, client: str) -> list[dict[str, Any]]:
        asked = self._clients[client]
        if asked.closed.called:
            assert self._reasons[client] == EXPIRED
            events, asked.events[:] = list(asked.events), []
        else:
            events = await received(asked)
        return [event["kwargs"] for event in events]

    async def ended(self, client: str) -> str | None:
        return self._reasons.pop(client, None)

    async def viewers(self, topic: str) -> Any:
        return (await self._operator.call(PRESENCES, topic.rpartition(".")[2])).args[0]


def moved(case: dict[str, Any], number: int) -> dict[str, Any]:
    """The case with users and rooms that no other case has, and lifetimes for this world."""

    def move(id: re.Match[str]) -> str:
        return f"{id[1]}{int(id[2]) + 10_000 * number}"

    text = json.dumps(case)
    text = re.sub(r'("(?:id|user_id|sender_user_id|room_id)": "?|testmanagement_)(\d+)', move, text)
    text = re.sub(r'(lifetime_s": )1\b', rf"\g<1>{SHORT}", text)
    text = re.sub(r'("ms": )(\d+)', lambda it: f"{it[1]}{int(it[2]) * SHORT}", text)
    result: dict[str, Any] = json.loads(text)
    return result


ALL = [moved(case, number) for number, case in enumerate([*PRESENCE_CASES, *SESSION_CASES], 1)]


def cases_with(operation: str) -> list[dict[str, Any]]:
    return [case for case in ALL if any(step["op"] == operation for step in case["steps"])]


CLOSING, EXPIRING = cases_with("disconnect"), cases_with("wait")
OTHERS = [case for case in ALL if case not in CLOSING and case not in EXPIRING]


async def play(case: dict[str, Any], server: Server, node: Node) -> None:
    def new_client() -> Client:
        return node.client(server.url) if case["id"].startswith("P") else PythonClient(server.url)

    stage = LiveStage(server, new_client)
    await stage.begin()
    await Player(stage, case).play()
    await stage.end()
    assert await server.metric("internal_errors_total") == 0


@pytest_twisted.async_yield_fixture(scope="module")
async def server_without_grace() -> AsyncIterator[Server]:
    server = await Server.start(TULEAPRT_PRESENCE__GRACE="0")
    yield server
    await server.process.stop("KILL")


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: str(case["id"]))
@ensure
async def test_case(server: Server, node: Node, case: dict[str, Any]) -> None:
    await play(case, server, node)


@pytest.mark.parametrize("case", CLOSING, ids=lambda case: str(case["id"]))
@ensure
async def test_case_in_which_somebody_goes(
    server_without_grace: Server, node: Node, case: dict[str, Any]
) -> None:
    await play(case, server_without_grace, node)


@ensure
async def test_cases_in_which_tickets_expire(server: Server, node: Node) -> None:
    # All at once, because each takes its time.
    await gatherResults([ensureDeferred(play(case, server, node)) for case in EXPIRING])
