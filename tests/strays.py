"""Processes that a run of the tests has started and not ended.

All that a run starts inherits ``MARK`` in its environment. At the end of the run no process may have it.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

MARK = "TESTS_RUN_BY"


def mark() -> None:
    """Give this process and all that it starts the mark, unless it has been given it itself."""
    os.environ.setdefault(MARK, str(os.getpid()))


def end_strays() -> list[str]:
    """End the processes that are left, and return their command lines."""
    wanted = f"{MARK}={os.environ[MARK]}".encode()
    left: list[str] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                os.kill(int(folder.name), signal.SIGKILL)
                left.append(f"{folder.name}: {command}")
    return left


class NothingIsLeft:
    """Fails the run in which a process is left. The controller of several workers checks."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if left := end_strays():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print("\nthe tests have left processes behind:", *left, sep="\n  ")
