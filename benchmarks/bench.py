"""Measures what tuleaprt costs, next to a loop of send() in C in the same run, and next to its goals.

Each load gets a server of its own on one core; load.c runs on another. The operating system reports CPU
and memory. Every delivery is checked: a lost, doubled or misordered event, or a connection that ends,
makes the exit status 1. A missed goal does not.
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
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from certificate import self_signed
from comparison import Comparison, compare
from comparison import table as comparison_table
from conditions import machine, notes
from figures import Results, medians, table, without_goals
from growth import Series, grow, that_fit
from load import Bench, Start, Started, build
from others import NAMES, Other, names, present
from peer import Peer
from plans import LARGEST, ORDER, OURS, run
from router import FRAME_BYTES, ROOT, Failed, Router, described
from server import Server, pin

RESULT, PLOT = ROOT / "benchmarks/result.json", ROOT / "benchmarks/plot.png"
Cores = tuple[int | None, int | None]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=4, metavar="S", help="length of each load, 0.5 to 20"
    )
    parser.add_argument("--full", action="store_true", help="medians of three, how cost grows, and a plot")
    peers = parser.add_mutually_exclusive_group()
    peers.add_argument(
        "--peer",
        type=Path,
        metavar="FILE",
        help="a file that describes another router, to measure it instead",
    )
    peers.add_argument(
        "--peers",
        default="",
        metavar="NAMES",
        help=f"other servers to compare with in the same run, if they are installed: {' '.join(NAMES)}",
    )
    parser.add_argument("--plot", type=Path, default=PLOT, metavar="FILE", help="where --full draws its plot")
    parser.add_argument(
        "--json", type=Path, default=RESULT, metavar="FILE", help="where all figures are written"
    )
    given = parser.parse_args()
    if not 0.5 <= given.seconds <= 20:
        parser.error("the length of a load is 0.5 to 20 seconds")
    try:
        given.peers = names(given.peers)
    except ValueError as error:
        parser.error(str(error))
    return given


def starter(peer: Router | None, folder: Path) -> Start:
    certificate = self_signed(folder)

    journals = count()

    def start(core: int | None, is_tls: bool, in_a_file: bool) -> AbstractContextManager[Started]:
        if peer is not None:
            return Peer(peer, core)
        url = {"TULEAPRT_JOURNAL__URL": f"sqlite://{folder}/{next(journals)}.db"} if in_a_file else {}
        return Server(core, certificate if is_tls else None, options=url)

    return start


def own_cores() -> Cores:
    """The core of the server and that of the load."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def fits() -> bool:
    """Whether the limit of open files allows the largest crowd."""
    return int(LARGEST) in that_fit((1, int(LARGEST)))


class Found(NamedTuple):
    passes: list[Results]
    growth: list[Series]
    comparison: Comparison | None


def measure(given: argparse.Namespace, peer: Router | None, folder: Path, cores: Cores) -> Found:
    # A file that describes no server is known before anything is measured.
    others = installed(given.peers, folder)
    bench = Bench(build(folder), cores, starter(peer, folder))
    order = [it for it in ORDER if (not peer or it not in OURS) and (not it.endswith(LARGEST) or fits())]
    passes, growth = [], []
    for number in range(3 if given.full else 1):
        print(f"pass {number + 1}", file=sys.stderr)
        passes.append(run(bench, given.seconds, order))
    if given.full:
        print("growth", file=sys.stderr)
        growth = list(grow(bench, given.seconds, is_peer=peer is not None))
    comparison = None
    if others:
        benches = {"tuleaprt": bench} | {it.title: bench.of(ignoring_options(it)) for it in others}
        comparison = compare(benches, given.seconds, len(passes))
    return Found(passes, growth, comparison)


def installed(named: Sequence[str], folder: Path) -> list[Other]:
    found, missing = present(named, folder)
    for line in missing:
        print(line, file=sys.stderr)
    return found


def ignoring_options(other: Other) -> Start:
    """No load of a comparison has TLS or a journal."""
    return lambda core, is_tls, in_a_file: other.start(core)


def main() -> int:
    given = arguments()
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The load and the server inherit it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    # Either signal stops everything that was started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cores = own_cores()
    pin(0, cores[1])
    try:
        peer = described(given.peer) if given.peer else None
        with tempfile.TemporaryDirectory() as folder:
            found = measure(given, peer, Path(folder), cores)
    except KeyboardInterrupt:
        return 130
    except (Failed, OSError) as error:
        print("bench:", error, *getattr(error, "__notes__", []), sep="\n", file=sys.stderr)
        return 1
    show(given, found, peer.name if peer else "", cores)
    return 0


def show(given: argparse.Namespace, found: Found, peer: str, cores: Cores) -> None:
    """Print the tables; write JSON and the plot."""
    figures = medians(found.passes)
    remarks = list(notes(found.passes, found.growth, cores))
    if peer:
        figures = without_goals(figures)
        print(peer)
    print(table(figures), *(f"- {it}" for it in remarks), sep="\n")
    compared = shown(found.comparison, cores) if found.comparison else {}
    where = ", ".join(f"{name} {it}" for name, it in machine().items())
    print(f"Events of {FRAME_BYTES} bytes; {where}")
    document: dict[str, Any] = {
        "machine": machine(),
        "peer": peer,
        "seconds": given.seconds,
        "notes": remarks,
        "figures": [it._asdict() for it in figures],
        "growth": [it._asdict() | {"points": [p._asdict() for p in it.points]} for it in found.growth],
        "passes": [plain(it) for it in found.passes],
        "comparison": compared,
    }
    given.json.write_text(json.dumps(document, indent=2) + "\n")
    print(given.json)
    if given.full:
        # Only FULL=1 installs what it needs.
        from plot import draw

        draw(found.growth[0].points, peer or "tuleaprt", where, given.plot)
        print(given.plot)


def shown(it: Comparison, cores: Cores) -> dict[str, Any]:
    """Print the comparison, and give what JSON has of it."""
    remarks = list(notes(it.passes, (), cores))
    print("", comparison_table(it), it.columns.legend, *(f"- {line}" for line in remarks), sep="\n")
    return {
        "columns": it.columns.heads,
        "rows": it.rows,
        "legend": it.columns.legend,
        "notes": remarks,
        "passes": [plain(each) for each in it.passes],
    }


def plain(results: Results) -> dict[str, Any]:
    """For JSON."""
    return {step: [it._asdict() for it in them] for step, them in results.items()}


if __name__ == "__main__":
    sys.exit(main())
