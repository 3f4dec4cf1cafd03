"""The RPM: its contents and dependencies, and its scriptlets by rpm itself in a fresh root.

The root is Debian's, whose Python 3.11 is in the same place as that of Enterprise Linux. rpm's database there
is empty, so dependencies are not checked.
"""

import re
from pathlib import Path

import pytest
import pytest_twisted

from tests.packages.conftest import Machine, only, run
from tests.packages.installed import (
    CONFFILES,
    CONFIG,
    TWISTD,
    check_commands,
    check_files,
    check_nothing_is_left,
    check_service,
)

ensure = pytest_twisted.ensureDeferred


@pytest.fixture
def rpm() -> Path:
    return only("tuleaprt-*.rpm")


def on(machine: Machine, *arguments: str | Path) -> str:
    return run("rpm", "--root", machine.folder, "--nodeps", *arguments)


def test_it_needs_python_and_leaves_tuleaps_package_in_place(rpm: Path) -> None:
    requires = run("rpm", "-qp", "--requires", rpm).splitlines()
    ours = [it for it in requires if not it.startswith("rpmlib(")]
    assert set(ours) == {"/bin/sh", "/usr/bin/setpriv", "python3.11", "systemd"}
    for kind in ("--conflicts", "--obsoletes"):
        assert run("rpm", "-qp", kind, rpm) == ""
    assert run("rpm", "-qp", "--provides", rpm).split()[0] == "tuleaprt"
    # The files of tuleap-realtime (contract 8) are its own.
    assert not [it for it in run("rpm", "-qpl", rpm).splitlines() if "tuleap-realtime" in it]


def test_configuration_is_marked(rpm: Path) -> None:
    assert {it.removeprefix("/") for it in run("rpm", "-qpc", rpm).splitlines()} == CONFFILES


def test_its_libraries_run_on_the_glibc_of_enterprise_linux_9(machine: Machine, rpm: Path) -> None:
    on(machine, "-i", rpm)
    found: set[tuple[int, ...]] = set()
    for path in (machine / "opt/tuleaprt").rglob("*.so"):
        needed = re.findall(r"GLIBC_([0-9.]+)", run("objdump", "-T", path))
        found |= {tuple(map(int, it.split("."))) for it in needed}
    assert found
    assert max(found) <= (2, 34)


@ensure
async def test_an_installed_package_serves_beside_tuleaps(machine: Machine, rpm: Path) -> None:
    # The user of tuleap-realtime (contract 8) is left as it is.
    machine.run("useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", "tuleaprt")
    before = machine.run("getent", "passwd", "tuleaprt")
    on(machine, "-i", rpm)
    assert machine.run("getent", "passwd", "tuleaprt") == before
    check_files(machine)
    check_commands(machine)
    await check_service(machine)


def test_an_upgrade_keeps_what_the_administrator_has_changed(machine: Machine, rpm: Path) -> None:
    on(machine, "-i", rpm)
    (machine / CONFIG).write_text("[limits]\nmax_connections = 7\n")
    # The same package again has the scriptlets of an upgrade: both versions are installed for a moment.
    on(machine, "-U", "--force", rpm)
    assert (machine / CONFIG).read_text() == "[limits]\nmax_connections = 7\n"
    assert "tuleaprt " in machine.run(*machine.as_user(TWISTD, "--help"))
    assert any("/tuleaprt/wamp/__pycache__/realm." in it for it in machine.files("opt/tuleaprt"))


def test_an_erased_package_leaves_nothing(machine: Machine, rpm: Path) -> None:
    on(machine, "-i", rpm)
    on(machine, "-e", "tuleaprt")
    check_nothing_is_left(machine)
    machine.run("getent", "passwd", "tuleaprt")


def test_an_installation_by_hand_is_put_aside(machine: Machine, rpm: Path) -> None:
    (machine / "opt/tuleaprt-0.0.9/bin").mkdir(parents=True)
    (machine / "opt/tuleaprt").symlink_to("tuleaprt-0.0.9")
    on(machine, "-i", rpm)
    assert (machine / "opt/tuleaprt.by-hand").is_symlink()
    assert machine.files("opt/tuleaprt-0.0.9") == {"opt/tuleaprt-0.0.9/bin"}
