"""What the process does on signals that would end it by default, and with it the service for all clients.

::

    SIGHUP                          reads the configuration again (reload.py), and opens the log file again
    SIGUSR1                         opens the log file again
    SIGTERM, SIGINT, SIGQUIT        stop; a second SIGTERM or SIGQUIT ends the process at once (serving.py)
    those in IGNORED                nothing
    SIGPIPE, SIGXFSZ                nothing: Python ignores them, and the write fails

The others keep their defaults: SIGTSTP and SIGCONT stop and continue the process, SIGWINCH does nothing.
"""

import signal
from collections.abc import Callable

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
