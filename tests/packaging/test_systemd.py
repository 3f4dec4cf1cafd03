"""The units that are shipped, as far as they can be tried where systemd does not run."""

import grp
import os
import pwd
import re
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.processes import TWISTD, Process
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import FIXTURES, wire
from tuleaprt.application.lifecycle import FLUSH_SECONDS
from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import Config
from tuleaprt.transport.listening import OTHER_FILES

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "etc" / "systemd"
SERVICE = UNITS / "tuleaprt.service"
NODE = UNITS / "tuleaprt@.service"
SOCKET = UNITS / "tuleaprt.socket"

ensure = pytest_twisted.ensureDeferred

EXPOSURE = 1.0
"""Of 10; a service without a sandbox has 9.6."""


def option(unit: Path, name: str) -> list[str]:
    """The values of an option, in their order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def seconds(unit: Path, name: str) -> float:
    return float(option(unit, name)[0])


def analyze(*arguments: str) -> str:
    command = ["systemd-analyze", "--no-pager", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def defaults() -> Config:
    return load(None, {"PRIVATE_KEY": "k" * 88})


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    paths = [tmp_path / unit.name for unit in UNITS.iterdir()]
    for path in paths:
        # It wants to see what is started.
        text = (UNITS / path.name).read_text().replace("/opt/tuleaprt/bin/twistd", "/bin/true")
        path.write_text(text)
    # A template is checked by one of its instances.
    paths = [it.with_name(it.name.replace("@.", "@1.")) for it in paths]
    assert analyze("verify", "--man=no", *map(str, paths)) == ""


def test_the_service_is_exposed_no_more_than_the_documentation_says() -> None:
    found = re.search(r"exposure level for tuleaprt\.service: ([\d.]+)", report := analyze_security())
    assert found is not None, report
    assert float(found[1]) <= EXPOSURE
    assert f"**{found[1]}** of 10" in (ROOT / "docs" / "service.rst").read_text()


def test_the_unit_of_a_node_has_the_sandbox_of_the_service() -> None:
    def sandbox(unit: Path) -> set[str]:
        of_a_node = (
            *("Description", "Requires", "Wants", "After", "Exec", "Runtime", "State", "Environment", "Also"),
        )
        lines = unit.read_text().replace("%i", "").splitlines()
        return {it for it in lines if it and not it.startswith(("#", *of_a_node))}

    assert sandbox(NODE) == sandbox(SERVICE)
    assert option(NODE, "ExecReload")[0] == option(NODE, "ExecStartPre")[0]
    assert "'tuleaprt@*.service'" in option(UNITS / "tuleaprt-key.service", "ExecStart")[0]


def analyze_security() -> str:
    return analyze("security", "--offline=true", str(SERVICE))


def environment() -> dict[str, str]:
    """What the service is started with."""
    return dict(shlex.split(it)[0].split("=", 1) for it in option(SERVICE, "Environment"))


def test_what_the_service_sets_is_understood_by_the_server() -> None:
    config = load(None, {**environment(), "PRIVATE_KEY": "k" * 88})
    assert config.listen.private == ("systemd:domain=INET:index=0",)
    assert config.realtime.key_file == copying()[-1]


def test_systemd_listens_where_tuleap_posts(defaults: Config) -> None:
    host, port = option(SOCKET, "ListenStream")[0].split(":")
    assert defaults.listen.private == (f"tcp:{port}:interface={host}",)


def test_as_many_may_connect_and_a_stop_may_take_as_long_as_the_defaults_say(defaults: Config) -> None:
    limits = defaults.limits
    wanted = limits.max_connections + 4 * limits.max_unauthenticated + OTHER_FILES
    assert int(option(SERVICE, "LimitNOFILE")[0]) >= wanted
    assert seconds(SERVICE, "TimeoutStopSec") > defaults.shutdown.drain + FLUSH_SECONDS


def copying() -> list[str]:
    """The command that gives the key to the service."""
    return shlex.split(option(SERVICE, "ExecStartPre")[0].removeprefix("+"))


def test_the_key_is_copied_at_the_start_and_at_each_reload_that_its_change_causes(defaults: Config) -> None:
    assert option(SERVICE, "ExecReload") == [*option(SERVICE, "ExecStartPre"), "/bin/kill -HUP $MAINPID"]
    assert copying()[-2] == defaults.realtime.key_file
    assert option(UNITS / "tuleaprt-key.path", "PathChanged") == [defaults.realtime.key_file]
    assert option(SERVICE, "ExecStopPost") == [f"+/usr/bin/rm -f {copying()[-1]}"]


def copied(source: Path, target: Path) -> None:
    """The copy that the unit makes, for the user that runs the tests."""
    here = {
        copying()[-2]: str(source),
        copying()[-1]: str(target),
        "tuleaprt": None,
    }
    me = iter((pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name))
    subprocess.run([here.get(it, it) or next(me) for it in copying()], check=True)


def test_nobody_but_the_service_can_read_its_key(tmp_path: Path) -> None:
    target = tmp_path / "run" / "tuleaprt" / "key"
    for _ in range(2):
        copied(FIXTURES / "tuleap-realtime-key", target)
    assert target.read_bytes() == (FIXTURES / "tuleap-realtime-key").read_bytes()
    assert target.stat().st_mode & 0o777 == 0o400


def test_a_link_in_place_of_the_key_does_not_make_root_write_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "shadow").write_text("untouched")
    for aim in ("cron.d", "shadow"):
        target = tmp_path / f"key-{aim}"
        target.symlink_to(tmp_path / aim)
        copied(FIXTURES / "tuleap-realtime-key", target)
        assert target.is_file() and not target.is_symlink()
    assert list((tmp_path / "cron.d").iterdir()) == []
    assert (tmp_path / "shadow").read_text() == "untouched"


def test_the_service_cannot_write_where_root_puts_its_key() -> None:
    # systemd makes what is above a runtime directory root's own.
    assert option(SERVICE, "RuntimeDirectory") == ["tuleaprt/sockets"]
    assert copying()[-1] == "/run/tuleaprt/key"


@ensure
async def test_the_command_of_the_service_serves_on_the_socket_of_systemd_and_says_when(
    tmp_path: Path,
) -> None:
    here = {"/opt/tuleaprt/bin/twistd": TWISTD, "/etc/tuleaprt/tuleaprt.toml": "etc/tuleaprt.toml"}
    command = [here.get(it, it) for it in shlex.split(option(SERVICE, "ExecStart")[0])]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, socket.socket() as held:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        held.bind(("127.0.0.1", 0))
        held.listen()
        # LISTEN_PID is the process's own.
        process = Process.start(
            ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command],
            {
                **environment(),
                "TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key"),
                "TULEAPRT_LISTEN__PUBLIC": ANY_PORT,
                "LISTEN_FDS": "1",
                "LISTEN_FDNAMES": option(SOCKET, "FileDescriptorName")[0],
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
            },
            {3: held.fileno()},
        )
        await process.written("ready$")
        told = await deferToThread(systemd.recv, 4096)
        server = Server(process, private=held.getsockname()[1], public=0)
        assert b"READY=1" in told
        assert (await server.post(wire("kanban_item_create"))).status == 200
        assert await process.stop() == 0
