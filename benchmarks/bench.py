"""What tuleaprt costs, beside a loop of send() in C that is measured in the same run, and beside its goals.

Starts a server of its own for each load, on one core, and load.c on another. CPU and memory are the
operating system's. Every delivery is checked: whatever is lost, doubled or out of order, or a connection
that ends, makes this exit with 1. A goal that is missed does not.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from certificate import self_signed
from conditions import machine, notes
from figures import Figure, Results, medians, table, without_goals
from load import Bench, Start, Started, build
from peer import Peer
from plans import ORDER, OURS, run
from router import FRAME_BYTES, ROOT, Failed, Router, described
from server import Server, pin

RESULT = ROOT / "benchmarks/result.json"
Cores = tuple[int | None, int | None]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=4, metavar="S", help="length of each load, 0.5 to 20"
    )
    parser.add_argument("--full", action="store_true", help="medians of three")
    parser.add_argument(
        "--peer",
        type=Path,
        metavar="FILE",
        help="a file that describes another router, to measure it instead",
    )
    parser.add_argument(
        "--json", type=Path, default=RESULT, metavar="FILE", help="where all figures are written"
    )
    given = parser.parse_args()
    if not 0.5 <= given.seconds <= 20:
        parser.error("the length of a load is 0.5 to 20 seconds")
    return given


def starter(peer: Router | None, folder: Path) -> Start:
    certificate = self_signed(folder)

    def start(core: int | None, is_tls: bool) -> AbstractContextManager[Started]:
        return Peer(peer, core) if peer else Server(core, certificate if is_tls else None)

    return start


def own_cores() -> Cores:
    """The server's and the load's."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def measure(given: argparse.Namespace, folder: Path, cores: Cores) -> list[Results]:
    peer = described(given.peer) if given.peer else None
    bench = Bench(build(folder), cores, starter(peer, folder))
    order = [it for it in ORDER if not peer or it not in OURS]
    passes = []
    for count in range(3 if given.full else 1):
        print(f"pass {count + 1}", file=sys.stderr)
        passes.append(run(bench, given.seconds, order))
    return passes


def main() -> int:
    given = arguments()
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The load and the server inherit it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    # Ended in either way, what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = own_cores()
    pin(0, cores[1])
    try:
        with tempfile.TemporaryDirectory() as folder:
            passes = measure(given, Path(folder), cores)
    except KeyboardInterrupt:
        return 130
    except (Failed, OSError) as error:
        print("bench:", error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1
    found = medians(passes)
    if given.peer:
        found = without_goals(found)
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
