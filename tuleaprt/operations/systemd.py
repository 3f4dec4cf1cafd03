"""Tells systemd the state of the server (sd_notify(3)): lines in a datagram to the socket in $NOTIFY_SOCKET.

::

    READY=1                              the server listens
    RELOADING=1, MONOTONIC_USEC=…        it reads its configuration again, until READY=1
    STATUS=…                             a line for ``systemctl status``
    WATCHDOG=1                           the server is alive (Type=notify with WatchdogSec=)
    STOPPING=1                           the server stops
"""

import socket
import time
from collections.abc import Mapping


class Notify:
    """Sends to systemd. Without the variable nothing is sent, and errors of the socket are ignored."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        # The name of an abstract socket begins with NUL, which a variable cannot contain.
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
