"""A router that a file describes, or another server, started for one load on a core of its own."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from typing import Self

from brokers import Broker
from router import Failed, Router
from server import START_SECONDS, STOP_SECONDS, on_core

LAST_BYTES = 2000


class Peer:
    """A context: the peer's command, with both ports open."""

    def __init__(self, router: Router | Broker, core: int | None) -> None:
        self.router = router
        self._core = core

    def __enter__(self) -> Self:
        if _is_open(self.router.ports[0]):
            raise Failed(f"{self.router.name}: its port {self.router.ports[0]} is open already")
        self._output = tempfile.TemporaryFile()
        try:
            # Threads and children inherit the core, and a runtime counts its cores when it starts.
            with on_core(self._core):
                self._process = subprocess.Popen(
                    self.router.command,
                    env=os.environ | self.router.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=self._output,
                    stderr=subprocess.STDOUT,
                    # Its children are ended with it.
                    start_new_session=True,
                )
        except OSError:
            self._output.close()
            raise
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, cls: object, error: object, traceback: object) -> None:
        last = self._stop()
        if isinstance(error, (Failed, OSError)):
            error.add_note(f"The last lines of {self.router.name}:\n{last}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        ports = self.router.ports
        while not all(_is_open(it) for it in ports):
            if self._process.poll() is not None or time.monotonic() > until:
                raise Failed(f"{self.router.name} does not listen on {ports}:\n{self._last()}")
            time.sleep(0.1)

    def _last(self) -> str:
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - LAST_BYTES))
        return self._output.read().decode(errors="replace")

    def _stop(self) -> str:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        with self._output:
            return self._last()


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
