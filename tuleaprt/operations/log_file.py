"""The file descriptor that the log is written to: standard output, or a file that can be opened again.

Tools for log files work in one of these ways, and all of them are met:

* rename the file, then signal the server (logrotate): ``reopen`` makes a new file;
* copy the file and truncate it (logrotate's ``copytruncate``): each write appends to what is there;
* delete the file while it is open: the next line makes a new one.

A write waits ``PATIENCE`` at most and raises OSError when it fails: disk full, folder gone, the reader of
a pipe gone or stuck. The caller decides what becomes of the line.

What the process does on signals that would end it by default, and with it the service for all clients.

::

    SIGHUP                          reads the configuration again (reload.py), and opens the log file again
    SIGUSR1                         opens the log file again
    SIGTERM, SIGINT, SIGQUIT        stop; a second SIGTERM or SIGQUIT ends the process at once (serving.py)
    those in IGNORED                nothing
    SIGPIPE, SIGXFSZ                nothing: Python ignores them, and the write fails

The others keep their defaults: SIGTSTP and SIGCONT stop and continue the process, SIGWINCH does nothing.
"""

import os
import select
import signal
import sys
from collections.abc import Callable

MODE = 0o640
"""Of a file that is made here, less what the umask takes away: lines hold user ids and addresses."""

PATIENCE = 100
"""How many milliseconds a pipe may be full before a line is given up. The next line does not wait at all."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class Output:
    """Writes to a descriptor that is open already."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_torn = False
        self._patience = PATIENCE

    def write(self, text: str) -> None:
        """Write whole lines. After a line that was written in part, the next one begins on a line of its own.

        Raises:
            OSError: not all of it could be written.
        """
        rest = memoryview(("\n" if self._is_torn else "").encode() + text.encode("utf-8", "backslashreplace"))
        while rest:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            if not poll.poll(self._patience):
                self._patience = 0
                raise BlockingIOError("what reads the log does not read")
            # A pipe that is writable takes PIPE_BUF bytes without blocking (pipe(7)).
            rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
            self._is_torn = True
        self._is_torn = False
        self._patience = PATIENCE


class LogFile(Output):
    """Writes to a file, which is made with ``MODE`` if it is missing.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        super().__init__(self._open())

    def write(self, text: str) -> None:
        """
        Raises:
            OSError: not all of it could be written, or the file was deleted and cannot be made again.
        """
        if os.fstat(self._descriptor).st_nlink == 0:
            self.reopen()
        super().write(text)

    def reopen(self) -> None:
        """Write to what has the path now. When that cannot be opened, the file stays the one that it is.

        Raises:
            OSError: the reason.
        """
        # A file of root's can be written by a server that has shed its privileges, but not opened again.
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
    """Where nothing is open as standard output, a connection may get its number: so it goes nowhere."""
    return LogFile(os.devnull) if sys.stdout is None else Output(sys.stdout.fileno())


IGNORED = (
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)


def survive(reopen: Callable[[], None]) -> None:
    """Ignore these signals, and call ``reopen`` on SIGUSR1. What has a handler already keeps it.

    In the main thread only, where Python delivers signals.
    """
    if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
        signal.signal(signal.SIGUSR1, lambda number, frame: reopen())
    for number in IGNORED:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)
