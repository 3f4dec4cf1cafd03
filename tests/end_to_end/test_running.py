"""Starting, stopping and being shown how to use it."""

import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.processes import TWISTD, Process
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import FIXTURES, KANBAN, ticket, wire

ensure = pytest_twisted.ensureDeferred
KEY_FILE = {"TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key")}
ANYWHERE = {"TULEAPRT_LISTEN__PRIVATE": ANY_PORT, "TULEAPRT_LISTEN__PUBLIC": ANY_PORT}
RUN = [sys.executable, "demo/run.py"]
SAMPLE = "tests/fixtures/tuleap/wire/kanban_item_create.body"


@ensure
async def test_the_guide_of_make_run_can_be_followed(tmp_path: Path) -> None:
    run = Process.start([*RUN, "--state", str(tmp_path)], {**ANYWHERE, **KEY_FILE})
    token = (await run.written(r"^  (eyJ\S+)$"))[1]
    watch = (await run.written(r"^    make watch TOPIC=(\S+) URL=(\S+)$")).groups()
    (post,) = (await run.written(r"^    make post URL=(\S+)$")).groups()
    topic, url = watch
    command = [sys.executable, "-m", "tuleaprt", "watch", topic, "--url", url]
    watchers = {
        Process.start(command, {"TICKET": token}): r"\S+ kanban\.3",
        Process.start(["/usr/bin/env", "node", "demo/watch.mjs", *watch], {"TICKET": token}): r"\d+",
    }
    for watcher in watchers:
        await watcher.written(f"watch(es|ing) {re.escape(KANBAN)}$")
    posting = Process.start([sys.executable, "-m", "tuleaprt", "post", SAMPLE, "--url", post], {})
    await posting.written(r'\{"publication":(\d+)\}')
    for watcher, start in watchers.items():
        await watcher.written(rf'^{start} kanban_item:create {{"artifact_id": ?321}}$')
        await watcher.stop("KILL")
    assert await run.stop("INT") == 0


@ensure
async def test_a_key_is_made_when_none_is_configured_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    run = Process.start([*RUN, "--state", str(tmp_path / "state")], ANYWHERE)
    await run.written("Ctrl-C stops the server")
    assert await run.stop("INT") == 0
    key = tmp_path / "state" / "tuleap-realtime-key"
    assert re.fullmatch(r"PRIVATE_KEY=[A-Za-z0-9+/]{86}==", key.read_text())
    for secret in (key, tmp_path / "state" / "ticket"):
        assert secret.stat().st_mode & 0o077 == 0
    assert key.read_text().removeprefix("PRIVATE_KEY=") not in "\n".join(run.lines)


@ensure
async def test_the_ticket_of_make_run_is_signed_with_the_configured_key(tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    (tmp_path / "key").write_text("c" * 88)
    path.write_text(f'[realtime]\nkey_file = "{tmp_path / "key"}"\nalgorithms = ["HS256"]\n')
    run = Process.start([*RUN, "--config", str(path), "--state", str(tmp_path / "state")], ANYWHERE)
    token = (await run.written(r"^  (eyJ\S+)$"))[1]
    assert jwt.decode(token, "c" * 88, algorithms=["HS256"])["data"]["user_id"] == 102
    assert await run.stop("INT") == 0


@ensure
async def test_make_run_shows_a_live_page_and_takes_it_away_again(tmp_path: Path) -> None:
    run = Process.start([*RUN, "--state", str(tmp_path)], ANYWHERE)
    port = int((await run.written(r"^  Look at it: http://127\.0\.0\.1:(\d+)$"))[1])
    await run.written("Ctrl-C stops the server")
    with socket.create_connection(("127.0.0.1", port)):
        pass
    assert await run.stop("INT") == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@ensure
async def test_after_a_good_start_the_guide_is_the_last_thing_on_the_screen(tmp_path: Path) -> None:
    run = Process.start([*RUN, "--state", str(tmp_path)], ANYWHERE)
    public = (await run.written(r"browsers connect to ws://127\.0\.0\.1:(\d+)/ws"))[1]
    client = PythonClient(f"ws://127.0.0.1:{public}/ws")
    token = (await run.written(r"^  (eyJ\S+)$"))[1]
    await client.open(token)
    shown = [line for line in run.lines if line]
    assert shown[0].startswith("  Look at it: ")
    assert shown[-1] == "  Ctrl-C stops the server."
    assert not [line for line in shown if "#" in line]
    await client.leave()
    assert await run.stop("INT") == 0


@ensure
async def test_a_start_that_fails_shows_everything(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = Process.start(
            [*RUN, "--state", str(tmp_path)],
            ANYWHERE | {"TULEAPRT_LISTEN__PRIVATE": f'["tcp:{port}:interface=127.0.0.1"]'},
        )
        assert await run.ended() == 1
    assert [line for line in run.lines if "Address already in use" in line]


@ensure
async def test_there_is_no_live_page_beside_a_configured_key(tmp_path: Path) -> None:
    run = Process.start([*RUN, "--state", str(tmp_path)], {**ANYWHERE, **KEY_FILE})
    await run.written("Ctrl-C stops the server")
    assert await run.stop("INT") == 0
    assert "Look at it" not in "\n".join(run.lines)


@ensure
async def test_ctrl_c_on_a_terminal_stops_it_without_noise(tmp_path: Path) -> None:
    # On a terminal the whole foreground group receives the signal, and users may press twice.
    run = Process.start(["/usr/bin/setsid", *RUN, "--state", str(tmp_path)], ANYWHERE)
    await run.written("Ctrl-C stops the server")
    for _ in range(2):
        os.killpg(run.transport.pid, signal.SIGINT)
    assert await run.ended() == 0
    assert run.lines[-1].endswith("Server Shut Down.")
    assert not [line for line in run.lines if "Traceback" in line]


@ensure
async def test_it_can_be_stopped_when_a_script_has_started_it_in_the_background(tmp_path: Path) -> None:
    in_background = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *RUN, "--state", str(tmp_path)]
    run = Process.start(in_background, ANYWHERE)
    await run.written("Ctrl-C stops the server")
    assert await run.stop("TERM") == 0


@ensure
async def test_make_run_says_what_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    run = Process.start([*RUN, "--config", str(tmp_path / "none.toml"), "--state", str(tmp_path)], ANYWHERE)
    assert await run.ended() == 1
    assert run.lines == ["cannot start:", f"{tmp_path / 'none.toml'}: No such file or directory"]


@ensure
async def test_a_watcher_says_why_it_ends(server: Server) -> None:
    command = ["/usr/bin/env", "node", "demo/watch.mjs", KANBAN, server.url]
    watcher = Process.start(command, {"TICKET": ticket(exp=1)})
    await watcher.written(r"org\.tuleap\.error\.token_expired")
    await watcher.ended()


@ensure
async def test_five_mistakes_in_a_configuration_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    (tmp_path / "key").write_text("short-k3y")
    path.write_text(
        f'[realtime]\nkey_file = "{tmp_path / "key"}"\npost_secret = ["s3cr3t"]\n'
        '[limits]\nmax_outbox = "many"\n[listen]\npubic = []\nrawsocket = ["udp:53"]\n'
    )
    process = Process.start([TWISTD, "-n", "--pidfile=", "tuleaprt", "--config", str(path)], {})
    assert await process.ended() == 1
    assert process.lines[-6:] == [
        "tuleaprt does not start:",
        f"{path}: [realtime] post_secret: expected a text, given (not shown)",
        f'{path}: [limits] max_outbox: expected a whole number, 1 or more, given "many"',
        f"{path}: [listen] pubic: there is no such option",
        f"{path}: [realtime] key_file: expected a file with Tuleap's key, of 32 bytes or more, "
        f'given "{tmp_path / "key"}" with a key of 9 bytes',
        f"{path}: [listen] rawsocket: expected endpoint strings of Twisted, "
        "given \"udp:53\": Unknown endpoint type: 'udp'",
    ]
    output = "\n".join(process.lines)
    assert not [it for it in ("Traceback", "short-k3y", "s3cr3t") if it in output]


@ensure
async def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    environment = {"TULEAPRT_REALTIME__KEY_FILE": str(tmp_path / "none")}
    process = Process.start([TWISTD, "-n", "--pidfile=", "tuleaprt"], environment)
    assert await process.ended() == 1
    assert process.lines[-1] == (
        "TULEAPRT_REALTIME__KEY_FILE: [realtime] key_file: expected a file with Tuleap's key, of 32 bytes or "
        f'more, given "{tmp_path / "none"}": No such file or directory'
    )


@ensure
async def test_a_port_that_is_taken_is_said_in_one_line(server: Server) -> None:
    taken = {"TULEAPRT_LISTEN__PRIVATE": f'["tcp:{server.private}:interface=127.0.0.1"]'}
    process = Process.start([TWISTD, "-n", "--pidfile=", "tuleaprt"], {**ANYWHERE, **KEY_FILE, **taken})
    assert await process.ended() == 1
    assert "Address already in use" in process.lines[-1]
    assert not [line for line in process.lines if "Traceback" in line]


@ensure
async def test_the_shipped_configuration_starts() -> None:
    server = await Server.start(Path("etc/tuleaprt.toml"))
    assert (await server.post(wire("kanban_item_create"))).status == 200
    await server.process.stop()


@ensure
async def test_a_stop_closes_browsers_so_that_they_come_back(node: Any) -> None:
    server = await Server.start()
    javascript, python = node.client(server.url), PythonClient(server.url)
    for client in (javascript, python):
        await client.open(ticket())
    await server.process.stop()
    assert await javascript.closed == "closed"
    assert await python.closed == "wamp.close.transport_lost"
    assert len([line for line in server.process.lines if "closed: shutdown session=" in line]) == 2
    assert server.tracebacks() == []


@ensure
async def test_posts_from_elsewhere_may_need_a_secret() -> None:
    server = await Server.start(TULEAPRT_REALTIME__POST_SECRET="s3cr3t")
    body = wire("kanban_item_create")
    assert (await server.post(body)).status == 401
    assert (await server.post(body, Authorization="Bearer s3cr3t")).status == 200
    await server.process.stop()
    assert "s3cr3t" not in "\n".join(server.process.lines)


@ensure
async def test_a_unix_socket_serves_rawsocket_and_its_silent_clients_are_closed(tmp_path: Path) -> None:
    def come_and_be_silent() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(path))
            connection.sendall(b"\x7f\xf1\0\0")
            answer = b""
            while data := connection.recv(4096):
                answer += data
            return answer

    path = tmp_path / "raw.sock"
    process = Process.start(
        [TWISTD, "-n", "--pidfile=", "tuleaprt"],
        {
            **ANYWHERE,
            **KEY_FILE,
            "TULEAPRT_LISTEN__RAWSOCKET": f'["unix:{path}:mode=0600"]',
            "TULEAPRT_WEBSOCKET__OPEN_TIMEOUT": "0.5",
        },
    )
    await process.written("tuleaprt is ready$")
    assert await deferToThread(come_and_be_silent) == b"\x7f\x91\0\0"
    await process.written("unix closed: open timeout")
    assert not [line for line in process.lines if "Traceback" in line]
    await process.stop()
