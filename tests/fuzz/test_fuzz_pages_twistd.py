"""Random input of pages over socket.io against a real server, over real sockets."""

import random
import re
import socket
import time
from contextlib import suppress

import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import PythonClient, received
from tests.end_to_end.server import Server
from tests.end_to_end.test_hostile_browsers import frame
from tests.fakes import KANBAN, ticket, wire
from tests.fuzz.page_mutations import handshake, one_request, packet, poll, upgrade
from tests.fuzz.test_fuzz_twistd import memory
from tests.transport.sockets import subscription
from tests.web.requests import request

ensure = pytest_twisted.ensureDeferred
ATTACKS, POSTS, MOST_LOOKS = 60, 6, 300
SID = re.compile(rb'0\{"sid":"([\w-]+)"')
SHORT_SECONDS = 0.02
"""How long an attacker waits for an answer that may never come."""


class Witness:
    """A page over WebSocket that reads everything and answers pings. Its methods block."""

    def __init__(self, server: Server, token: str) -> None:
        self.received = b""
        self._connection = socket.create_connection(("127.0.0.1", server.private), timeout=30)
        self._connection.sendall(
            upgrade() + frame(b"40") + frame(subscription(token, uuid="witness").encode())
        )
        self.read_until(b'40{"sid"')

    def read_until(self, text: bytes) -> None:
        while text not in self.received:
            self.read()

    def read(self, timeout: float = 30) -> None:
        """Read once, if there is something in time."""
        self._connection.settimeout(timeout)
        with suppress(TimeoutError):
            data = self._connection.recv(65536)
            assert data, "the server has closed the witness"
            self.received += data
            if b"\x81\x012" in data:
                self._connection.sendall(frame(b"3"))

    def close(self) -> None:
        self._connection.close()


def attack(server: Server, chance: random.Random, tokens: list[str], sids: list[str]) -> None:
    """One client that opens a session, or begins to, and sends what it should not. Sessions of clients that
    came before are left to it in ``sids``.
    """
    if chance.random() < 0.7:
        answer = talk(server, chance, [poll()])
        sids += [it.decode() for it in SID.findall(answer)]
        del sids[:-20]
    sid = chance.choice(sids) if sids and chance.random() < 0.9 else None
    good = [b"40", subscription(chance.choice(tokens), uuid="w").encode()][: chance.randrange(3)]
    if chance.random() < 0.6:
        for it in good:
            talk(server, chance, [poll(sid, it)])
        for _ in range(chance.randrange(1, 4)):
            count = chance.choice([1, 1, 2, 3])
            talk(server, chance, [one_request(chance, sid, tokens) for _ in range(count)])
    if chance.random() < 0.6:
        opening = upgrade(sid) if chance.random() < 0.8 else handshake(chance, sid)
        probes = [b"2probe", b"5"][: chance.randrange(3)] if sid else good
        packets = [packet(chance, tokens) for _ in range(chance.randrange(6))]
        talk(server, chance, [opening, *(frame(it, 1) for it in (*probes, *packets))])


def talk(server: Server, chance: random.Random, parts: list[bytes]) -> bytes:
    """Send the parts over one connection, and return what is answered soon. The client then closes, or drops
    the connection.
    """
    port = chance.choice([server.private, server.public])
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, suppress(OSError):
        for part in parts:
            connection.sendall(part)
            if part.startswith(b"GET") and chance.random() < 0.5:
                connection.settimeout(SHORT_SECONDS)
                with suppress(TimeoutError):
                    answer += connection.recv(65536)
        connection.settimeout(SHORT_SECONDS)
        if chance.random() < 0.5:
            connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            answer += data
    return answer


def wave(server: Server, seed: int, witness: Witness) -> None:
    """Attacks, and posts between them."""
    chance = random.Random(seed)
    exp = time.time() + 1700
    tokens = [ticket(103, exp=exp), ticket(102, exp=exp), ticket(103, exp=time.time() + 2), "nonsense"]
    sids: list[str] = []
    for number in range(ATTACKS):
        attack(server, chance, tokens, sids)
        if number % (ATTACKS // POSTS) == 0:
            posted = request(
                "POST", "/message", wire("kanban_item_create"), Host="localhost", Connection="close"
            )
            with socket.create_connection(("127.0.0.1", server.private), timeout=30) as connection:
                connection.sendall(posted)
                assert b" 200 " in connection.recv(65536)
        witness.read(0.001)


@ensure
async def test_a_server_under_attack_by_pages_stays_as_it_was() -> None:
    server = await Server.start(
        TULEAPRT_HISTORY__EVENTS_PER_TOPIC="1",
        # Sessions whose clients have gone without a word end soon after.
        TULEAPRT_WEBSOCKET__PING_INTERVAL="3",
        TULEAPRT_WEBSOCKET__PING_TIMEOUT="3",
        TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="3",
        TULEAPRT_SOCKETIO__REMINDER="1",
    )
    window = PythonClient(server.url)
    await window.open(ticket(101))
    await window.subscribe(KANBAN)
    page = await deferToThread(Witness, server, ticket(101))
    await deferToThread(wave, server, 1, page)
    before = memory(server)
    for seed in (2, 3):
        await deferToThread(wave, server, seed, page)
    grown = memory(server) - before
    answer = await server.post(wire("kanban_item_move"))
    publications = [it["publication"] for it in await received(window)]
    assert len(publications) == len(set(publications)) == 3 * POSTS + 1
    assert publications[-1] == answer.json["publication"]
    await deferToThread(page.read_until, b"kanban_item:move")
    assert len(re.findall(rb'42\["kanban_item:create"', page.received)) == 3 * POSTS
    looks = 0
    while await server.metric("connections") != 2:
        looks += 1
        assert looks < MOST_LOOKS, "sessions of clients that have gone are left"
        await deferToThread(page.read, 0.2)
    assert await server.metric("internal_errors_total") == 0
    assert server.tracebacks() == []
    assert grown < 4 * 2**20, f"{grown} bytes more"
    await deferToThread(page.close)
    await window.leave()
    await window.closed
    await server.process.stop("KILL")
