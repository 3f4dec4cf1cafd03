"""The measured server on a core of its own, and the operating system's figures of a process."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Self

from router import ROOT, Failed, Router, tuleaprt

START_SECONDS, STOP_SECONDS = 30, 10
ANYWHERE = '["tcp:0:interface=127.0.0.1"]'
ANYWHERE_TLS = '["ssl:0:interface=127.0.0.1:privateKey={0}:certKey={0}"]'
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[int]:
    """A process, its children, and their children."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far, in seconds, to a clock tick (10 ms)."""
    ticks = 0
    for each in family(pid):
        stat = Path(f"/proc/{each}/stat").read_text()
        # The name, in parentheses, may contain spaces. utime and stime are fields 14 and 15 of proc(5).
        fields = stat.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / CLOCK_TICKS


def machine_seconds() -> float:
    """The busy time of all cores so far, in seconds."""
    ticks = [int(it) for it in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    # The fourth and fifth of proc(5) are idle time.
    return (sum(ticks) - ticks[3] - ticks[4]) / CLOCK_TICKS


def resident_kib(pid: int) -> int:
    """The resident memory of a process and its children."""
    statuses = [Path(f"/proc/{it}/status").read_text() for it in family(pid)]
    found = (re.search(r"^VmRSS:\s*(\d+) kB$", it, re.MULTILINE) for it in statuses)
    return sum(int(it[1]) for it in found if it)


def pin(pid: int, core: int | None) -> None:
    """Pin the process to a core; None: do not."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes that are started meanwhile are pinned to the core with all of their threads."""
    before = os.sched_getaffinity(0)
    pin(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_ports(random: Random) -> tuple[int, int]:
    """Two ports that no client uses for itself while the server is down."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(10_000, first), 100):
        with socket.socket() as it:
            it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                it.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == 2:
            return found[0], found[1]
    raise Failed(f"no two ports below {first} are free")


class Server:
    """A context: ``twistd tuleaprt``, ready, on free ports. ``certificate``: a file with its key, for TLS.

    ``options`` are for its environment. ``twistd`` is the command that starts it.
    """

    def __init__(
        self,
        core: int | None,
        certificate: Path | None = None,
        *,
        options: Mapping[str, str] | None = None,
        twistd: Sequence[str] = (str(Path(sys.executable).with_name("twistd")),),
    ) -> None:
        self.key = secrets.token_urlsafe(64)
        self.tracebacks = 0
        self._ports: dict[str, int] = {}
        self._core = core
        self._reading: threading.Thread | None = None
        self._public = ANYWHERE if certificate is None else ANYWHERE_TLS.format(certificate)
        self._options = options or {}
        self._twistd = twistd
        self.last_lines: deque[str] = deque(maxlen=15)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, cls: object, error: object, traceback: object) -> None:
        code = self.stop()
        if isinstance(error, (Failed, OSError)):
            lines = "".join(self.last_lines)
            error.add_note(
                f"The server's exit code is {code} (0 and -15 are by us). Its last lines:\n{lines}"
            )

    def start(self) -> None:
        """Start it, also after a stop.

        Raises:
            Failed: it did not become ready.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TULEAPRT_")}
        environment |= {
            # Measure this checkout, whichever version is installed.
            "PYTHONPATH": str(ROOT),
            "PRIVATE_KEY": self.key,
            "TULEAPRT_LISTEN__PRIVATE": ANYWHERE,
            "TULEAPRT_LISTEN__PUBLIC": self._public,
            **self._options,
        }
        self._ports.clear()
        self._process = subprocess.Popen(
            [*self._twistd, "-n", "--pidfile=", "tuleaprt"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            pin(self._process.pid, self._core)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self, by: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """Stop it, by SIGKILL after ``seconds``, and return its exit code."""
        self._process.send_signal(by)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._reading:
            self._reading.join(STOP_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def router(self) -> Router:
        return tuleaprt(self.ports, self.key)

    @property
    def ports(self) -> tuple[int, int]:
        """The ports of the public and the private site."""
        return self._ports["public"], self._ports["private"]

    def _wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        overdue = threading.Timer(START_SECONDS, self._process.kill)
        overdue.start()
        try:
            ready = any(self._read(line) for line in self._process.stdout)
        finally:
            overdue.cancel()
        if not ready:
            code = self._process.wait()
            raise Failed(f"the server ended (code {code}) before it was ready:\n{''.join(self.last_lines)}")
        # A pipe that is not read would fill up and block the server. The load closes connections without
        # GOODBYE.
        lines = (line for line in self._process.stdout if "closed: connection lost" not in line)
        self._reading = threading.Thread(target=lambda: deque(map(self._read, lines), maxlen=0), daemon=True)
        self._reading.start()

    def _read(self, line: str) -> bool:
        self.last_lines.append(line)
        self.tracebacks += "Traceback (most recent call last)" in line
        if found := re.search(r"(private|public) site listens on \S+:(\d+)\s*$", line):
            self._ports[found[1]] = int(found[2])
        return line.rstrip().endswith("tuleaprt is ready") and self._ports.keys() == {"private", "public"}
