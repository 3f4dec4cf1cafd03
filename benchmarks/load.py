"""Runs load.c: its input and its results.

It reads from stdin one line of numbers (``Plan.head``), one for the post (``Request.line``), and a line for
each browser (``Browser.line``). Then it runs its phases: plan, open, warm, measure. It ends each phase with a
line of JSON and waits for a line, so that the server's CPU can be read while nothing happens.
"""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from brokers import Broker
from router import FRAME_BYTES, ROOT, Browser, Failed, Request, Router, tuleaprt
from server import cpu_seconds, machine_seconds, pin, resident_kib

AT_A_TIME = 32
"""Connections that are opened at once: fewer than Twisted's backlog of 50, above which Linux drops a SYN for
a second.
"""
SETTLE_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One load. ``posters`` posts are in progress at a time, or ``rate`` posts a second go to each board.

    ``journal``: the server keeps its journal in a file. ``event_bytes`` is about the length of an event with
    the head of its frame.
    """

    browsers: Sequence[Browser] = field(repr=False)
    boards: int = 1
    posters: int = 1
    rate: int = 0
    event_bytes: int = FRAME_BYTES
    tls: bool = False
    journal: bool = False
    warm: float = 0.7
    seconds: float

    def head(self, ports: tuple[int, int], path: str, post: Request, *, plain: bool) -> str:
        counts = (
            len(self.browsers),
            self.boards,
            self.posters,
            AT_A_TIME,
            int(plain),
            int(self.tls),
            self.rate,
        )
        places = (post.board_at, post.order_at)
        return " ".join(map(str, (*ports, path, *counts, self.warm, self.seconds, *places)))


class Latency(NamedTuple):
    """From the post to a subscriber, and to the last one, in seconds."""

    p50: float
    p99: float
    last_p50: float
    last_p99: float


class Result(NamedTuple):
    """``cpu``: the server's seconds during the measurement; ``busy``: the load's share of a core."""

    seconds: float
    posts: int
    deliveries: int
    event_bytes: float
    busy: float
    cpu: float
    late: float = 0
    boards: Sequence[Latency] = ()
    open_cpu: float = 0
    """The server's CPU seconds until all had subscribed."""
    close_cpu: float = 0
    """The server's CPU seconds from the end of the measurement until all connections have ended."""
    open_kib: int = 0
    """By how much the server's memory had grown then."""
    others: float = 0
    """The share of a core that processes other than the server and the load used."""

    @property
    def delivery_us(self) -> float:
        return self.cpu / self.deliveries * 1e6

    @property
    def post_us(self) -> float:
        return self.cpu / self.posts * 1e6


def build(folder: Path) -> Path:
    program = folder / "load"
    command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(ROOT / "benchmarks/load.c")]
    command += ["-lssl", "-lcrypto"]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"the load is in C, and could not be compiled (.ci/require bench): {error}") from None
    return program


class Talk:
    """A context: a running load.c on one core. It is killed at the end."""

    def __init__(self, command: Sequence[str | Path], core: int | None) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        pin(self.pid, core)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, cls: object, error: object, traceback: object) -> None:
        self._process.kill()
        self._process.communicate()

    def say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """
        Raises:
            Failed: a phase went wrong. An alarm() of load.c ends phases that take too long.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"the load generator has ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        if text := found.get("failed"):
            raise Failed(text)
        return found


class Started(Protocol):
    """A running router, or another server."""

    @property
    def pid(self) -> int: ...

    @property
    def router(self) -> Router | Broker: ...


Start = Callable[[int | None, bool, bool], AbstractContextManager[Started]]
"""Starts the server on a core, with TLS or not, and with its journal in a file or not."""


class Bench:
    """Measures plans. ``cores`` are the server's and the load's."""

    def __init__(self, program: Path, cores: tuple[int | None, int | None], start: Start) -> None:
        self._program = program
        self._cores = cores
        self._start = start

    def of(self, start: Start) -> "Bench":
        """The same with another server."""
        return Bench(self._program, self._cores, start)

    def server(self, plan: Plan) -> Result:
        with self._start(self._cores[0], plan.tls, plan.journal) as server:
            router = server.router
            post = router.post(plan.event_bytes)
            head = plan.head(router.ports, router.path, post, plain=False)
            return self._measure(plan, server.pid, head, post, router.lines(plan.browsers))

    def yard(self, plan: Plan) -> Result:
        """The same load with a loop of send() in C, with as little around it as possible."""
        post = tuleaprt((0, 0), "").post(plan.event_bytes)
        sizes = map(str, (plan.event_bytes, len(post.text), post.board_at, post.order_at))
        with Talk([self._program, "yard", *sizes], self._cores[0]) as yard:
            port = yard.hear()["port"]
            lines = [f"{it.board} {it.protocol}" for it in plan.browsers]
            return self._measure(plan, yard.pid, plan.head((port, port), "/", post, plain=True), post, lines)

    def _measure(self, plan: Plan, pid: int, head: str, post: Request, lines: Sequence[str]) -> Result:
        with Talk([self._program], self._cores[1]) as load:
            load.say("\n".join((head, post.line(), *lines)))
            load.hear()
            before, kib = cpu_seconds(pid), resident_kib(pid)
            load.say("open")
            load.hear()
            opened, open_kib = settled_cpu_seconds(pid) - before, resident_kib(pid) - kib
            load.say("warm")
            load.hear()
            before, machine = cpu_seconds(pid), machine_seconds()
            load.say("measure")
            found = load.hear()
            cpu, machine = cpu_seconds(pid) - before, machine_seconds() - machine
        closed = settled_cpu_seconds(pid) - before - cpu
        found["boards"] = [Latency(**it) for it in found.get("boards", ())]
        others = (machine - cpu) / found["seconds"] - found["busy"]
        return Result(**found, cpu=cpu, open_cpu=opened, close_cpu=closed, open_kib=open_kib, others=others)


def settled_cpu_seconds(pid: int) -> float:
    """The CPU seconds of the process when it has nothing more to do."""
    found = -1.0
    for _ in range(30):
        if found == (found := cpu_seconds(pid)):
            break
        time.sleep(SETTLE_SECONDS)
    return found
