"""Signals that would end the process by default."""

import subprocess
import sys

PROGRAM = """
import signal, sys
from tuleaprt.operations.log_file import IGNORED, survive

signal.signal(signal.SIGUSR2, lambda *_: print("kept"))
survive(lambda: print("reopened"))
for number in (signal.SIGUSR1, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGWINCH, signal.SIGCONT, *IGNORED):
    signal.raise_signal(number)
print("alive")
"""


def test_a_process_lives_through_them_and_handlers_that_are_there_stay() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.splitlines(), done.returncode) == (["reopened", "kept", "alive"], 0), done.stderr
