"""What the set-up asks of the system: only what is missing, and in one line."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRE = Path(__file__).parent.parent / ".ci" / "require"
NEEDED = (
    "python3",
    "node",
    "npm",
    "curl",
    "nginx",
    "logrotate",
    "promtool",
    "nats-server",
    "mosquitto",
    "redis-server",
    "openssl",
    "chromium",
    "systemd-socket-activate",
    "cc",
)


OF_THE_TESTS = (
    "node",
    "npm",
    "curl",
    "nginx",
    "logrotate",
    "promtool",
    "nats-server",
    "mosquitto",
    "redis-server",
    "systemd-socket-activate",
)


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder with all needed commands, and a user that is not root."""
    for name in NEEDED:
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        assert found is not None, f"the tests need {name}"
        stub(tmp_path / name, f'PATH="{os.environ["PATH"]}" exec {found} "$@"')
    stub(tmp_path / "id", "echo 1000")
    return tmp_path


def stub(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


def require(system: Path, what: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(REQUIRE), what]
    return subprocess.run(command, env={"PATH": str(system)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", ["run", "test", "bench"])
def test_a_system_that_has_all_is_asked_for_nothing(system: Path, what: str) -> None:
    done = require(system, what)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("python3", "python3-venv python3-dev"),
        ("node", "nodejs"),
        ("npm", "npm"),
        ("curl", "curl"),
        ("nginx", "nginx"),
        ("logrotate", "logrotate"),
        ("promtool", "prometheus"),
        ("nats-server", "nats-server"),
        ("mosquitto", "mosquitto"),
        ("redis-server", "redis-server"),
        ("openssl", "openssl"),
        ("chromium", "chromium"),
        ("systemd-socket-activate", "systemd"),
        ("cc", "gcc libc6-dev libssl-dev"),
    ],
)
def test_what_is_missing_is_named_in_one_line(system: Path, name: str, package: str) -> None:
    stub(system / name, "exit 1")
    done = require(system, "test")
    assert done.returncode == 1
    assert done.stderr == f"make needs more of this system; type: apt-get install {package}\n"


def test_a_compiler_without_the_headers_of_openssl_is_not_enough(system: Path) -> None:
    stub(system / "cc", "read line; case $line in *openssl*) exit 1; esac")
    for what in ("test", "bench"):
        assert require(system, what).stderr.endswith("apt-get install libssl-dev\n")


@pytest.mark.parametrize("what", ["test", "deb", "rpm", "packages"])
def test_a_python_without_headers_is_not_enough_for_the_extension(system: Path, what: str) -> None:
    stub(system / "python3", "case $2 in *sysconfig*) echo /nowhere;; esac")
    for name in ("dpkg-deb", "rpmbuild", "debootstrap", "lintian", "objdump"):
        stub(system / name, "exit 0")
    assert require(system, what).stderr.endswith("apt-get install python3-dev\n")
    assert require(system, "run").returncode == 0


def test_the_server_needs_no_node(system: Path) -> None:
    for name in (
        "node",
        "npm",
        "curl",
        "nginx",
        "logrotate",
        "promtool",
        "redis-server",
        "systemd-socket-activate",
        "cc",
    ):
        (system / name).unlink()
    assert require(system, "run").returncode == 0


@pytest.mark.parametrize(
    ("what", "packages"),
    [
        ("deb", "dpkg"),
        ("rpm", "rpm"),
        ("packages", "dpkg rpm debootstrap lintian binutils"),
    ],
)
def test_each_package_needs_its_own_tools(system: Path, what: str, packages: str) -> None:
    for name in ("dpkg-deb", "rpmbuild", "debootstrap", "lintian", "objdump"):
        stub(system / name, "exit 1")
    assert require(system, what).stderr.endswith(f"apt-get install {packages}\n")
    for name in ("dpkg-deb", "rpmbuild", "debootstrap", "lintian", "objdump"):
        stub(system / name, "exit 0")
    assert require(system, what).returncode == 0


def test_the_benchmark_needs_no_node(system: Path) -> None:
    for name in OF_THE_TESTS:
        (system / name).unlink()
    assert require(system, "bench").returncode == 0
