"""Child processes whose output is read line by line: the server, and Node."""

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from twisted.internet import error, protocol, reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

ROOT = Path(__file__).parent.parent.parent
TWISTD = str(Path(sys.executable).parent / "twistd")


T = TypeVar("T")
PATIENCE_SECONDS = 60

ENDS_WITH_ITS_PARENT = (shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", "--")
"""The kernel ends the process when that of the tests ends, however that happens (prctl(2))."""


def patiently(awaited: Deferred[T], what: str) -> Deferred[T]:
    """A wait that fails, rather than hang, when what is waited for does not come at all."""

    def gave_up(result: object, seconds: float) -> NoReturn:
        raise AssertionError(f"waited {seconds} s for {what}")

    return awaited.addTimeout(PATIENCE_SECONDS, reactor, gave_up)


class Process(protocol.ProcessProtocol):
    """A child process. ``lines`` is everything that it wrote, to either output, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.exit: int | None = None
        self._rest = {1: b"", 2: b""}
        self._waiting: list[tuple[re.Pattern[str], Deferred[re.Match[str]]]] = []
        self._exited: list[Deferred[int]] = []

    @property
    def pid(self) -> int:
        return int(self.transport.pid)  # type: ignore[union-attr]

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        files: Mapping[int, int] | None = None,
        folder: Path = ROOT,
        *,
        on_a_terminal: bool = False,
    ) -> "Process":
        """``files``: by their number there, the files of this process that it is to have."""
        process = cls()
        whole = {name: value for name, value in os.environ.items() if not name.startswith("TULEAPRT_")}
        whole.pop("PRIVATE_KEY", None)
        pipes: dict[int, Any] | None = {0: "w", 1: "r", 2: "r", **(files or {})}
        reactor.spawnProcess(
            process,
            ENDS_WITH_ITS_PARENT[0],
            [*ENDS_WITH_ITS_PARENT, *arguments],
            {**whole, **environment},
            str(folder),
            usePTY=on_a_terminal,
            childFDs=None if on_a_terminal else pipes,
        )
        return process

    def outReceived(self, data: bytes) -> None:
        self._received(1, data)

    def errReceived(self, data: bytes) -> None:
        self._received(2, data)

    def _received(self, output: int, data: bytes) -> None:
        *complete, self._rest[output] = (self._rest[output] + data).split(b"\n")
        for line in complete:
            # The code that waits for the line may run for long, so it must not run inside the reading of the
            # pipe.
            reactor.callLater(0, self.line, line.decode(errors="replace"))

    def line(self, line: str) -> None:
        self.lines.append(line)
        for waiting in list(self._waiting):
            if match := waiting[0].search(line):
                self._waiting.remove(waiting)
                waiting[1].callback(match)

    def written(self, pattern: str) -> Deferred[re.Match[str]]:
        """The first line that matches, past or future. Fails when the process ends without it."""
        return self.written_since(0, pattern)

    def written_since(self, start: int, pattern: str) -> Deferred[re.Match[str]]:
        """The same, without the first ``start`` lines."""
        compiled = re.compile(pattern)
        found: Deferred[re.Match[str]] = Deferred()
        for line in self.lines[start:]:
            if match := compiled.search(line):
                found.callback(match)
                return found
        self._waiting.append((compiled, found))
        return patiently(found, f"a line like {pattern}")

    def processEnded(self, reason: Failure) -> None:
        reactor.callLater(0, self._ended, reason)

    def _ended(self, reason: Failure) -> None:
        self.exit = reason.value.exitCode if reason.value.exitCode is not None else -reason.value.signal
        for output in (1, 2):
            if self._rest[output]:
                self.line(self._rest[output].decode(errors="replace"))
        for _, waiting in self._waiting:
            waiting.errback(AssertionError("the process has ended; it wrote:\n" + "\n".join(self.lines)))
        for exited in self._exited:
            exited.callback(self.exit)

    def ended(self) -> Deferred[int]:
        """The exit status, when there is one."""
        exited: Deferred[int] = Deferred()
        if self.exit is None:
            self._exited.append(exited)
        else:
            exited.callback(self.exit)
        return exited

    async def stop(self, signal: str = "TERM") -> int:
        with suppress(error.ProcessExitedAlready):
            self.transport.signalProcess(signal)
        return await self.ended()
