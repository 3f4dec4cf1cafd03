"""``package/setup`` and the scripts of the packages, with stand-ins for the commands that they run.

tests/packages runs them with dpkg and rpm.
"""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "package"
SCRIPTS = [PACKAGE / "tree", PACKAGE / "setup", PACKAGE / "rpm" / "make", *(PACKAGE / "deb").glob("[mp]*")]
RECORD = 'echo "${0##*/} $*" >>"$RECORD"\n'


class Machine:
    """A folder in the place of ``/opt/tuleaprt`` and ``/run``, and commands that note their arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = folder / "record"
        (folder / "bin").mkdir()
        (folder / "opt/bin").mkdir(parents=True)
        for name in ("getent", "useradd", "systemd-sysusers", "systemctl"):
            self.command(f"bin/{name}")
        for name in ("python3", "twistd", "tuleaprt"):
            self.command(f"opt/bin/{name}")
        text = (PACKAGE / "setup").read_text()
        for before, after in (("prefix=/opt/tuleaprt", f"prefix={folder}/opt"), ("/run/", f"{folder}/run/")):
            assert before in text
            text = text.replace(before, after)
        (folder / "setup").write_text(text)

    def command(self, name: str, script: str = "") -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{RECORD}{script}\n")
        (self.folder / name).chmod(0o755)

    def systemd(self) -> None:
        (self.folder / "run/systemd/system").mkdir(parents=True)

    def setup(self, verb: str, status: int = 0) -> list[str]:
        """The commands that were run."""
        self.record.write_text("")
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "RECORD": str(self.record)}
        done = subprocess.run(["sh", str(self.folder / "setup"), verb], env=environment, check=False)
        assert done.returncode == status
        return [it.replace(str(self.folder), "") for it in self.record.read_text().splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


LIST = "systemctl list-units --plain --no-legend --state=active tuleaprt@*.service"
NODES = """
[ "$1" != list-units ] || printf 'tuleaprt@%s.service loaded active running Real-time server\\n' 1 2
"""
PREPARED = ["python3 -m compileall -q /opt/lib", "twistd --help"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_shell_understands_it(path: Path) -> None:
    subprocess.run(["sh", "-n", str(path)], check=True)
    assert os.access(path, os.X_OK)


def test_an_installation_without_systemd_is_finished(machine: Machine) -> None:
    assert machine.setup("configure") == ["getent passwd tuleaprt", *PREPARED]


def test_a_user_that_is_missing_is_made(machine: Machine) -> None:
    machine.command("bin/getent", "exit 2")
    assert machine.setup("configure")[1] == "systemd-sysusers tuleaprt.conf"


def test_an_upgrade_restarts_a_server_that_runs_and_starts_none(machine: Machine) -> None:
    machine.systemd()
    done = machine.setup("configure")
    assert done[-3:] == ["systemctl daemon-reload", "systemctl try-restart tuleaprt.service", LIST]


def test_an_upgrade_restarts_several_servers_one_after_the_other(machine: Machine) -> None:
    machine.systemd()
    machine.command("bin/systemctl", NODES)
    done = machine.setup("configure")
    assert done[-3:] == [LIST, *(f"systemctl restart tuleaprt@{it}.service" for it in (1, 2))]
    done = machine.setup("remove")
    assert done[-2:] == [f"systemctl --quiet disable --now tuleaprt@{it}.service" for it in (1, 2)]


def test_a_removal_gives_the_service_back_to_tuleap_before_the_server_stops(machine: Machine) -> None:
    machine.systemd()
    assert machine.setup("remove") == [
        "systemctl --quiet is-enabled tuleaprt.service",
        "tuleaprt takeover --back",
        "systemctl --quiet disable --now tuleaprt-key.path tuleaprt.service tuleaprt.socket",
        LIST,
    ]


def test_a_removal_is_not_stopped_by_a_node_server_that_does_not_start(machine: Machine) -> None:
    machine.systemd()
    machine.command("opt/bin/tuleaprt", "exit 1")
    done = machine.setup("remove")
    assert done[1:3] == ["tuleaprt takeover --back", "tuleaprt takeover --back --no-proof"]
    assert done[3].startswith("systemctl --quiet disable --now")


def test_a_removal_of_a_server_that_never_took_over_leaves_tuleaps_alone(machine: Machine) -> None:
    machine.systemd()
    machine.command("bin/systemctl", '[ "$2" != is-enabled ]')
    assert not any("takeover" in it for it in machine.setup("remove"))


def test_what_was_compiled_is_cleaned(machine: Machine) -> None:
    plugins = machine.folder / "opt/lib/python3.11/site-packages/twisted/plugins"
    (plugins / "__pycache__").mkdir(parents=True)
    (plugins / "dropin.cache").touch()
    machine.setup("clean")
    assert list(plugins.iterdir()) == []
    assert machine.setup("purge", status=2) == []
