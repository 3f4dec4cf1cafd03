"""A fresh Debian in a folder, made by debootstrap, in which packages are installed. It needs root."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BUILD = ROOT / "build"
SUITE = "bookworm"
"""The Debian release that has Python 3.11."""


class Machine:
    """The folder as a machine without systemd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, *command: str) -> list[str]:
        """A command there. Its ``/proc`` is gone with it."""
        inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return ["unshare", "--mount", "sh", "-c", inside, str(self.folder), *command]

    def run(self, *command: str, status: int = 0) -> str:
        """Both outputs."""
        return run(*self.command(*command), status=status)

    def as_user(self, *command: str) -> tuple[str, ...]:
        return ("setpriv", "--reuid=tuleaprt", "--regid=tuleaprt", "--init-groups", "--", *command)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def files(self, *below: str) -> set[str]:
        return {str(it.relative_to(self.folder)) for name in below for it in (self / name).rglob("*")}


def run(*command: str | Path, status: int = 0) -> str:
    done = subprocess.run(
        [str(it) for it in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def fresh() -> Path:
    """Made once, and kept by make."""
    folder = BUILD / f"root-{SUITE}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run("debootstrap", "--variant=minbase", "--include=python3,python3.11", SUITE, folder)
        (folder / "complete").touch()
    return folder


@pytest.fixture
def machine(fresh: Path, tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "root"
    run("cp", "-a", fresh, folder)
    yield Machine(folder)
    shutil.rmtree(folder)


def only(pattern: str) -> Path:
    (found,) = (ROOT / "dist").glob(pattern)
    return found
