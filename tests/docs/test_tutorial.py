"""docs/tutorial.rst, command by command, in four terminals."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.demo.test_run import System
from tests.docs.pages import DOCS, blocks
from tests.end_to_end.processes import Process, patiently
from tests.end_to_end.test_nginx import free_port

ensure = pytest_twisted.ensureDeferred
PAGE = list(blocks(DOCS / "tutorial.rst"))
COMMANDS = [command for block in PAGE for command in block.commands]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path)
    system.install("cat")
    private, public = free_port(), free_port()
    system.environment |= {
        "PATH": str(system.commands),
        "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{private}:interface=127.0.0.1"]',
        "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{public}:interface=127.0.0.1"]',
        # It is that of this checkout: installing the copy into it would break all other tests.
        "MAKEFLAGS": "--old-file=.venv/run --no-print-directory",
    }
    yield system
    shutil.rmtree(system.checkout)


def shown(text: str) -> str:
    """A pattern for the line of the page with this text. Ids, times and pauses differ."""
    (line,) = (it for block in PAGE for it in block.lines if text in it)
    return re.sub(r"[0-9:.]*[0-9]{4,}|[0-9:]{8}|[0-9]\\\.[0-9]", r"[0-9:.]+", re.escape(line))


async def end(process: Process) -> None:
    """As Ctrl-C in its terminal does: all of its processes receive the signal."""
    os.killpg(process.pid, signal.SIGINT)
    await patiently(process.ended(), "the end")
    assert not [line for line in process.lines if "Traceback" in line]


@ensure
async def test_the_tutorial(system: System) -> None:
    def type_in(command: str) -> Process:
        shell = ["/usr/bin/setsid", "/bin/sh", "-c", command]
        return Process.start(shell, system.environment, folder=system.checkout)

    run, watch, post, token, watch_as_outsider, post_again = COMMANDS
    assert (run, watch, post, post_again) == ("make run", "make watch", "make post", "make post")

    server = type_in(run)
    await server.written("Ctrl-C stops the server")
    member = type_in(watch)
    await member.written(shown("user 102 watches"))
    posted = type_in(post)
    assert await posted.ended() == 0
    assert posted.lines[0] == "200 OK"
    assert re.fullmatch(shown('{"publication":'), posted.lines[1])
    await member.written(shown("kanban_item:create"))

    made = type_in(token)
    assert await made.ended() == 0, made.lines
    outsider = type_in(watch_as_outsider)
    await outsider.written("^user 150 watches org.tuleap.kanban.3")
    before = len(member.lines)
    assert await type_in(post_again).ended() == 0
    await member.written_since(before, shown("kanban_item:create"))

    before = len(member.lines)
    await end(server)
    await member.written_since(before, shown("connecting again in"))
    server = type_in(run)
    await member.written_since(before, shown("is connected again"))
    await outsider.written("^user 150 is connected again")
    assert not [it for it in outsider.lines if "kanban_item" in it]
    for process in (member, outsider, server):
        await end(process)
