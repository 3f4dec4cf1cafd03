"""What holds for an installation by either package."""

import json
import stat

from tests.end_to_end.processes import Process
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import KEY, wire
from tests.packages.conftest import Machine
from tests.web.requests import Answer

TWISTD, TULEAPRT = "/opt/tuleaprt/bin/twistd", "/usr/bin/tuleaprt"
CONFIG = "etc/tuleaprt/tuleaprt.toml"
CONFFILES = {
    CONFIG,
    "etc/logrotate.d/tuleaprt",
    "etc/nginx/conf.d/tuleaprt-clients.conf",
    "etc/nginx/conf.d/tuleap.d/14-tuleaprt.conf",
}


def check_files(machine: Machine) -> None:
    for name in CONFFILES:
        assert (machine / name).stat().st_mode & 0o777 == 0o644
    units = {it.name for it in (machine / "usr/lib/systemd/system").glob("tuleaprt*")}
    assert {"tuleaprt.service", "tuleaprt.socket", "tuleaprt-key.path", "tuleaprt-key.service"} <= units
    owners = {(it.lstat().st_uid, it.lstat().st_gid) for it in (machine / "opt/tuleaprt").rglob("*")}
    assert owners == {(0, 0)}
    writable = [
        it
        for it in (machine / "opt/tuleaprt").rglob("*")
        if not it.is_symlink() and it.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ]
    assert writable == []
    assert machine.run("getent", "passwd", "tuleaprt").split(":")[-1].strip() == "/usr/sbin/nologin"


def check_commands(machine: Machine) -> None:
    """All commands run as the user of the service, and find what root has prepared."""
    before = machine.files("opt/tuleaprt")
    assert "tuleaprt " in machine.run(*machine.as_user(TWISTD, "--help"))
    key = f"PRIVATE_KEY={KEY.decode()}"
    checked = machine.run(*machine.as_user("env", key, TULEAPRT, "check-config", f"/{CONFIG}"))
    assert "max_connections = 20000" in checked
    assert "tuleaprt 0." in machine.run(TULEAPRT, "version")
    machine.run("env", "PYTHONWARNINGS=error", "/opt/tuleaprt/bin/python3", "-c", "import tuleaprt, twisted")
    assert machine.files("opt/tuleaprt") == before
    assert any(it.endswith("/twisted/plugins/dropin.cache") for it in before)
    assert any("/tuleaprt/wamp/__pycache__/realm." in it for it in before)


async def check_service(machine: Machine) -> None:
    """The server runs as its user and accepts a post."""
    command = machine.as_user(TWISTD, "--nodaemon", "--pidfile=", "tuleaprt", "--config", f"/{CONFIG}")
    process = Process.start(
        machine.command(*command),
        {
            "PRIVATE_KEY": KEY.decode(),
            "TULEAPRT_LISTEN__PRIVATE": ANY_PORT,
            "TULEAPRT_LISTEN__PUBLIC": ANY_PORT,
        },
    )
    await process.written("tuleaprt is ready")
    port = int((await process.written(r"private site listens on 127\.0\.0\.1:(\d+)"))[1])
    answer: Answer = await Server(process, port, 0).post(wire("kanban_item_create"))
    assert answer.status == 200
    assert json.loads(answer.body)["publication"]
    assert await process.stop() == 0


def check_nothing_is_left(machine: Machine) -> None:
    """Beside configuration files, and the user."""
    assert not (machine / "opt/tuleaprt").exists()
    assert not (machine / "usr/bin/tuleaprt").is_symlink()
    assert not list((machine / "usr/lib").rglob("tuleaprt*"))
