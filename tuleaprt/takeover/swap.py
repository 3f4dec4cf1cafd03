"""Does the steps, proves that a post reaches a page, and puts everything back if one of these fails."""

import signal
import time
from collections.abc import Callable, Sequence

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover.commands import act
from tuleaprt.takeover.plan import Step

Say = Callable[[str], None]
Prove = Callable[[], None]
"""Raises CommandFailed if a post does not reach a page."""

PAUSE_SECONDS = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command: Ctrl-C, ``kill``, and the end of a remote shell."""


def swap(steps: Sequence[Step], prove: Prove, say: Say, *, patience: float) -> None:
    """``patience``: how many seconds the server may take until the proof succeeds.

    A signal takes effect when the present command has ended, so that no command is left running.

    Raises:
        CommandFailed: a step or the proof has failed, or a signal has arrived. The steps have been undone.
    """
    begun: list[Step] = []
    with _Interruption() as interruption:
        try:
            for step in steps:
                say(f"+ {step.action}")
                # A step that fails may be done in part, so it is undone, too.
                begun.append(step)
                act(step.action)
                interruption.check()
            prove_within(prove, patience, interruption.check)
        except Exception as error:
            fault = f"internal error: {type(error).__name__}"
            why = str(error) if isinstance(error, CommandFailed) else fault
            if left := put_back(begun, say):
                raise CommandFailed(f"{why}; not put back: {'; '.join(left)}") from error
            done = "everything is as before" if begun else "nothing was changed"
            raise CommandFailed(f"{why}; {done}") from error


def put_back(begun: Sequence[Step], say: Say) -> list[str]:
    """Undo the steps, the last one first. An undo that fails does not stop the others: they are returned."""
    left = []
    for step in reversed(begun):
        for action in step.undo:
            say(f"- {action}")
            try:
                act(action)
            except CommandFailed as error:
                left.append(f"{action} ({error})")
    return left


def prove_within(prove: Prove, patience: float, check: Callable[[], None]) -> None:
    """A server that supervisord has started is not ready at once, and nginx answers 502 meanwhile.

    Raises:
        CommandFailed: the last failure.
    """
    end = time.monotonic() + patience
    while True:
        try:
            prove()
            return check()
        except CommandFailed:
            check()
            if time.monotonic() >= end:
                raise
        time.sleep(PAUSE_SECONDS)


class _Interruption:
    """Notes the signals that arrive in this context."""

    def __init__(self) -> None:
        self._name = ""

    def __enter__(self) -> "_Interruption":
        self._before = {it: signal.signal(it, self._note) for it in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, former in self._before.items():
            signal.signal(number, former)

    def _note(self, number: int, frame: object) -> None:
        self._name = self._name or signal.Signals(number).name

    def check(self) -> None:
        """
        Raises:
            CommandFailed: a signal has arrived.
        """
        if self._name:
            raise CommandFailed(f"interrupted by {self._name}")
