"""docs/cli.rst: its commands are typed as they stand, and print what the page shows."""

import os
import re
import signal
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.conftest import COMMAND, KEY_FILE, place
from tests.docs.pages import DOCS, Block, blocks
from tests.end_to_end.clients import PythonClient
from tests.end_to_end.processes import ROOT, Process, patiently
from tests.end_to_end.server import Server
from tests.fakes import ticket, wire
from tuleaprt.configuration.template import shipped

ensure = pytest_twisted.ensureDeferred
SESSION_ID = "5707406121832340"
ELSEWHERE = {"tuleaprt init", "tuleaprt check-delivery https://tuleap.example.com"}
"""They need nginx: tests/cli/test_init.py and test_delivery.py compare what they print."""


def block_with(text: str) -> Block:
    (found,) = (it for it in blocks(DOCS / "cli.rst") if any(text in line for line in it.lines))
    return found


class Shell:
    """A shell with ``tuleaprt`` on its PATH, in a folder of its own."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        program = folder / "bin" / "tuleaprt"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {" ".join(COMMAND)} "$@"\n')
        program.chmod(0o755)
        (folder / "tests").symlink_to(ROOT / "tests")
        self.environment = {**KEY_FILE, **place(server), "PATH": f"{folder / 'bin'}:/usr/bin:/bin"}

    def type_in(self, command: str) -> Process:
        """Files of the system are below the folder."""
        command = command.replace("/etc/tuleaprt/", f"{self.folder}/")
        # Its own process group, because a signal must reach all parts of a pipeline.
        return Process.start(["setsid", "bash", "-c", command], self.environment, folder=self.folder)

    async def outcome(self, command: str) -> tuple[int, list[str]]:
        process = self.type_in(command)
        status = await patiently(process.ended(), command)
        return status, [it.replace(f"{self.folder}/", "/etc/tuleaprt/") for it in process.lines]


@pytest.fixture
def shell(tmp_path: Path, server: Server) -> Shell:
    return Shell(tmp_path, server)


def test_every_command_is_typed_here_or_elsewhere() -> None:
    typed = Path(__file__).read_text()
    commands = [it for block in blocks(DOCS / "cli.rst") for it in block.commands if it not in ELSEWHERE]
    assert [it for it in commands if it not in typed and not it.startswith("tuleaprt 0.")] == []


@ensure
async def test_check_config(shell: Shell) -> None:
    block = block_with("tuleaprt check-config")
    text = shipped().replace("max_outbox = 1048576", 'max_outbox = "many"')
    (shell.folder / "tuleaprt.toml").write_text(text.replace("[listen]\n", "[listen]\npubic = []\n"))
    status, lines = await shell.outcome("tuleaprt check-config /etc/tuleaprt/tuleaprt.toml")
    assert (status, sorted(lines)) == (1, sorted(block.lines[1:]))


@ensure
async def test_token(shell: Shell) -> None:
    assert await shell.outcome("tuleaprt token 102 @site_active 101_3 > ticket") == (0, [])
    assert (shell.folder / "ticket").read_text().count(".") == 2
    for command in (
        "tuleaprt token 102 @site_active --seconds 60 --rooms org.tuleap.kanban.3",
        "tuleaprt token 1 --operator --seconds 3600",
    ):
        status, lines = await shell.outcome(command)
        assert (status, len(lines)) == (0, 1)


@ensure
async def test_watch_and_post(shell: Shell, server: Server) -> None:
    command = "tuleaprt watch org.tuleap.kanban.3 org.tuleap.testmanagement.9"
    shows = block_with(command).lines
    watching = shell.type_in(f"exec {command}")
    await watching.written(f"^{re.escape(shows[1])}$")
    by_prefix = shell.type_in("tuleaprt watch --prefix org.tuleap. --json | jq .kwargs.cmd")
    await by_prefix.written("^user 1 watches")
    (shell.folder / "ticket").write_text(ticket())
    once = (
        "tuleaprt watch --once 1 --ticket-file ticket --url wss://tuleap.example.com/ws org.tuleap.kanban.3"
    )
    waiting = shell.type_in(once.replace("wss://tuleap.example.com/ws", server.url))
    await waiting.written("^user 102 watches")

    posting = "tuleaprt post tests/fixtures/tuleap/wire/kanban_item_create.body"
    status, lines = await shell.outcome(posting)
    expected = [re.sub(r"\d{9,}", r"\\d+", re.escape(it)) for it in block_with(posting).lines[1:]]
    assert status == 0
    assert all(re.fullmatch(one, other) for one, other in zip(expected, lines, strict=True)), lines
    await watching.written(rf"^\d\d:\d\d:\d\d {re.escape(shows[2].partition(' ')[2])}$")
    assert await patiently(waiting.ended(), "one event") == 0
    assert (await server.post(wire("kanban_item_move"))).status == 200
    await watching.written("kanban.3 kanban_item:move {")
    for process in (watching, by_prefix):
        os.killpg(process.pid, signal.SIGTERM)
        await process.ended()


@ensure
async def test_sessions(shell: Shell, server: Server) -> None:
    client = PythonClient(server.url)
    await client.open(ticket())
    head, row = block_with("SESSION ").lines[1:3]
    status, lines = await shell.outcome("tuleaprt sessions")
    assert status == 0
    assert lines[0] == head
    assert lines[1].split()[1:4] == row.split()[1:4]
    status, lines = await shell.outcome("tuleaprt sessions list --json")
    assert (status, len(lines)) == (0, 1)
    assert await shell.outcome("tuleaprt sessions count") == (0, ["1"])
    (id,) = re.findall(r'"session": ?(\d+)', lines[0])
    kill = "tuleaprt sessions kill 5707406121832340"
    assert (await shell.outcome(kill))[0] == 1
    assert (await shell.outcome(kill.replace(SESSION_ID, id)))[0] == 0
    assert await patiently(client.closed, "the end") == "wamp.close.killed"
    assert (await shell.outcome("tuleaprt sessions kill --user 102"))[0] == 0


@ensure
async def test_completion_and_version(shell: Shell) -> None:
    status, _ = await shell.outcome("source <(tuleaprt completion bash) && complete -p tuleaprt")
    assert status == 0
    status, lines = await shell.outcome("tuleaprt version")
    shown = block_with("tuleaprt version").lines[1:]
    assert status == 0
    assert [it.rpartition(" ")[0] for it in lines] == [it.rpartition(" ")[0] for it in shown]
    assert (await shell.outcome("tuleaprt --help"))[0] == 0
