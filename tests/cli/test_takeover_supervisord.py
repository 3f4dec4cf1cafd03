"""``tuleaprt takeover`` with a real supervisord, as in Tuleap's container."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted

from tests.cli.machine import Machine
from tests.end_to_end.processes import TWISTD, Process
from tests.fakes import KEY

ensure = pytest_twisted.ensureDeferred


@pytest_twisted.async_yield_fixture
async def unserved(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.set_up(is_served=False)
    yield machine
    await machine.tear_down()


SUPERVISORD = """\
[supervisord]
nodaemon=true
pidfile=%(here)s/pid
logfile=/dev/null
logfile_maxbytes=0
environment=PRIVATE_KEY="{key}"
[unix_http_server]
file=%(here)s/socket
[supervisorctl]
serverurl=unix://%(here)s/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files=supervisord.d/*.ini
"""
PROGRAM = """\
[program:tuleap-realtime]
command={command}
redirect_stderr=true
stdout_logfile=%(here)s/../node.log
environment=TULEAPRT_LISTEN__PUBLIC='["tcp:0"]'
autorestart=true
startsecs=0
"""


@ensure
async def test_a_supervisord_is_taken_over_and_given_back(unserved: Machine) -> None:
    folder = unserved.folder / "etc"
    (folder / "supervisord.d").mkdir(parents=True)
    tuleaps, override = (folder / "supervisord.d" / it for it in ("realtime.ini", "tuleaprt.ini"))
    (folder / "supervisord.conf").write_text(SUPERVISORD.format(key=KEY.decode()))
    # The program that stands for the Node server has the same file, and says so in its command.
    tuleaps.write_text(PROGRAM.format(command=f"{TWISTD} -n --pidfile= tuleaprt --config {unserved.config}"))
    unserved.command("supervisorctl", f'exec {Path(TWISTD).parent}/supervisorctl "$@"')
    # Only root can give the key to another user.
    unserved.command("install", "exit 0")
    path = f"{unserved.bin}:/usr/bin:/bin"
    supervisord = Process.start(
        [f"{Path(TWISTD).parent}/supervisord", "-c", str(folder / "supervisord.conf")], {"PATH": path}
    )
    await supervisord.written("success: tuleap-realtime entered RUNNING state")

    async def swapped(*arguments: str) -> str:
        given = ("--supervisord", str(folder / "supervisord.conf"), "--patience", "20", *arguments)
        process = unserved.takeover(*given)
        await process.ended()
        return process.lines[-1]

    assert await swapped() == "tuleaprt serves, and a post reaches a page through nginx"
    assert "exec setpriv --reuid=tuleaprt" in override.read_text()
    # Each start of Tuleap's container writes its file again.
    tuleaps.touch()
    assert await swapped() == "tuleaprt serves, and a post reaches a page through nginx"
    assert await swapped("--back") == "the Node.js server serves, and a post reaches a page through nginx"
    assert not override.exists()
    unserved.command("install", "exit 1")
    assert (await swapped("--patience", "0")).endswith("everything is as before")
    assert not override.exists()
    assert unserved.systemd.asked == []
    await supervisord.stop()
