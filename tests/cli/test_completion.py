"""``tuleaprt completion``: what a real bash completes; the scripts of the others name every command."""

import subprocess
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.conftest import Tuleaprt
from tuleaprt.cli.main import COMMANDS

ensure = pytest_twisted.ensureDeferred

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shtab_tuleaprt
printf '%s\\n' "${COMPREPLY[@]}"
"""


async def script(alone: Tuleaprt, shell: str) -> str:
    process = alone("completion", shell)
    assert await process.ended() == 0
    return "\n".join(process.lines)


@ensure
async def test_bash_completes_commands_options_and_files(alone: Tuleaprt, tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.bash"
    path.write_text(await script(alone, "bash"))
    (tmp_path / "server.toml").write_text("")

    def completed(*words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", COMPLETE, "bash", str(path), "tuleaprt", *words],
            cwd=tmp_path,
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout.split()

    assert completed("check") == ["check-config", "check-delivery"]
    assert set(completed("")) >= set(COMMANDS)
    assert completed("sessions", "ki") == ["kill"]
    assert completed("sessions", "kill", "--us") == ["--user"]
    assert completed("watch", "--config", "serv") == ["server.toml"]
    assert completed("completion", "") == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@ensure
async def test_the_scripts_of_other_shells_name_every_command(alone: Tuleaprt, shell: str) -> None:
    text = await script(alone, shell)
    assert [it for it in COMMANDS if it not in text] == []


@ensure
async def test_an_unknown_shell_is_wrong_usage(alone: Tuleaprt) -> None:
    assert await alone("completion", "csh").ended() == 2
