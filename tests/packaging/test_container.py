"""The Containerfile, as far as that shows without building it. tests/packages runs what it runs."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "Containerfile").read_text()
LAST = TEXT.split("\nFROM ")[-1]


def values(instruction: str) -> list[str]:
    """In the last stage, with their continued lines joined."""
    joined = re.sub(r"\\\n(\s*#.*\n)*\s*", "", LAST)
    return re.findall(rf"^\s*{instruction} (.*)$", joined, re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", "--failure-threshold", "style"]
    done = subprocess.run(
        [*command, str(ROOT / "Containerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_server_is_no_root_and_a_number_says_so() -> None:
    (user,) = values("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.partition(':')[0]} " in values("RUN")[0]


@pytest.mark.parametrize("instruction", ["ENTRYPOINT", "CMD"])
def test_no_shell_stands_between_the_runtime_and_the_server(instruction: str) -> None:
    command = json.loads(values(instruction)[-1])
    assert "sh" not in {Path(it).name for it in command}


def test_health_is_asked_where_the_server_listens_by_default() -> None:
    (check,) = values("HEALTHCHECK")
    assert "http://127.0.0.1:2999/health/ready" in check


def test_the_steps_are_those_of_the_packages() -> None:
    assert "/source/package/tree /tree python3.11" in TEXT
    assert "/opt/tuleaprt/libexec/setup configure" in values("RUN")
    for script in ("package/deb/make", "package/rpm/make"):
        assert "/package/tree" in (ROOT / script).read_text()


def test_what_the_tree_is_made_of_is_sent_to_the_build() -> None:
    lines = (ROOT / ".containerignore").read_text().splitlines()
    sent = {it[1:] for it in lines if it.startswith("!")}
    assert lines[1] == "*"
    tree = (ROOT / "package" / "tree").read_text()
    archived = re.search(r"tar -cf - (.*?)\) \|", tree, re.DOTALL)
    assert archived is not None
    wanted = {it.partition("/")[0] for it in shlex.split(archived[1].replace("\\\n", ""))}
    assert wanted == sent
    assert all((ROOT / it).exists() for it in sent)
