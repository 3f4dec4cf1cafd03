"""Runs commands and changes files: the only module that changes the machine."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover.plan import Action, Remove, Run, Write

SECONDS = 120
"""The longest time of a command. A stop of the server may take ``TimeoutStopSec``."""

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Of root, which a shell by ``su`` may lack."""


class Done(NamedTuple):
    """The exit status, and both outputs."""

    status: int
    text: str


def run(command: Sequence[str]) -> Done:
    """A command that cannot be started has the status 127, as in a shell."""
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{PATH}", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            # Ctrl-C on a terminal reaches this process only.
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Done(124, f"not done within {SECONDS} seconds")
    except OSError as error:
        return Done(127, f"{command[0]}: {error.strerror}")
    return Done(done.returncode, done.stdout.decode(errors="replace"))


def output(command: Sequence[str]) -> str:
    """
    Raises:
        CommandFailed: the command has failed.
    """
    done = run(command)
    if done.status:
        raise CommandFailed(f"{' '.join(command)}: {last_line(done)}")
    return done.text


def last_line(done: Done) -> str:
    """Of the outputs; they often begin with hints."""
    lines = done.text.strip().splitlines()
    return lines[-1].strip() if lines else f"exit status {done.status}"


def act(action: Action) -> None:
    """
    Raises:
        CommandFailed: the action has failed. It may be done in part.
    """
    if isinstance(action, Run):
        output(action.command)
        return
    path = Path(action.path)
    try:
        if isinstance(action, Remove):
            path.unlink(missing_ok=True)
        else:
            _write(path, action)
    except OSError as error:
        raise CommandFailed(f"{action}: {error.strerror}") from None


def _write(path: Path, action: Write) -> None:
    """Another process sees the former text or the new one."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(action.text)
        new.chmod(0o644)
        new.replace(path)
    finally:
        with suppress(OSError):
            new.unlink()
