"""What too many, too slow and too hostile clients do to the server and the others: nothing to speak of."""

import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import Node
from tests.end_to_end.crowd import HEAD, Crowd, Reader, read, resident
from tests.end_to_end.processes import patiently
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, body, ticket

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]
MIB = 2**20


def posted(data: object) -> dict[str, object]:
    return body(sender_uuid=None, data=data)


@ensure
async def test_two_mebibytes_reach_a_thousand_healthy_readers_within_the_bound(start: Start) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_OUTBOXES=str(64 * MIB))
    crowd = await deferToThread(lambda: Crowd(server.public, 1000).join())
    with crowd:
        before = resident(server.process.pid)
        text = "x" * 2 * MIB
        assert (await server.post(posted({"archive": text}))).status == 200
        most = 0

        def watch() -> None:
            nonlocal most
            for count in range(0, 1000, 100):
                read(crowd.readers[count : count + 100], lambda it: not it.messages)
                most = max(most, resident(server.process.pid) - before)

        await deferToThread(watch)
        assert [it.messages[0][5]["data"]["archive"] == text for it in crowd.readers] == [True] * 1000
        assert await server.metric("closes_total") == 0
        # What waits, a frame that is being made, and what Twisted copies of an outbox while it writes.
        assert most < 3 * 64 * MIB


@ensure
async def test_a_reader_that_never_reads_is_cut_off_and_the_others_lose_nothing(start: Start) -> None:
    server = await start()
    stuck = await deferToThread(lambda: Reader(server.public, buffer=4096).join(user_id=999))
    crowd = await deferToThread(lambda: Crowd(server.public, 99).join())
    with crowd:
        before = resident(server.process.pid)
        for number in range(100):
            assert (await server.post(posted({"n": number, "fill": "x" * 100_000}))).status == 200
            await deferToThread(crowd.receive, number + 1)
        assert [[it[5]["data"]["n"] for it in reader.messages] for reader in crowd.readers] == [
            list(range(100))
        ] * 99
        await server.process.written("closed: slow reader")
        assert await server.metric("closes_total") == 1
        assert resident(server.process.pid) - before < 64 * MIB
    stuck.close()


@ensure
async def test_a_slow_reader_that_reads_again_is_told_to_try_again_later(start: Start) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_OUTBOX="100000")
    slow = await deferToThread(lambda: Reader(server.public, buffer=4096).join())
    for _ in range(30):
        await server.post(posted({"fill": "x" * 500_000}))
    assert await deferToThread(slow.until_closed) == 1013
    slow.close()
    await server.process.written("closed: slow reader")
    assert await server.metric("closes_total") == 1


@ensure
async def test_over_tls_a_reader_that_never_reads_is_cut_off_too(start: Start, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(
        [*make.split(), "-keyout", chain, "-out", tmp_path / "certificate"], check=True, capture_output=True
    )
    chain.write_bytes(chain.read_bytes() + (tmp_path / "certificate").read_bytes())
    server = await start(
        TULEAPRT_LISTEN__PUBLIC=f'["ssl:0:interface=127.0.0.1:privateKey={chain}:certKey={chain}"]'
    )
    stuck, good = await deferToThread(
        lambda: [Reader(server.public, tls=True, buffer=4096).join(user_id=it) for it in (102, 103)]
    )
    before = resident(server.process.pid)
    for number in range(100):
        await server.post(posted({"n": number, "fill": "x" * 100_000}))
        await deferToThread(good.receive, number + 1)
    assert [it[5]["data"]["n"] for it in good.messages] == list(range(100))
    await server.process.written("closed: slow reader")
    assert resident(server.process.pid) - before < 64 * MIB
    for reader in (stuck, good):
        reader.close()


@ensure
async def test_autobahn_js_comes_back_by_itself_after_1013(start: Start) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_OUTBOX="100000")
    node = Node()
    client = node.client(server.url)
    client.comes_back = True
    await client.open(ticket())
    await client.subscribe(KANBAN)
    os.kill(node.process.pid, signal.SIGSTOP)
    for _ in range(30):
        await server.post(posted({"fill": "x" * 500_000}))
    os.kill(node.process.pid, signal.SIGCONT)
    assert await patiently(client.closed, "the close") == "closed"
    await patiently(client.reopened, "the library to come back")
    assert "closed: slow reader" in "".join(server.process.lines)
    await node.process.stop("KILL")


@ensure
async def test_a_flood_of_connections_that_say_nothing_or_nonsense_shuts_nobody_out(start: Start) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_UNAUTHENTICATED="50", TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="3")
    good = await deferToThread(lambda: Reader(server.public).join())
    attacks = [b"", HEAD[:40], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n" + b"x" * 20_000, HEAD]

    def attack() -> list[socket.socket]:
        flooders = [socket.create_connection(("127.0.0.1", server.public)) for _ in range(300)]
        for number, flooder in enumerate(flooders):
            with suppress(ConnectionError):
                flooder.sendall(attacks[number % len(attacks)])
        return flooders

    flooders = await deferToThread(attack)
    refused = await deferToThread(lambda: Reader(server.public))
    await server.post(posted({"n": 1}))
    assert (await deferToThread(good.receive, 1))[0][5]["data"] == {"n": 1}
    for flooder in flooders:
        flooder.close()
    refused.close()
    late = await deferToThread(lambda: Reader(server.public).join(user_id=104))
    await server.post(posted({"n": 2}))
    assert (await deferToThread(late.receive, 1))[0][5]["data"] == {"n": 2}
    for reader in (good, late):
        reader.close()


FLOODS = {"silent": b"", "half a head": HEAD[:40], "no hello": HEAD, "over TLS": b"\x16\x03\x01\x02\x00\x01"}


def flood(port: int, data: bytes, count: int = 200, source: str = "127.0.0.1") -> list[socket.socket]:
    """Connections that say this and then nothing."""
    flooders = [
        socket.create_connection(("127.0.0.1", port), source_address=(source, 0)) for _ in range(count)
    ]
    for flooder in flooders:
        with suppress(ConnectionError):
            flooder.sendall(data)
    return flooders


@pytest.mark.parametrize("stage", FLOODS)
@ensure
async def test_one_address_that_fills_the_room_of_the_unauthenticated_locks_no_newcomer_out(
    start: Start, stage: str
) -> None:
    server = await start(
        TULEAPRT_LIMITS__MAX_UNAUTHENTICATED="50",
        TULEAPRT_LIMITS__MAX_CONNECTIONS="10",
        TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="3600",
    )
    flooders = await deferToThread(flood, server.public, FLOODS[stage])
    for _ in range(2):
        newcomer = await deferToThread(lambda: Reader(server.public, source="127.0.0.2").join())
        newcomer.close()
        flooders += await deferToThread(flood, server.public, FLOODS[stage])
    assert await server.metric("unauthenticated_dropped_total") >= 300
    assert await server.metric("unauthenticated") <= 50
    named = [it for it in server.process.lines if "too many connections without a token from 127.0.0.1" in it]
    assert 1 <= len(named) <= 20
    for flooder in flooders:
        flooder.close()


@ensure
async def test_the_client_of_a_proxy_that_fills_the_room_locks_no_other_client_out(start: Start) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_UNAUTHENTICATED="50", TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="3600")

    def of(client: str) -> bytes:
        return HEAD.replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {client}\r\n\r\n".encode())

    def come_in() -> int:
        newcomer = Reader(server.public)
        newcomer.socket.sendall(of("2001:db8:0:2::1"))
        newcomer.go_on().receive(1)
        newcomer.close()
        return newcomer.status

    flooders: list[socket.socket] = []
    for number in range(3):
        # All addresses of a /64 are one client's.
        flooders += await deferToThread(flood, server.public, of(f"2001:db8:0:1::{number:x}"))
        assert await deferToThread(come_in) == 101
    await server.process.written("too many connections without a token from 2001:db8:0:1::/64")
    for flooder in flooders:
        flooder.close()


@ensure
async def test_a_full_server_tells_a_newcomer_when_to_come_back(start: Start) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_CONNECTIONS="1")

    def refused() -> Reader:
        reader = Reader(server.public)
        reader.socket.sendall(HEAD)
        while not reader.status:
            reader.read()
        return reader

    member = await deferToThread(lambda: Reader(server.public).join())
    newcomer = await deferToThread(refused)
    assert (newcomer.status, "Retry-After: 5" in newcomer.head) == (503, True)
    for reader in (member, newcomer):
        reader.close()


@ensure
async def test_when_all_come_back_at_once_after_a_restart_all_are_served(start: Start) -> None:
    server = await start()
    await server.process.stop("KILL")
    again = await start(TULEAPRT_LISTEN__PUBLIC=f'["tcp:{server.public}:interface=127.0.0.1"]')
    with await deferToThread(lambda: Crowd(again.public, 500).join()) as crowd:
        assert await again.metric("connections") == 500
        await again.post(posted({"n": 1}))
        await deferToThread(crowd.receive, 1)
        assert [it.messages[0][5]["data"] for it in crowd.readers] == [{"n": 1}] * 500
