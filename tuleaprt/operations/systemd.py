"""What systemd is told: the protocol of sd_notify(3), a datagram of lines to the socket in $NOTIFY_SOCKET.

::

    READY=1                              it listens
    RELOADING=1, MONOTONIC_USEC=…        it reads its configuration again; READY=1 ends that
    STATUS=…                             a line for ``systemctl status``
    WATCHDOG=1                           it is well (Type=notify with WatchdogSec=)
    STOPPING=1                           it sends its clients away
"""

import socket
import time
from collections.abc import Mapping


class Notify:
    """Without the variable nobody is told, and a socket that does not take it is nobody's trouble."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # An abstract socket: its name begins with NUL, which no variable can hold.
        self._address = "\0" + name[1:] if name.startswith("@") else name

    def ready(self) -> None:
        self._tell("READY=1")

    def reloading(self) -> None:
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        self._tell(f"STATUS={text}")

    def is_well(self) -> None:
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._address:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as it:
                    it.setblocking(False)
                    it.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass
