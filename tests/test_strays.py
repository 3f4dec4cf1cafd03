"""A run of the tests ends what it has started, or says what is left."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from select import select

from tests.end_to_end.processes import ROOT
from tests.strays import MARK

LEAVES_ONE = """
import subprocess

def test_it() -> None:
    print("left:", subprocess.Popen(["sleep", "600"]).pid)
"""


def run(path: Path, *options: str) -> tuple[int, str]:
    environment = {name: it for name, it in os.environ.items() if name != MARK and "PYTEST" not in name}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "setup.cfg")]
    done = subprocess.run(
        [*command, "--rootdir", str(path), "-p", "tests.conftest", *options, str(path)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_process_that_is_left_fails_the_run_and_is_ended(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(LEAVES_ONE)
    status, output = run(tmp_path, "-s")
    pid = int(output.split("left: ")[1].split()[0])
    assert status == 1
    assert f"{pid}: sleep 600" in output
    assert not Path(f"/proc/{pid}/exe").exists()


def test_a_run_that_leaves_nothing_is_good(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it() -> None: pass\n")
    assert run(tmp_path)[0] == 0


KILLED = """
import os, signal
from twisted.internet import reactor
from tests.end_to_end.processes import Process

child = Process.start(["sh", "-c", "echo up; exec sleep 600"], {})

def killed(_: object) -> None:
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

child.written("up").addCallback(killed)
reactor.run()
"""


def test_a_process_ends_with_the_run_that_was_killed() -> None:
    command = [sys.executable, "-c", KILLED]
    pid = int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout)
    with suppress(ProcessLookupError):
        ended = os.pidfd_open(pid)
        assert select([ended], [], [], 30)[0] == [ended]
        os.close(ended)
