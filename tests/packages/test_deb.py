"""The Debian package: installed, upgraded, removed and purged in a fresh root; and lintian."""

import subprocess
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
def deb() -> Path:
    return only("tuleaprt_*.deb")


def install(machine: Machine, deb: Path) -> str:
    (machine / "tmp/tuleaprt.deb").write_bytes(deb.read_bytes())
    # As an administrator that keeps changed files.
    return machine.run("dpkg", "--force-unsafe-io", "--force-confold", "--install", "/tmp/tuleaprt.deb")


@pytest.fixture
def next_deb(deb: Path, tmp_path: Path) -> Path:
    """A later version, with a module less, and with a new text of the configuration."""
    tree, made = tmp_path / "next", tmp_path / "next.deb"
    run("dpkg-deb", "--raw-extract", deb, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("Version: 0.", "Version: 9."))
    next((tree / "opt/tuleaprt/lib").rglob("tuleaprt/cli/delivery.py")).unlink()
    with (tree / CONFIG).open("a") as config:
        config.write("# a new line\n")
    run("dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", tree, made)
    return made


def test_lintian_finds_no_error(deb: Path) -> None:
    done = subprocess.run(
        ["lintian", "--allow-root", "--tag-display-limit=0", str(deb)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [it for it in done.stdout.splitlines() if it.startswith("E:")] == []
    assert done.returncode == 0, done.stderr


@ensure
async def test_an_installed_package_serves(machine: Machine, deb: Path) -> None:
    install(machine, deb)
    check_files(machine)
    check_commands(machine)
    await check_service(machine)
    conffiles = machine.run("dpkg-query", "--show", "--showformat=${Conffiles}", "tuleaprt")
    assert {it.split()[0].removeprefix("/") for it in conffiles.strip().splitlines()} == {
        *CONFFILES,
        # Debian wants each file of /etc in the list.
        "etc/tuleaprt/tuleaprt.schema.json",
    }


def test_an_upgrade_keeps_what_the_administrator_has_changed(
    machine: Machine, deb: Path, next_deb: Path
) -> None:
    install(machine, deb)
    (machine / CONFIG).write_text("[limits]\nmax_connections = 7\n")
    install(machine, next_deb)
    assert "tuleaprt " in machine.run(*machine.as_user(TWISTD, "--help"))
    assert "Version: 9." in machine.run("dpkg", "--status", "tuleaprt")
    assert (machine / CONFIG).read_text() == "[limits]\nmax_connections = 7\n"
    assert not any("/cli/__pycache__/delivery." in it for it in machine.files("opt/tuleaprt"))


def test_a_removed_package_leaves_configuration_and_a_purged_one_nothing(machine: Machine, deb: Path) -> None:
    install(machine, deb)
    (machine / "var/lib/tuleaprt").mkdir()
    (machine / "var/lib/tuleaprt/journal.db").touch()
    machine.run("dpkg", "--remove", "tuleaprt")
    check_nothing_is_left(machine)
    assert (machine / CONFIG).exists()
    assert (machine / "var/lib/tuleaprt/journal.db").exists()
    machine.run("dpkg", "--purge", "tuleaprt")
    assert not [name for name in CONFFILES if (machine / name).exists()]
    assert not (machine / "var/lib/tuleaprt").exists()
    # Tuleap's package owns it, too.
    machine.run("getent", "passwd", "tuleaprt")


def test_an_installation_by_hand_is_put_aside(machine: Machine, deb: Path) -> None:
    (machine / "opt/tuleaprt-0.0.9/bin").mkdir(parents=True)
    (machine / "opt/tuleaprt").symlink_to("tuleaprt-0.0.9")
    install(machine, deb)
    assert (machine / "opt/tuleaprt.by-hand").is_symlink()
    assert machine.files("opt/tuleaprt-0.0.9") == {"opt/tuleaprt-0.0.9/bin"}
    check_commands(machine)
