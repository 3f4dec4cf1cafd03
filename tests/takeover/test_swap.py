"""Steps that fail, at each place, with commands that write what they do into a file."""

import os
import signal
from pathlib import Path

import pytest

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover.plan import Remove, Run, Step, Write
from tuleaprt.takeover.swap import SIGNALS, prove_within, swap

DONE = "everything is as before"


class Diary:
    """Commands that note their names; ``said`` is what the user reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []

    def step(self, name: str, *, fails: bool = False, undo_fails: bool = False) -> Step:
        return Step(self._run(name, fails=fails), (self._run(f"undo-{name}", fails=undo_fails),))

    def _run(self, name: str, *, fails: bool) -> Run:
        return Run(("/bin/sh", "-c", f"echo {name} >> {self.path}; echo no {name}; exit {int(fails)}"))

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().split()

    def swap(self, *steps: Step, proofs: int = 0) -> None:
        """``proofs``: how many proofs fail."""
        left = [CommandFailed("no proof")] * proofs

        def prove() -> None:
            if left:
                raise left.pop()

        swap(steps, prove, self.said.append, patience=0)


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def test_all_steps_are_done_and_said(diary: Diary) -> None:
    diary.swap(diary.step("a"), diary.step("b"))
    assert diary.lines == ["a", "b"]
    assert [it[0] for it in diary.said] == ["+", "+"]


def test_a_step_that_fails_is_undone_with_those_before_it(diary: Diary) -> None:
    with pytest.raises(CommandFailed, match=rf"no b; {DONE}$"):
        diary.swap(diary.step("a"), diary.step("b", fails=True), diary.step("c"))
    assert diary.lines == ["a", "b", "undo-b", "undo-a"]


def test_a_proof_that_fails_undoes_all(diary: Diary) -> None:
    with pytest.raises(CommandFailed, match=rf"^no proof; {DONE}$"):
        diary.swap(diary.step("a"), proofs=1)
    assert diary.lines == ["a", "undo-a"]


def test_a_fault_of_the_program_undoes_all_too(diary: Diary) -> None:
    def prove() -> None:
        raise ZeroDivisionError

    with pytest.raises(CommandFailed, match=rf"^internal error: ZeroDivisionError; {DONE}$"):
        swap([diary.step("a")], prove, diary.said.append, patience=0)
    assert diary.lines == ["a", "undo-a"]


def test_without_a_step_nothing_is_undone(diary: Diary) -> None:
    with pytest.raises(CommandFailed, match=r"^no proof; nothing was changed$"):
        diary.swap(proofs=1)


def test_an_undo_that_fails_does_not_stop_the_others_and_is_reported(diary: Diary) -> None:
    with pytest.raises(CommandFailed, match=r"no proof; not put back: .*undo-b"):
        diary.swap(diary.step("a"), diary.step("b", undo_fails=True), proofs=1)
    assert diary.lines == ["a", "b", "undo-b", "undo-a"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_takes_effect_when_the_command_has_ended(diary: Diary, number: int) -> None:
    before = [signal.getsignal(it) for it in SIGNALS]
    kill = Run(("/bin/sh", "-c", f"kill -{number} {os.getpid()}; echo after >> {diary.path}"))
    with pytest.raises(CommandFailed, match=rf"interrupted by {signal.Signals(number).name}; {DONE}"):
        diary.swap(diary.step("a"), Step(kill), diary.step("b"))
    assert diary.lines == ["a", "after", "undo-a"]
    assert [signal.getsignal(it) for it in SIGNALS] == before


def test_a_proof_may_succeed_later() -> None:
    failures = [CommandFailed("not yet")] * 2

    def prove() -> None:
        if failures:
            raise failures.pop()

    prove_within(prove, 60, lambda: None)
    assert not failures


def test_files_are_written_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.ini"
    swap([Step(Write(str(path), "text"))], lambda: None, print, patience=0)
    assert path.read_text() == "text"
    assert [it.name for it in tmp_path.iterdir()] == ["tuleaprt.ini"]
    swap([Step(Remove(str(path)))] * 2, lambda: None, print, patience=0)
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_undone(tmp_path: Path, diary: Diary) -> None:
    with pytest.raises(CommandFailed, match=rf"write .*: Not a directory; {DONE}"):
        diary.path.write_text("")
        diary.swap(diary.step("a"), Step(Write(str(diary.path / "x"), "text")))
    assert diary.lines == ["a", "undo-a"]
