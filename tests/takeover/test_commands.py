"""Commands whose end is not the usual one."""

import pytest

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover import commands
from tuleaprt.takeover.commands import Done, last_line, output, run


def test_both_outputs_and_the_status_are_returned() -> None:
    assert run(("/bin/sh", "-c", "echo a; echo b >&2; exit 3")) == Done(3, "a\nb\n")


def test_a_command_that_is_not_there_has_a_status_like_in_a_shell() -> None:
    assert run(("no-such-command-here",)) == Done(127, "no-such-command-here: No such file or directory")


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "SECONDS", 0.1)
    assert run(("/bin/sleep", "1000")).status == 124


def test_the_last_line_says_why() -> None:
    assert last_line(Done(1, "a hint\nthe reason\n\n")) == "the reason"
    assert last_line(Done(4, "")) == "exit status 4"
    with pytest.raises(CommandFailed, match=r"^/bin/sh -c echo no; exit 1: no$"):
        output(("/bin/sh", "-c", "echo no; exit 1"))


def test_commands_of_root_are_found_without_roots_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "/usr/sbin" in run(("/bin/sh", "-c", "echo $PATH")).text
