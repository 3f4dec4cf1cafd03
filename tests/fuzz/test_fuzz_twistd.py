"""The same against a real server, over real sockets."""

import random
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import PythonClient, received
from tests.end_to_end.server import ANY_PORT, Server
from tests.end_to_end.test_hostile_browsers import UPGRADE, frame
from tests.fakes import KANBAN, ticket, wire
from tests.fuzz.mutations import payload
from tests.transport.sockets import HELLO
from tuleaprt.transport.serializers import JSON, SERIALIZERS, Serializer

ensure = pytest_twisted.ensureDeferred
ATTACKS = 150


def memory(server: Server) -> int:
    """Resident bytes of the process."""
    status = Path(f"/proc/{server.process.transport.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def attack(server: Server, chance: random.Random, tokens: list[str]) -> None:
    """One client that opens a session, or begins to, and sends what it should not."""
    serializer = chance.choice(SERIALIZERS)
    through_websocket = chance.random() < 0.5
    port = server.public if through_websocket else server.rawsocket

    def framed(data: bytes) -> bytes:
        if through_websocket:
            return frame(data, 2 if serializer.is_binary else 1)
        return bytes([0]) + len(data).to_bytes(3) + data

    opening = [HELLO, [5, chance.choice(tokens), {}]][: chance.randrange(3)]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(_greeting(serializer, through_websocket))
        connection.recv(4096)
        with suppress(OSError):
            for message in opening:
                connection.sendall(framed(serializer.encode(message)))
            for _ in range(chance.randrange(1, 8)):
                connection.sendall(framed(payload(chance, serializer)))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def _greeting(serializer: Serializer, through_websocket: bool) -> bytes:
    if through_websocket:
        return UPGRADE.replace(JSON.name.encode(), serializer.name.encode()) + b"\r\n"
    return bytes([0x7F, 0xF0 | serializer.rawsocket_id, 0, 0])


def wave(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    exp = time.time() + 1700
    tokens = [ticket(103, exp=exp), ticket(1, [], role="operator", exp=exp)]
    for _ in range(ATTACKS):
        attack(server, chance, tokens)


@ensure
async def test_a_server_under_attack_stays_as_it_was() -> None:
    server = await Server.start(TULEAPRT_LISTEN__RAWSOCKET=ANY_PORT, TULEAPRT_HISTORY__EVENTS_PER_TOPIC="1")
    bystander = PythonClient(server.url)
    await bystander.open(ticket())
    await bystander.subscribe(KANBAN)
    await deferToThread(wave, server, 1)
    before = memory(server)
    for seed in (2, 3):
        await deferToThread(wave, server, seed)
    grown = memory(server) - before
    await received(bystander)
    answer = await server.post(wire("kanban_item_create"))
    assert [it["publication"] for it in await received(bystander)] == [answer.json["publication"]]
    assert await server.metric("internal_errors_total") == 0
    assert server.tracebacks() == []
    assert await server.metric("connections") == 1
    assert grown < 4 * 2**20, f"{grown} bytes more"
    await bystander.leave()
    await bystander.closed
    await server.process.stop("KILL")
