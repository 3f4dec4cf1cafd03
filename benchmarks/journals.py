"""``make bench JOURNAL=all``: what a post costs with each journal, what it costs other servers that share it,
and how long a start takes that reads 100,000 records. All in one run, because machines differ.

Redis runs on the core of the load. All servers share the other core, so that the CPU of each can be compared.
"""

import argparse
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import own_cores
from figures import POSTERS
from load import Bench, Plan, Result, build
from router import JSON, SAMPLE, Browser, Failed
from server import Server, cpu_seconds, pin

RECORDS = 100_000
RATE = 50
"""Posts a second where latency is measured."""
JOURNALS = ("memory", "sqlite", "redis", "redis always")
OPTIONS = {
    "redis": ("--appendonly", "no"),
    "redis always": ("--appendonly", "yes", "--appendfsync", "always"),
}
Cores = tuple[int | None, int | None]


class Row(NamedTuple):
    """CPU in µs per post, times in ms. ``follower`` is the CPU of another server for each post."""

    name: str
    cpu: float
    answer: float
    p50: float
    p99: float
    follower: float | None = None


@contextmanager
def redis(folder: Path, core: int | None, name: str) -> Iterator[str]:
    """A Redis with these settings. The context is its URL."""
    socket = folder / "socket"
    process = subprocess.Popen(
        [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--dir",
            str(folder),
            "--save",
            "",
            *OPTIONS[name],
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pin(process.pid, core)
        assert process.stdout is not None
        if not any("eady to accept connections" in line for line in process.stdout):
            raise Failed("Redis does not start")
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def journal(name: str, folder: Path, core: int | None) -> Iterator[str]:
    """A new journal of this kind. The context is its URL."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        if name.startswith("redis"):
            with redis(Path(place), core, name) as url:
                yield url
        else:
            yield f"sqlite://{place}/journal.db" if name == "sqlite" else "memory:"


class Bed(NamedTuple):
    """What all measurements share. ``seconds`` is the length of each load."""

    program: Path
    cores: Cores
    folder: Path
    seconds: float


def measure(bed: Bed, name: str, followers: int) -> Row:
    """One journal, with so many servers that share it and get no posts."""
    with ExitStack() as stack:
        options = {"TULEAPRT_JOURNAL__URL": stack.enter_context(journal(name, bed.folder, bed.cores[1]))}
        others = [stack.enter_context(Server(bed.cores[0], options=options)) for _ in range(followers)]
        bench = Bench(bed.program, bed.cores, lambda core, is_tls, in_a_file: Server(core, options=options))
        before = sum(cpu_seconds(it.pid) for it in others)
        plan = Plan(browsers=[], boards=8, posters=POSTERS, seconds=bed.seconds)
        busy = bench.server(plan)
        used = sum(cpu_seconds(it.pid) for it in others) - before
        paced = bench.server(Plan(browsers=[Browser(protocol=JSON)], rate=RATE, seconds=2.5 * bed.seconds))
    # The others have also applied the posts of the warm-up, which is not counted.
    posts = busy.posts * (1 + plan.warm / busy.seconds)
    each = used / posts / followers * 1e6 if followers else None
    return row(f"{name}, {followers + 1} servers" if followers else name, busy, paced, each)


def row(name: str, throughput: Result, paced: Result, follower: float | None) -> Row:
    (latency,) = paced.boards
    answer = POSTERS * throughput.seconds / throughput.posts * 1e3
    return Row(name, throughput.post_us, answer, latency.p50 * 1e3, latency.p99 * 1e3, follower)


def fsync_ms(folder: Path) -> float:
    """The median time of a flush to this disk."""
    taken = []
    with (folder / "flushed").open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 500)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e3


def record() -> bytes:
    """A post as both journals keep it."""
    from tuleaprt.tuleap import records
    from tuleaprt.tuleap.inputs import Post
    from tuleaprt.tuleap.message import decode

    return records.encode(Post(message=decode(SAMPLE.read_bytes())))


def fill(url: str, body: bytes) -> None:
    """Leave so many records in the journal."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as database, database:
            rows = ((number, time.time(), body) for number in range(1000, 1000 + RECORDS))
            database.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
        return
    command = [b"XADD", b"tuleaprt:{tuleap}:journal", b"*", b"r", body]
    raw = b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(it), it) for it in command)
    subprocess.run(
        ["redis-cli", "-s", url.removeprefix("unix://"), "--pipe"],
        input=raw * RECORDS,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def rebuild_seconds(bed: Bed, name: str) -> float:
    """How long a start reads, as its log says."""
    cores = bed.cores
    with journal(name, bed.folder, cores[1]) as url:
        options = {"TULEAPRT_JOURNAL__URL": url}
        if name == "sqlite":
            with Server(cores[0], options=options):
                pass
        fill(url, record())
        with Server(cores[0], options=options) as server:
            lines = "".join(server.last_lines)
    found = re.search(r"was read up to record \d+ in ([\d.]+) s", lines)
    if found is None:
        raise Failed(f"the server does not say how long it has read:\n{lines}")
    return float(found[1])


def table(rows: list[Row]) -> str:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:,.0f}" if value >= 20 else f"{value:.2f}"

    head = ("journal", "CPU µs", "answer ms", "p50 ms", "p99 ms", "other server µs")
    lines = [head, *((it.name, *map(cell, it[1:])) for it in rows)]
    return "\n".join(f"{a:<24}" + "".join(f"{it:>16}" for it in rest) for a, *rest in lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("journal", choices=("all", *JOURNALS))
    parser.add_argument("--seconds", type=float, default=4, metavar="S", help="length of each load")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = own_cores()
    pin(0, cores[1])
    names = JOURNALS if given.journal == "all" else (given.journal,)
    try:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            bed = Bed(build(folder), cores, folder, given.seconds)
            rows, rebuilt = [], dict[str, float]()
            for name in names:
                for followers in range(3) if name == "redis" else (0,):
                    print(f"  {name}, {followers + 1} …", file=sys.stderr)
                    rows.append(measure(bed, name, followers))
            for name in names:
                if name in ("sqlite", "redis"):
                    rebuilt[name] = rebuild_seconds(bed, name)
            show(rows, rebuilt, fsync_ms(folder))
    except KeyboardInterrupt:
        return 130
    except (Failed, OSError) as error:
        print("bench:", error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1
    return 0


def show(rows: list[Row], rebuilt: Mapping[str, float], fsync: float) -> None:
    print(table(rows))
    print(
        f"{POSTERS} posts at a time without a subscriber; p50 and p99: from a post to a page, {RATE} posts/s"
    )
    for name, seconds in rebuilt.items():
        print(f"a start reads {RECORDS:,} records of {name} in {seconds:.1f} s")
    print(f"a flush to the disk takes {fsync:.2f} ms")


if __name__ == "__main__":
    sys.exit(main())
