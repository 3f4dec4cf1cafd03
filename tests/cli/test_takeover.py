"""``tuleaprt takeover`` with real servers and a real nginx, and a stand-in for systemd.

A second tuleaprt stands for the Node.js server: it speaks the same protocol on the same port.
"""

import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.conftest import COMMAND, KEY_FILE
from tests.cli.systemd import Systemd
from tests.end_to_end.processes import TWISTD, Process
from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import Nginx, free_port
from tests.end_to_end.test_socketio_nginx import LOCATION
from tests.fakes import FIXTURES, KEY, wire
from tuleaprt.takeover.plan import KEY_WATCH, NODE, SERVICE, SOCKET

ensure = pytest_twisted.ensureDeferred

NODE_SERVES = {
    NODE: (False, True, True),
    SOCKET: (False, False, False),
    SERVICE: (False, False, False),
    KEY_WATCH: (False, False, False),
}
"""Masked, enabled, active."""

TULEAPRT_SERVES = {
    NODE: (True, True, False),
    SOCKET: (False, True, True),
    SERVICE: (False, True, True),
    KEY_WATCH: (False, True, True),
}


class Machine:
    """A Tuleap server: its systemd, its nginx, and commands on a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.port = free_port()
        self.public = free_port()
        self.config = folder / "tuleaprt.toml"
        self.systemd = Systemd({NODE: self.start_node, SERVICE: self.start_server})
        self.nginx: Nginx | None = None
        self.is_mute = False
        self._commands: list[Process] = []

    async def set_up(self, *, is_served: bool) -> None:
        """``is_served``: the Node server runs, and is not only said to."""
        self.command("id", "echo 0")
        # Options end with "--".
        self.command("setpriv", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
        await self.systemd.listen(self.bin)
        self.nginx = await self.passing_on_to(self.port, "nginx")
        self.configure()
        self.systemd.units[NODE].is_enabled = self.systemd.units[NODE].is_active = True
        if is_served:
            self.systemd.units[NODE].server = await self.start_node()

    async def passing_on_to(self, port: int, name: str) -> Nginx:
        """An nginx of which ``nginx -T`` prints the configuration."""
        prefix = self.folder / name
        nginx = await Nginx.start_with(prefix, LOCATION.format(private=port))
        found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        self.command("nginx", f'exec {found} -e stderr -p {prefix} -c {prefix}/nginx.conf "$@"')
        return nginx

    def configure(self, **changes: str) -> None:
        """The server's file. The host that nginx passes on has no port, but the test's nginx has one."""
        options = {
            "realtime.key_file": json.dumps(str(FIXTURES / "tuleap-realtime-key")),
            "listen.private": f'["tcp:{self.port}:interface=127.0.0.1"]',
            "listen.public": f'["tcp:{self.public}:interface=127.0.0.1"]',
            "websocket.allowed_origins": json.dumps([self.origin]),
            **changes,
        }
        self.config.write_text("".join(f"{name} = {value}\n" for name, value in options.items()))

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    async def start_node(self) -> Server:
        return await Server.start(
            TULEAPRT_LISTEN__PRIVATE=f'["tcp:{self.port}:interface=127.0.0.1"]',
            TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS=json.dumps([self.origin]),
        )

    async def start_server(self) -> Server:
        if self.is_mute:
            # It starts, and does not listen where Tuleap posts.
            return await Server.start()
        return await Server.start(self.config, **self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **KEY_FILE,
            "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{self.port}:interface=127.0.0.1"]',
            "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{self.public}:interface=127.0.0.1"]',
        }

    @property
    def origin(self) -> str:
        """That of pages: the server of this nginx has no name."""
        assert self.nginx is not None
        return f"http://localhost:{self.nginx.port}"

    def takeover(self, *arguments: str) -> Process:
        fixed = ["--port", str(self.port), "--config", str(self.config), "--twistd", TWISTD]
        command = [*COMMAND, "takeover", *fixed, "--patience", "2", *arguments]
        self._commands.append(Process.start(command, {"PATH": f"{self.bin}:/usr/bin:/bin"}))
        return self._commands[-1]

    async def tear_down(self) -> None:
        for process in self._commands:
            await process.stop("KILL")
            assert not [line for line in process.lines if "Traceback" in line or "internal error" in line]
        await self.systemd.close()
        if self.nginx is not None:
            await self.nginx.process.stop("TERM")


@pytest_twisted.async_yield_fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.set_up(is_served=True)
    yield machine
    await machine.tear_down()


@pytest_twisted.async_yield_fixture
async def unserved(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.set_up(is_served=False)
    yield machine
    await machine.tear_down()


@ensure
async def test_a_dry_run_says_what_it_would_do_and_does_nothing(unserved: Machine) -> None:
    process = unserved.takeover("--dry-run")
    assert await process.ended() == 0, "\n".join(process.lines)
    assert [it for it in process.lines if it.startswith("would do")] == [
        "would do: systemctl mask --now tuleap-realtime.service",
        "would do: systemctl enable --now tuleaprt.socket tuleaprt.service tuleaprt-key.path",
    ]
    assert any(
        it.startswith(f"ok       nginx: http://localhost:{unserved.nginx.port} ") for it in process.lines
    )
    assert unserved.systemd.asked == []
    assert unserved.systemd.state() == NODE_SERVES


@ensure
async def test_tuleaprt_takes_over_twice_and_gives_back_twice(machine: Machine) -> None:
    process = machine.takeover()
    assert await process.ended() == 0, "\n".join(process.lines)
    assert process.lines[-1] == "tuleaprt serves, and a post reaches a page through nginx"
    assert machine.systemd.state() == TULEAPRT_SERVES
    assert machine.systemd.serving == [SERVICE]
    asked = len(machine.systemd.asked)
    process = machine.takeover()
    assert await process.ended() == 0, "\n".join(process.lines)
    assert process.lines[-1] == "tuleaprt served already, and a post reaches a page through nginx"
    assert len(machine.systemd.asked) == asked
    for last in ("serves", "served already"):
        process = machine.takeover("--back")
        assert await process.ended() == 0, "\n".join(process.lines)
        assert process.lines[-1] == f"the Node.js server {last}, and a post reaches a page through nginx"
        assert machine.systemd.state() == NODE_SERVES
        assert machine.systemd.serving == [NODE]


async def undone(machine: Machine, *arguments: str) -> str:
    """The reason of a takeover that fails and leaves all as it was."""
    process = machine.takeover(*arguments)
    assert await process.ended() == 1, process.lines
    assert machine.systemd.state() == NODE_SERVES
    assert machine.systemd.serving == [NODE]
    return process.lines[-1]


@ensure
async def test_a_server_that_does_not_start_is_put_back(machine: Machine) -> None:
    # A port that only the start finds taken: the check sees no process on it.
    machine.configure(**{"tls.certificate": '"/nowhere"', "listen.public_tls": '["tcp:0"]'})
    reason = await undone(machine)
    assert "tuleaprt.socket" in reason
    assert reason.endswith("everything is as before")


@ensure
async def test_a_server_through_which_no_post_reaches_a_page_is_put_back(machine: Machine) -> None:
    machine.is_mute = True
    reason = await undone(machine)
    assert "no answer of the server through nginx" in reason
    assert reason.endswith("everything is as before")
    server = machine.systemd.units[NODE].server
    assert server is not None
    assert (await server.post(wire("kanban_item_create"))).status == 200


@ensure
async def test_an_interrupted_takeover_is_put_back(machine: Machine) -> None:
    machine.is_mute = True
    process = machine.takeover("--patience", "1000")
    await process.written(r"^\+ systemctl enable --now ")
    process.transport.signalProcess("HUP")
    assert await process.ended() == 1, process.lines
    assert "everything is as before" in process.lines[-1]
    assert machine.systemd.state() == NODE_SERVES
    assert machine.systemd.serving == [NODE]


Breaking = Callable[[Machine], None]


@pytest.mark.parametrize(
    ("breaking", "text"),
    [
        (lambda it: it.command("id", "echo 1000"), "PROBLEM  user: only root can swap services"),
        (lambda it: it.command("setpriv", "exit 126"), "PROBLEM  Python: "),
        (lambda it: it.command("nginx", "echo no such directive >&2; exit 1"), "no such directive"),
        (lambda it: it.config.write_text("[limits]\nmax_outbox = 'many'\n"), "[limits] max_outbox"),
        (
            lambda it: it.configure(**{"realtime.post_secret": '"s"'}),
            "PROBLEM  configuration: [realtime] post_secret is set",
        ),
        (
            lambda it: setattr(it.systemd.units[SOCKET], "is_known", False),
            "PROBLEM  services: systemd does not know tuleaprt.socket",
        ),
    ],
)
@ensure
async def test_a_problem_that_shows_before_stops_the_takeover(
    unserved: Machine, breaking: Breaking, text: str
) -> None:
    breaking(unserved)
    process = unserved.takeover()
    assert await process.ended() == 1
    assert any(text in it for it in process.lines), process.lines
    assert process.lines[-1] == "tuleaprt: there is a problem; nothing was changed"
    assert unserved.systemd.asked == []


@ensure
async def test_another_process_on_the_servers_port_is_named(unserved: Machine) -> None:
    other = await Server.start(TULEAPRT_LISTEN__PUBLIC=f'["tcp:{unserved.public}:interface=127.0.0.1"]')
    process = unserved.takeover()
    assert await process.ended() == 1
    text = f"PROBLEM  port: process {other.process.pid} (twistd) listens on {unserved.public}"
    assert any(it.startswith(text) for it in process.lines), process.lines
    await other.process.stop()


@ensure
async def test_a_takeover_without_the_proof(unserved: Machine) -> None:
    unserved.is_mute = True
    process = unserved.takeover("--no-proof")
    assert await process.ended() == 0
    assert process.lines[-1] == "tuleaprt serves"


@ensure
async def test_a_machine_without_systemd_and_supervisord_is_refused(unserved: Machine) -> None:
    unserved.command("systemctl", "echo System has not been booted with systemd >&2; exit 1")
    process = unserved.takeover("--supervisord", "/nowhere")
    assert await process.ended() == 1
    assert process.lines == ["tuleaprt: neither systemd nor a configuration of supervisord is here"]


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
