"""The two that send, on the same core: the server, with the posts to it, and plain socket.send()."""

import http.client
import json
import multiprocessing
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
from array import array
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 30, 10, 10
ANYWHERE = '["tcp:0:interface=127.0.0.1"]'
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """The benchmark has no result; the text says why."""


class Cores(NamedTuple):
    """Where the server and the generator run; None: wherever they like."""

    server: int | None
    generator: int | None


class Server:
    """A context: ``twistd tuleaprt``, ready, on ports of its own and, if a core is given, on that core."""

    def __init__(self, core: int | None) -> None:
        self.key = secrets.token_urlsafe(64)
        self.ports: dict[str, int] = {}
        self._core = core
        self._last_lines: deque[str] = deque(maxlen=15)

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TULEAPRT_")}
        environment |= {
            "PRIVATE_KEY": self.key,
            "TULEAPRT_LISTEN__PRIVATE": ANYWHERE,
            "TULEAPRT_LISTEN__PUBLIC": ANYWHERE,
        }
        twistd = Path(sys.executable).with_name("twistd")
        self._process = subprocess.Popen(
            [str(twistd), "-n", "--pidfile=", "tuleaprt"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            if self._core is not None:
                os.sched_setaffinity(self._process.pid, {self._core})
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, cls: object, error: object, traceback: object) -> None:
        self._stop()
        self._reading.join(STOP_SECONDS)
        if isinstance(error, (Failed, OSError)):
            code, lines = self._process.returncode, "".join(self._last_lines)
            error.add_note(f"The server's exit code is {code} (-15 is by us). Its last lines:\n{lines}")

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, in seconds, to a clock tick (10 ms)."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        # The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15 of proc(5).
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def deliveries(self) -> int:
        """How many events the server counts as sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["private"], timeout=ANSWER_SECONDS)
        with closing(connection):
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
        found = re.search(r"^tuleaprt_deliveries_total (\S+)$", page, re.MULTILINE)
        if found is None:
            raise Failed("GET /metrics has no line tuleaprt_deliveries_total")
        return int(float(found[1]))

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
            raise Failed(f"the server ended (code {code}) before it was ready:\n{''.join(self._last_lines)}")
        # A pipe that nobody reads would fill up and stop the server. Connections are lost when we close them.
        lines = (line for line in self._process.stdout if "closed: connection lost" not in line)
        self._reading = threading.Thread(target=self._last_lines.extend, args=(lines,), daemon=True)
        self._reading.start()

    def _read(self, line: str) -> bool:
        self._last_lines.append(line)
        if found := re.search(r"(private|public) site listens on \S+:(\d+)\s*$", line):
            self.ports[found[1]] = int(found[2])
        return line.rstrip().endswith("tuleaprt is ready") and self.ports.keys() == {"private", "public"}

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class Publication:
    """One post and what came of it: ``sent_at`` in seconds (perf_counter), ``latencies`` in seconds."""

    index: int
    sent_at: float
    latencies: "array[float]" = field(default_factory=lambda: array("d"))


class Poster:
    """Posts one message again and again over one kept-alive HTTP connection."""

    def __init__(self, port: int, body: bytes) -> None:
        self._request = (
            b"POST /message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self.posted = 0
        self._unanswered: deque[Publication] = deque()
        self._by_id: dict[int, Publication] = {}

    def post(self) -> Publication:
        publication = Publication(self.posted, perf_counter())
        self._socket.sendall(self._request)
        self.posted += 1
        self._unanswered.append(publication)
        return publication

    def find(self, id: int) -> Publication:
        """The post that was answered with this id. Waits for answers that are still to come."""
        while id not in self._by_id:
            if not self._unanswered:
                raise Failed(f"there is an event of publication {id}, and no post was answered with it")
            self._by_id[self._read_answer()] = self._unanswered.popleft()
        return self._by_id[id]

    def close(self) -> None:
        self._answers.close()
        self._socket.close()

    def _read_answer(self) -> int:
        status = self._answers.readline()
        length = 0
        while (line := self._answers.readline().lower()) not in (b"\r\n", b""):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        answer = self._answers.read(length)
        if not status.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"a post was answered by {status!r} {answer[:200]!r}")
        publication: dict[str, Any] = json.loads(answer)
        id: int = publication["publication"]
        if id in self._by_id:
            raise Failed(f"two posts were answered with publication {id}")
        return id


def plain_send(connections: int, rounds: int, data: bytes, cores: Cores) -> float:
    """CPU seconds of one socket.send() of the data, when each round waits until it was read everywhere."""
    with socket.create_server(("127.0.0.1", 0), backlog=connections) as listener:
        ours, theirs = multiprocessing.Pipe()
        reader = multiprocessing.get_context("fork").Process(
            target=read_rounds, args=(listener, connections, len(data), theirs, cores.generator), daemon=True
        )
        reader.start()
        theirs.close()
        pin(cores.server)
        sockets = [socket.create_connection(listener.getsockname()) for _ in range(connections)]
        try:
            for it in sockets:
                it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            send_round(sockets, data, ours)
            began = process_time()
            for _ in range(rounds):
                send_round(sockets, data, ours)
            return (process_time() - began) / (rounds * connections)
        except EOFError:
            raise Failed("the reader of the yardstick has ended") from None
        finally:
            for it in sockets:
                it.close()
            reader.kill()
            reader.join()


def send_round(sockets: list[socket.socket], data: bytes, everything_read: Connection) -> None:
    # The sockets block: what the kernel has no room for costs the waiting, as it costs anybody.
    for it in sockets:
        it.send(data)
    everything_read.recv_bytes()


def read_rounds(
    listener: socket.socket, connections: int, size: int, everything_read: Connection, core: int | None
) -> None:
    """The other side of plain_send, in a process of its own: read, discard, and say when a round is over."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pin(core)
    sockets = [listener.accept()[0] for _ in range(connections)]
    epoll = select.epoll()
    for it in sockets:
        epoll.register(it, select.EPOLLIN)
    missing = connections * size
    while True:
        for fd, _ in epoll.poll():
            count = len(os.read(fd, 4096))
            if count == 0:
                return
            missing -= count
        if missing == 0:
            missing = connections * size
            everything_read.send_bytes(b".")


def pin(core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
