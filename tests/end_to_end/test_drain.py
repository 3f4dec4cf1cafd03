"""A stop: nothing that was accepted is lost, and every client is told to reconnect."""

import http.client
import json
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.crowd import Crowd, Reader, read
from tests.end_to_end.processes import TWISTD, Process
from tests.end_to_end.server import Server
from tests.fakes import FIXTURES, body

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]
KEY_FILE = str(FIXTURES / "tuleap-realtime-key")


def posted(number: int) -> bytes:
    return json.dumps(body(sender_uuid=None, data={"n": number})).encode()


def heads(length: int) -> bytes:
    return (
        "POST /message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def post_until_refused(port: int) -> int:
    """How many posts were answered 200, over one connection after the other, until there is no server."""
    accepted = 0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            for _ in range(10):
                connection.request("POST", "/message", posted(accepted), {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                accepted += 1
                if response.getheader("Connection") == "close":
                    break
        except (ConnectionError, http.client.HTTPException):
            return accepted
        finally:
            connection.close()


@ensure
async def test_a_stop_under_load_leaves_no_gap_and_tells_all_to_come_back(
    start: Start,
) -> None:
    server = await start()
    crowd = await deferToThread(lambda: Crowd(server.public, 200).join())
    with crowd:
        posting = deferToThread(post_until_refused, server.private)
        await deferToThread(crowd.receive, 20)
        before = int(await server.metric("publications_total"))
        server.process.transport.signalProcess("TERM")
        accepted = await posting
        await deferToThread(read, crowd.readers, lambda reader: True)
        assert await server.process.ended() == 0
    assert {reader.closed for reader in crowd.readers} == {1012}
    received = [[it[5]["data"]["n"] for it in reader.messages] for reader in crowd.readers]
    assert [numbers == list(range(len(numbers))) for numbers in received] == [True] * 200
    assert min(map(len, received)) >= before
    assert accepted >= max(map(len, received))


@ensure
async def test_a_post_that_is_half_here_is_finished(start: Start) -> None:
    server = await start()
    window = await deferToThread(lambda: Reader(server.public).join())
    whole = heads(len(posted(1))) + posted(1)
    tuleap = socket.create_connection(("127.0.0.1", server.private))
    idle = socket.create_connection(("127.0.0.1", server.private))
    idle.sendall(heads(len(posted(0))) + posted(0))
    assert b" 200 OK" in await deferToThread(idle.recv, 4096)
    tuleap.sendall(whole[:-10])
    assert await server.metric("connections") == 1
    server.process.transport.signalProcess("TERM")
    assert await deferToThread(window.until_closed) == 1012
    window.close()
    assert await deferToThread(idle.recv, 4096) == b""
    tuleap.sendall(whole[-10:])
    answer = await deferToThread(tuleap.recv, 4096)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in answer
    assert await server.process.ended() == 0
    for it in (tuleap, idle):
        it.close()


@ensure
async def test_who_does_not_go_is_dropped_when_the_drain_is_over(start: Start) -> None:
    server = await start(TULEAPRT_SHUTDOWN__DRAIN="1")
    stuck = await deferToThread(lambda: Reader(server.public, buffer=4096).join())
    for _ in range(10):
        await server.post(json.dumps(body(sender_uuid=None, data="x" * 900_000)).encode())
    assert await server.process.stop() == 0
    assert any("closed: shutdown" in line or "slow reader" in line for line in server.process.lines)
    stuck.close()


@ensure
async def test_systemd_is_told_when_it_is_ready_and_when_it_stops(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        server = await start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert await deferToThread(systemd.recv, 1000) == b"READY=1"
        server.process.transport.signalProcess("TERM")
        heard = b""
        while heard != b"STOPPING=1":
            heard = await deferToThread(systemd.recv, 1000)
        assert await server.process.ended() == 0


# Socket activation.

ACTIVATED = {
    "TULEAPRT_REALTIME__KEY_FILE": KEY_FILE,
    "TULEAPRT_LISTEN__PRIVATE": '["systemd:domain=INET:name=private"]',
    "TULEAPRT_LISTEN__PUBLIC": '["tcp:0:interface=127.0.0.1"]',
}


def answer_to(port_or_socket: Any, number: int) -> bytes:
    """Post, as PHP does, and wait for the answer however long it takes."""
    with socket.create_connection(port_or_socket) as tuleap:
        tuleap.settimeout(60)
        tuleap.sendall(heads(len(posted(number))) + posted(number))
        return tuleap.recv(4096)


@ensure
async def test_it_takes_the_port_that_systemd_gives_it() -> None:
    activate = shutil.which("systemd-socket-activate")
    assert activate, "systemd-socket-activate is missing: apt-get install systemd"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-l", f"127.0.0.1:{port}", "--fdname=private", *(f"--setenv={name}" for name in ACTIVATED)]
    process = Process.start([activate, *options, TWISTD, "-n", "--pidfile=", "tuleaprt"], ACTIVATED)
    await process.written("Listening on")
    answer = await deferToThread(answer_to, ("127.0.0.1", port), 1)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert await process.stop() == 0


@ensure
async def test_no_post_is_lost_while_it_restarts_because_its_port_stays() -> None:
    """systemd holds the socket, as the test does here; PHP posts once and waits five seconds."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as held:
        address = held.getsockname()
        script = (
            f"export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=private; exec {TWISTD} -n --pidfile= tuleaprt"
        )

        async def start() -> Process:
            process = Process.start(["/bin/sh", "-c", script], ACTIVATED, {3: held.fileno()})
            await process.written("tuleaprt is ready$")
            return process

        first = await start()
        assert (await deferToThread(answer_to, address, 1)).startswith(b"HTTP/1.1 200 OK")
        assert await first.stop() == 0
        waiting = [deferToThread(answer_to, address, number) for number in range(2, 7)]
        second = await start()
        assert [(await it)[:15] for it in waiting] == [b"HTTP/1.1 200 OK"] * 5
        assert await second.stop() == 0
