"""What a delivery costs: one post, an EVENT to each of many WebSocket subscribers.

Starts a server of its own on one core and plays Tuleap and all the browsers on another. Measures

- throughput: a message is posted when all subscribers have the one before it (closed loop);
- latency: messages are posted on a schedule, whatever has arrived by then (open loop);
- a yardstick: the same bytes by plain socket.send() to as many connections, from the server's core.

Every delivery is checked, and their number is compared with the server's own count. Whatever is lost,
duplicated or out of order, or a connection that ends, makes this exit with 1.
"""

import argparse
import json
import math
import os
import platform
import re
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

from audience import Audience
from senders import CLOCK_TICKS, ROOT, Cores, Failed, Poster, Server, pin, plain_send

SAMPLE = ROOT / "tests/fixtures/tuleap/wire/kanban_item_move.body"
EVENT_BYTES = 290
WARM_UP_SECONDS = 1.0
POSTS_PER_SECOND = 20
SPARE_FILES = 100
"""Files that a process has open beside its connections: more than enough."""
SATURATED, DISTURBED = 90, 20
"""From which % of a core on the notes speak of it."""


class Figure(NamedTuple):
    """One line of the result."""

    name: str
    what: str
    value: float
    unit: str


class Clocks(NamedTuple):
    """Time, and CPU time of the server, of this process and of the whole machine, in seconds."""

    wall: float
    server: float
    generator: float
    machine: float

    def __sub__(self, before: "Clocks") -> "Clocks":
        return Clocks(*(now - then for now, then in zip(self, before, strict=True)))

    def figures(self, name: str) -> list[Figure]:
        """How busy one core would have been: with whom the figures were shared."""
        others = max(0, self.machine - self.server - self.generator)
        return [
            Figure(f"{name}_{who}_busy", f"  {who} busy meanwhile", seconds / self.wall * 100, "% of a core")
            for who, seconds in (("server", self.server), ("generator", self.generator), ("others", others))
        ]


def clocks(server: Server) -> Clocks:
    ticks = [int(it) for it in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    # The fourth and fifth of proc(5) are idle time.
    busy = (sum(ticks) - ticks[3] - ticks[4]) / CLOCK_TICKS
    return Clocks(perf_counter(), server.cpu_seconds(), process_time(), busy)


def message() -> tuple[bytes, dict[str, Any]]:
    """A body that Tuleap posts, with a longer column, and the kwargs of its EVENT of about EVENT_BYTES."""
    body = json.loads(SAMPLE.read_bytes())
    # Nobody is the sender's window, so nobody is left out.
    body["sender_uuid"] = None
    kwargs = {"cmd": body["cmd"], "data": body["data"]}
    cards = body["data"]["ordered_destination_column_items_ids"]
    while len(json.dumps([36, 1, 2**53, {}, [], kwargs], separators=(",", ":"))) < EVENT_BYTES:
        cards.append(cards[-1] + 1)
    return json.dumps(body).encode(), kwargs


def measure(subscribers: int, seconds: float, cores: Cores) -> list[Figure]:
    """All figures, from one server."""
    body, kwargs = message()
    with Server(cores.server) as server:
        poster = Poster(server.ports["private"], body)
        began = perf_counter()
        with Audience(server.ports["public"], server.key, subscribers, kwargs, poster.find) as audience:
            print(f"{subscribers} subscribers after {perf_counter() - began:.1f} s", file=sys.stderr)
            posts, fanout = closed_loop(server, poster, audience, seconds)
            audience.check(poster.posted, server.deliveries())
            latency = open_loop(server, poster, audience, seconds)
            audience.check(poster.posted, server.deliveries())
            checked, frame_size = audience.received, audience.frame_size
        poster.close()
    plain = plain_send(subscribers, posts, bytes(frame_size), cores) * 1e6
    cost = fanout[1].value
    return [
        *fanout,
        Figure("plain_send_cpu", "the same by plain socket.send()", plain, "µs"),
        Figure("ratio", "tuleaprt / plain send", cost / plain, ""),
        *latency,
        Figure("frame_size", "size of a frame", frame_size, "bytes"),
        Figure("checked", "deliveries checked, as the server counts", checked, ""),
    ]


def closed_loop(
    server: Server, poster: Poster, audience: Audience, seconds: float
) -> tuple[int, list[Figure]]:
    """Post as soon as all have received. Also the number of posts, without those of the warm-up."""
    warm = perf_counter() + WARM_UP_SECONDS
    while perf_counter() < warm:
        audience.wait(poster.post())
    posts = 0
    before = clocks(server)
    while perf_counter() - before.wall < seconds:
        audience.wait(poster.post())
        posts += 1
    spent = clocks(server) - before
    deliveries = posts * audience.size
    return posts, [
        Figure("throughput", "deliveries", deliveries / spent.wall, "1/s"),
        Figure("server_cpu", "server's CPU per delivery", spent.server / deliveries * 1e6, "µs"),
        *spent.figures("throughput"),
    ]


def open_loop(server: Server, poster: Poster, audience: Audience, seconds: float) -> list[Figure]:
    """Post on a schedule. A latency is from just before the post is sent until a subscriber has read it."""
    publications = []
    late = 0.0
    before = clocks(server)
    for number in range(max(1, round(seconds * POSTS_PER_SECOND))):
        due = before.wall + number / POSTS_PER_SECOND
        while (left := due - perf_counter()) > 0:
            audience.receive(left)
        publications.append(poster.post())
        late = max(late, publications[-1].sent_at - due)
    for publication in publications:
        audience.wait(publication)
    spent = clocks(server) - before
    everyone = sorted(latency for it in publications for latency in it.latencies)
    last = sorted(max(it.latencies) for it in publications)
    return [
        Figure("latency_p50", f"latency at {POSTS_PER_SECOND} posts/s, p50", percentile(everyone, 50), "ms"),
        Figure("latency_p99", "  p99", percentile(everyone, 99), "ms"),
        Figure("latency_last_p99", "  p99 of each post's last receiver", percentile(last, 99), "ms"),
        Figure("posts_late", "  posts behind schedule, at most", late * 1e3, "ms"),
        *spent.figures("latency"),
    ]


def percentile(ordered: Sequence[float], percent: int) -> float:
    """By nearest rank, of seconds in milliseconds."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] * 1e3


def two_cores() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1]) if len(usable) > 1 else Cores(None, None)


def machine() -> dict[str, str]:
    """What the figures depend on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "CPU": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "Twisted": version("Twisted"),
        "Autobahn": version("autobahn"),
    }


def table(figures: Sequence[Figure], cores: Cores) -> str:
    width = max(len(it.what) for it in figures)
    lines = []
    for it in figures:
        digits = 0 if it.value >= 1000 or it.unit in ("bytes", "% of a core") else 2
        lines.append(f"{it.what:<{width}}  {it.value:>12,.{digits}f} {it.unit}".rstrip())
    found = [f"- {note}" for note in notes({it.name: it.value for it in figures}, cores)]
    return "\n".join([*lines, "", *found, "", ", ".join(f"{name} {it}" for name, it in machine().items())])


def notes(figures: dict[str, float], cores: Cores) -> Iterator[str]:
    """What one must know to read the figures."""
    yield "The generator is Python too. Its own reading, one subscriber after the other, is in the latencies."
    if cores.generator is None:
        yield "There is one core for the server and the generator: only the CPU per delivery means anything."
    if figures["latency_last_p99"] > 1e3 / POSTS_PER_SECOND:
        yield "Posts came before the one before was everywhere: the latencies are mostly those of a queue."
    if figures["throughput_generator_busy"] > SATURATED:
        yield "The generator had no time to spare: the server may be faster than this throughput."
    if max(figures["throughput_others_busy"], figures["latency_others_busy"]) > DISTURBED:
        yield "Something else was running: throughput and latency are worse than they would have been."


def arguments(most: int) -> argparse.Namespace:
    """``most`` is how many subscribers there can be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subscribers", type=int, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, metavar="S", help="length of either measurement (default: 5)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    if not (1 <= given.subscribers <= most and given.seconds > 0):
        parser.error(f"there must be 1 to {most} subscribers (by the limit of open files) and some seconds")
    return given


def main() -> int:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The server inherits it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    given = arguments(files - SPARE_FILES)
    # Ended in either way, what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = two_cores()
    pin(cores.generator)
    try:
        figures = measure(given.subscribers, given.seconds, cores)
    except KeyboardInterrupt:
        return 130
    except (Failed, OSError) as error:
        print("fanout:", error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1
    print(table(figures, cores))
    if given.json is not None:
        settings = {"subscribers": given.subscribers, "seconds": given.seconds}
        values = {it.name: {"value": it.value, "unit": it.unit} for it in figures}
        result = {"machine": machine(), "settings": settings, "figures": values}
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
