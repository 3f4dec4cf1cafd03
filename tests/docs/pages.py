"""The literal blocks of the documentation, the commands in them, and what its scripts print."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted(DOCS.glob("*.rst"))]

PROGRAMS = (
    *(
        "apt",
        "curl",
        "dnf",
        "docker",
        "install",
        "kill",
        "ln",
        "make",
        "nginx",
        "node",
        "npm",
        "npx",
        "podman",
    ),
    *("pip", "python", "python3", "rm", "source", "supervisorctl", "systemctl", "systemd-analyze"),
    *("tar", "tuleaprt", "tuleap-cfg", "twistd", "useradd", "wamp"),
)
_BLOCK = re.compile(r"^( *)(?:(?!\.\. )\S.*)?::\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE)
_LITERAL = re.compile(r"``([^`]+?)``", re.DOTALL)
_VARIABLES = re.compile(r"^(?:[A-Z_]+=(?:\$\([^)]*\)|\S+) )*")
_PROMPT = re.compile(r"^[$#] (?=\S)")


def printed_by(script: str) -> str:
    """What a script of the documentation prints, which is kept in a file."""
    command = [sys.executable, script]
    environment = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, check=True, encoding="utf-8"
    ).stdout


class Block(NamedTuple):
    """The lines of a literal block."""

    page: str
    lines: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """The commands, without the prompt, and without a comment behind them."""
        return [found for line in self.lines if (found := command_of(line))]


def blocks(page: Path) -> Iterator[Block]:
    """Those that are introduced by ``::``."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = match[2].replace("\\\n", "\\").rstrip("\n")
        lines = [re.sub(r"\\ +", "", it) for it in text.split("\n")]
        indent = min(len(it) - len(it.lstrip()) for it in lines if it)
        yield Block(page.name, tuple(it[indent:] for it in lines))


def command_of(line: str) -> str:
    """The command in a line of a block; empty: there is none."""
    text = re.sub(r" {2,}# .*$", "", _PROMPT.sub("", line)).strip()
    return text if _program(text) in PROGRAMS else ""


def inline_commands(page: Path) -> Iterator[str]:
    """Commands in the text that have an argument: ``systemctl stop tuleaprt.socket``."""
    for match in _LITERAL.finditer(page.read_text(encoding="utf-8")):
        text = " ".join(match[1].split())
        if " " in text and _program(text) in PROGRAMS:
            yield text


def _program(text: str) -> str:
    words = _VARIABLES.sub("", text).split()
    return words[0].rpartition("/")[2] if words else ""


def commands(page: Path) -> list[str]:
    """All commands of a page, each once, in their order."""
    found = [command for block in blocks(page) for command in block.commands]
    return list(dict.fromkeys([*found, *inline_commands(page)]))
