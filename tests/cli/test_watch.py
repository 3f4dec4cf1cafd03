"""``tuleaprt watch``: on a terminal, on a pipe, over a restart and a lost connection."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.cli.conftest import COMMAND, Tuleaprt, place
from tests.end_to_end.line import Line
from tests.end_to_end.processes import Process, patiently
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, KEY, body, ticket, wire

ensure = pytest_twisted.ensureDeferred

# The command line with a ping after one second of silence instead of 25, and two seconds for the answer.
IMPATIENT = """
import sys, tuleaprt.cli.session
from tuleaprt.cli.main import main
tuleaprt.cli.session.PING_SECONDS = 1
tuleaprt.cli.session.PONG_SECONDS = 2
sys.exit(main())
"""


async def create(server: Server, artifact_id: int) -> None:
    answer = await server.post(body(data={"artifact_id": artifact_id}))
    assert answer.status == 200


def events(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.lines if line.startswith("{")]


@pytest.mark.parametrize("how", ["KILL", "TERM"])
@ensure
async def test_on_a_terminal_it_survives_a_restart_in_colours(tuleaprt: Tuleaprt, how: str) -> None:
    server = await Server.start()
    watch = tuleaprt("watch", KANBAN, on_a_terminal=True, **place(server))
    await watch.written(r"\x1b\[2muser 1 watches org\.tuleap\.kanban\.3\x1b\[0m")
    await create(server, 1)
    await watch.written(r"\x1b\[36mkanban\.3\x1b\[0m \x1b\[1mkanban_item:create\x1b\[0m .*1\}")
    await server.process.stop(how)
    await watch.written(r"the connection is lost .*; connecting again in \d+\.\d seconds")
    again = await Server.start(
        TULEAPRT_LISTEN__PUBLIC=f'["tcp:{server.public}:interface=127.0.0.1"]',
    )
    try:
        await watch.written("missed events of org.tuleap.kanban.3 are lost: position lost")
        await watch.written("user 1 is connected again")
        await create(again, 2)
        await watch.written(r"kanban_item:create\x1b\[0m .*2\}")
        watch.transport.write(b"\x03")  # type: ignore[union-attr]
        assert await watch.ended() == 130
    finally:
        await again.process.stop("KILL")
    assert again.tracebacks() == []


@ensure
async def test_nothing_is_missed_when_the_line_is_cut(server: Server, tuleaprt: Tuleaprt) -> None:
    line = Line(server.public)
    watch = tuleaprt("watch", "--json", KANBAN, **place(server, line.port))
    await watch.written("user 1 watches")
    await create(server, 1)
    await watch.written(r'^\{.*"artifact_id": 1\}')
    await line.cut()
    await watch.written("the connection is lost")
    for artifact_id in (2, 3):
        await create(server, artifact_id)
    line.mend()
    await watch.written("user 1 is connected again")
    await create(server, 4)
    await watch.written(r'^\{.*"artifact_id": 4\}')
    assert [it["kwargs"]["data"]["artifact_id"] for it in events(watch)] == [1, 2, 3, 4]
    assert not [it for it in watch.lines if "lost: position" in it]
    await watch.stop("INT")
    assert watch.exit == 130
    await line.cut()


@pytest.mark.parametrize("stalled", [{}, {"to_client": False}, {"to_server": False}])
@ensure
async def test_nothing_is_missed_when_the_network_dies_without_a_word(
    server: Server, tuleaprt: Tuleaprt, stalled: dict[str, bool]
) -> None:
    line = Line(server.public)
    watch = Process.start(
        [sys.executable, "-c", IMPATIENT, "watch", "--json", KANBAN], place(server, line.port)
    )
    await watch.written("user 1 watches")
    await create(server, 1)
    await watch.written(r'^\{.*"artifact_id": 1\}')
    line.stall(**stalled)
    await create(server, 2)
    await watch.written(r"the connection is lost \(.*ping timeout.*\); connecting again in \d+\.\d seconds")
    await create(server, 3)
    await watch.written("user 1 is connected again")
    line.release()
    await create(server, 4)
    await watch.written(r'^\{.*"artifact_id": 4\}')
    assert [it["kwargs"]["data"]["artifact_id"] for it in events(watch)] == [1, 2, 3, 4]
    assert not [it for it in watch.lines if "lost: position" in it]
    await watch.stop("INT")
    await line.cut()


@ensure
async def test_on_a_pipe_it_is_json_line_by_line(server: Server, tuleaprt: Tuleaprt) -> None:
    watch = tuleaprt("watch", "--prefix", "--json", "--once", "1", "org.tuleap.", "org.")
    await watch.written("user 1 watches org.tuleap., org.$")
    answer = await server.post(wire("kanban_item_create"))
    assert await watch.ended() == 0
    assert events(watch) == [
        {
            "publication": json.loads(answer.body)["publication"],
            "topic": KANBAN,
            "args": [],
            "kwargs": {"cmd": "kanban_item:create", "data": {"artifact_id": 321}},
        }
    ]
    assert not [line for line in watch.lines if "\x1b" in line]


@ensure
async def test_meta_events_are_shown_as_they_are(server: Server, tuleaprt: Tuleaprt) -> None:
    watch = tuleaprt("watch", "wamp.session.on_leave", "--once", "1")
    await watch.written("user 1 watches")
    count = tuleaprt("sessions", "count")
    assert await count.ended() == 0
    await watch.written(r'^\d\d:\d\d:\d\d wamp\.session\.on_leave \[\d+, "1", "operator"\]$')
    assert await watch.ended() == 0


@ensure
async def test_attack_an_event_steers_the_terminal(server: Server, tuleaprt: Tuleaprt) -> None:
    watch = tuleaprt("watch", KANBAN, "--once", "1", NO_COLOR="1", on_a_terminal=True)
    await watch.written("user 1 watches")
    await server.post(body(data={"artifact_id": 1, "label": "\x1b[2J\u009b2J\u202e"}))
    await watch.written(r"kanban_item:create .*\\u001b\[2J\\x9b2J\\u202e")
    assert await watch.ended() == 0


@ensure
async def test_a_refused_ticket_ends_it_with_the_reason(tuleaprt: Tuleaprt, tmp_path: Path) -> None:
    path = tmp_path / "ticket"
    for bad, reason in (("nonsense", "authentication_denied"), (ticket(exp=1), "token_expired")):
        path.write_text(bad)
        watch = tuleaprt("watch", KANBAN, "--ticket-file", str(path))
        assert await watch.ended() == 1
        assert len(watch.lines) == 1
        assert re.match(rf"tuleaprt: the server refuses: \S+{reason}", watch.lines[0])
        assert bad not in watch.lines[0]


@ensure
async def test_a_user_may_watch_what_he_may_see_and_no_prefix(tuleaprt: Tuleaprt) -> None:
    allowed = tuleaprt("watch", KANBAN, TICKET=ticket())
    await allowed.written("user 102 watches org.tuleap.kanban.3")
    refused = tuleaprt("watch", "--prefix", "org.tuleap.", TICKET=ticket())
    assert await refused.ended() == 1
    assert refused.lines[0].startswith("tuleaprt: wamp.error.not_authorized")


@ensure
async def test_who_is_sent_away_stays_away(server: Server, tuleaprt: Tuleaprt) -> None:
    watch = tuleaprt("watch", KANBAN, TICKET=ticket(106))
    await watch.written("user 106 watches")
    assert await tuleaprt("sessions", "kill", "--user", "106").ended() == 0
    assert await watch.ended() == 1
    assert "the server has ended the session: org.tuleap.close.revoked" in watch.lines[-1]


@ensure
async def test_a_session_that_ends_with_its_ticket_is_followed_by_another(tuleaprt: Tuleaprt) -> None:
    server = await Server.start(TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="2")
    try:
        watch = tuleaprt("watch", KANBAN, **place(server))
        await watch.written(r"^org\.tuleap\.error\.token_expired.*; connecting again")
        await watch.written("user 1 is connected again")
    finally:
        await server.process.stop("KILL")


@ensure
async def test_a_reader_that_goes_ends_it_quietly(server: Server, tuleaprt: Tuleaprt) -> None:
    watch = tuleaprt("watch", KANBAN)
    await watch.written("user 1 watches")
    watch.transport.closeStdout()  # type: ignore[union-attr]
    # The pipe may close only after some events have been written to it.
    while watch.exit is None:
        await create(server, 1)
    assert watch.exit == 0


@pytest.mark.parametrize("how", ["key", "file", "environment"])
@ensure
async def test_attack_other_users_look_at_the_arguments(tuleaprt: Tuleaprt, tmp_path: Path, how: str) -> None:
    shown = ticket()
    (tmp_path / "ticket").write_text(shown)
    arguments = ["--ticket-file", str(tmp_path / "ticket")] if how == "file" else []
    environment = {"TICKET": shown} if how == "environment" else {}
    watch = tuleaprt("watch", KANBAN, *arguments, **environment)
    await watch.written("watches org.tuleap.kanban.3")
    seen = (Path("/proc") / str(watch.pid) / "cmdline").read_text() + "\n".join(watch.lines)
    assert await watch.stop("INT") == 130
    for secret in (shown, KEY.decode(), "eyJ"):
        assert secret not in seen


@ensure
async def test_ctrl_c_while_it_waits_for_the_server_is_quiet(tuleaprt: Tuleaprt) -> None:
    server = await Server.start()
    watch = Process.start([*COMMAND, "watch", KANBAN], place(server))
    await watch.written("user 1 watches")
    await server.process.stop("KILL")
    await watch.written("connecting again")
    watch.transport.signalProcess(signal.Signals.SIGINT)  # type: ignore[union-attr]
    assert await patiently(watch.ended(), "the end") == 130
    assert not [line for line in watch.lines if "Traceback" in line]
