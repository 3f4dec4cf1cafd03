"""``make bench JOURNAL=…``."""

import subprocess
import sys

import pytest

from tests.end_to_end.processes import ROOT


@pytest.mark.parametrize(("journal", "rows"), [("sqlite", 1), ("redis", 3)])
def test_a_short_run_prints_each_row_and_the_time_of_a_start(journal: str, rows: int) -> None:
    command = [sys.executable, "benchmarks/journals.py", journal, "--seconds", "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [it.split(",")[0].split()[0] for it in lines[1 : rows + 1]] == [journal] * rows
    assert f"a start reads 100,000 records of {journal} in " in done.stdout
