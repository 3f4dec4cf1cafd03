"""The output of the log: standard output, or a file that is opened again on a signal.

Tools for log files work in one of these ways, and the server supports all of them:

* rename the file, then signal the server (logrotate): ``reopen`` makes a new file;
* copy the file and truncate it (logrotate's ``copytruncate``): each write appends to the end of the file;
* delete the file while it is open: the next line makes a new file.

A write waits for ``PATIENCE`` at most. It raises OSError when it fails: the disk is full, the folder is
gone, or the reader of a pipe is gone or does not read. The caller decides about the line.

Signals that would end the process by default, and with it the service for all clients::

    SIGHUP                          reads the configuration again, and reopens the log file
    SIGUSR1                         reopens the log file
    SIGTERM, SIGINT, SIGQUIT        stop; a second SIGTERM or SIGQUIT ends the process at once (lifecycle.py)
    those in IGNORED                nothing
    SIGPIPE, SIGXFSZ                nothing: Python ignores them, and the write fails

Other signals keep their defaults: SIGTSTP and SIGCONT stop and continue the process, SIGWINCH does
nothing.
"""

import os
import select
import signal
import sys
from collections.abc import Callable

MODE = 0o640
"""The mode of a new file, less the umask. Lines contain user ids and addresses."""

PATIENCE = 100
"""How many milliseconds a write waits for a full pipe. The next line does not wait at all."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class Output:
    """Writes to an open file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_torn = False
        self._patience = PATIENCE

    def write(self, text: str) -> None:
        """Write whole lines. After a line that was written in part, the next one begins on a new line.

        Raises:
            OSError: not everything could be written.
        """
        rest = memoryview(("\n" if self._is_torn else "").encode() + text.encode("utf-8", "backslashreplace"))
        while rest:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            if not poll.poll(self._patience):
                self._patience = 0
                raise BlockingIOError("the reader of the log does not read")
            # A writable pipe takes PIPE_BUF bytes without blocking (pipe(7)).
            rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
            self._is_torn = True
        self._is_torn = False
        self._patience = PATIENCE


class LogFile(Output):
    """Writes to a file, which is created with ``MODE`` if it is missing.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        super().__init__(self._open())

    def write(self, text: str) -> None:
        """
        Raises:
            OSError: not everything could be written, or a deleted file cannot be created again.
        """
        if os.fstat(self._descriptor).st_nlink == 0:
            self.reopen()
        super().write(text)

    def reopen(self) -> None:
        """Open the path again. If that fails, the open file stays in use.

        Raises:
            OSError: the reason.
        """
        # A server that has dropped root's rights can write to root's open file, but cannot open it again.
        if os.path.exists(self.path) and os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
            return
        before, self._descriptor = self._descriptor, self._open()
        self._is_torn = False
        os.close(before)

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self.path, _FLAGS, MODE)


def standard_output() -> Output:
    """If standard output is closed, a connection may get its file descriptor, so nothing is written then."""
    return LogFile(os.devnull) if sys.stdout is None else Output(sys.stdout.fileno())


IGNORED = (
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)


def survive(reopen: Callable[[], None]) -> None:
    """Ignore these signals, and call ``reopen`` on SIGUSR1. Existing handlers stay.

    Python delivers signals to the main thread only.
    """
    if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, lambda number, frame: reopen())
    for number in IGNORED:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
