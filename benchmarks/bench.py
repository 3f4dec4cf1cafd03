"""What tuleaprt costs, beside a loop of send() in C that is measured in the same run, and beside its goals.

Starts a server of its own for each load, on one core, and load.c on another. CPU and memory are the
operating system's. Every delivery is checked: whatever is lost, doubled or out of order, or a connection
that ends, makes this exit with 1. A goal that is missed does not.
"""

import argparse
import json
import os
import platform
import re
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from figures import Figure, Results, medians, table
from load import (
    CBOR,
    FRAME_BYTES,
    GROUPS,
    JSON,
    MSGPACK,
    POSTS_PER_SECOND,
    Bench,
    Browser,
    Plan,
    Result,
    build,
)
from server import ROOT, Failed, pin

RESULT = ROOT / "benchmarks/result.json"
SATURATED, DISTURBED = 0.9, 0.2
"""From which share of a core on the notes speak of it."""
LATE = 0.005
"""From how many seconds behind schedule on the notes speak of it."""


def plans(seconds: float) -> dict[str, Plan]:
    protocols = islice(cycle((JSON, MSGPACK, JSON, CBOR)), 1000)
    crowd = [Browser()] * 1000
    return {
        "1000": Plan(browsers=crowd, seconds=seconds),
        "serializers": Plan(browsers=[Browser(protocol=it) for it in protocols], seconds=seconds),
        "groups": Plan(
            browsers=[Browser(groups=(*GROUPS, f"@gpig_{it}")) for it in range(1000)], seconds=seconds
        ),
        "5000": Plan(browsers=[Browser()] * 5000, seconds=seconds),
        "boards": Plan(
            browsers=[Browser(board=it % 1000) for it in range(5000)], boards=1000, posters=8, seconds=seconds
        ),
        "nobody": Plan(browsers=[], boards=8, posters=8, seconds=seconds),
        "pace": Plan(
            browsers=[*crowd, *[Browser(board=1)] * 5],
            boards=2,
            posters=2,
            rate=POSTS_PER_SECOND,
            seconds=2.5 * seconds,
        ),
    }


# What is compared stands next to each other: a machine is not as fast now as it was a minute ago.
ORDER = (
    *("yard 1000", "1000", "serializers", "groups", "1000", "yard 1000"),
    *("yard 5000", "5000", "yard 5000", "boards", "yard boards", "nobody", "yard nobody", "pace"),
)


def run(bench: Bench, seconds: float) -> Results:
    found: dict[str, list[Result]] = {}
    known = plans(seconds)
    for step in ORDER:
        print(f"  {step} …", file=sys.stderr)
        plan = known[step.removeprefix("yard ")]
        result = bench.yard(plan) if step.startswith("yard ") else bench.server(plan)
        found.setdefault(step, []).append(result)
    return found


def notes(passes: Sequence[Results], cores: tuple[int | None, int | None]) -> Iterator[str]:
    """What one must know to read the figures."""
    all_of = {step: [it for each in passes for it in each[step]] for step in passes[0]}
    if cores[0] is None:
        yield "There is one core for the server and the load: only the CPU means anything."
    busy = [step for step, them in all_of.items() if max(it.busy for it in them) > SATURATED]
    if busy:
        yield f"The load had no time to spare, so the server may be faster: {', '.join(busy)}."
    late = max(it.late for them in all_of.values() for it in them)
    if late > LATE:
        yield f"Posts at a pace were up to {late * 1e3:.0f} ms late, which is not in their latencies."
    others = max(it.others for them in all_of.values() for it in them)
    if others > DISTURBED:
        yield f"Others took up to {others:.0%} of a core: rates and latencies are worse than they would be."


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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=4, metavar="S", help="length of each load, 0.5 to 20"
    )
    parser.add_argument(
        "--json", type=Path, default=RESULT, metavar="FILE", help="where all figures are written"
    )
    given = parser.parse_args()
    if not 0.5 <= given.seconds <= 20:
        parser.error("the length of a load is 0.5 to 20 seconds")
    return given


def main() -> int:
    given = arguments()
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The load and the server inherit it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    # Ended in either way, what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    usable = sorted(os.sched_getaffinity(0))
    cores = (usable[0], usable[1]) if len(usable) > 1 else (None, None)
    pin(0, cores[1])
    passes: list[Results] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(build(Path(folder)), cores)
            for count in range(3 if os.environ.get("FULL") else 1):
                print(f"pass {count + 1}", file=sys.stderr)
                passes.append(run(bench, given.seconds))
    except KeyboardInterrupt:
        return 130
    except (Failed, OSError) as error:
        print("bench:", error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1
    found = medians(passes)
    print(table(found), *(f"- {it}" for it in notes(passes, cores)), sep="\n")
    print(f"Events of {FRAME_BYTES} bytes;", ", ".join(f"{name} {it}" for name, it in machine().items()))
    given.json.write_text(json.dumps(document(found, passes, given.seconds), indent=2) + "\n")
    print(given.json)
    return 0


def document(found: Sequence[Figure], passes: Sequence[Results], seconds: float) -> dict[str, Any]:
    raw = [{step: [it._asdict() for it in them] for step, them in each.items()} for each in passes]
    return {
        "machine": machine(),
        "seconds": seconds,
        "figures": [it._asdict() for it in found],
        "passes": raw,
    }


if __name__ == "__main__":
    sys.exit(main())
