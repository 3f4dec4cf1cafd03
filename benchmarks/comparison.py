"""tuleaprt beside other servers, all in one run and with the same loads, next to the same yardstick."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, median
from typing import NamedTuple

from figures import POSTS_PER_SECOND, Results, number
from growth import that_fit
from load import Bench, Plan, Result
from plans import PACE_LENGTH, crowd

SIZES = (1000, 5000, 10_000)
MOST_OPENED = 5000
"""Handshakes and memory are those of the largest crowd up to this one."""
PACED = 1000
YARD = "send() in C"
Cells = tuple[float | None, ...]


class Columns(NamedTuple):
    """The sizes whose ratios are compared, and the one of the other figures."""

    sizes: Sequence[int]
    opened: int

    @property
    def heads(self) -> list[str]:
        return [*(f"ratio {it:,}" for it in self.sizes), "CPU µs", "open µs", "KiB", "p99 ms"]

    @property
    def legend(self) -> str:
        return (
            f"Ratio of the CPU per delivery to {YARD}, by subscribers. With {self.opened:,} of them: CPU per "
            "delivery, CPU per handshake to the answered subscription, memory per idle connection. "
            f"{POSTS_PER_SECOND} posts/s to {PACED:,}: p99 to the last."
        )


class Comparison(NamedTuple):
    columns: Columns
    rows: Mapping[str, Cells]
    passes: Sequence[Results]


def compare(benches: Mapping[str, Bench], seconds: float, passes: int) -> Comparison:
    """
    Raises:
        Failed: a server did not start, or a delivery was not what it must be.
    """
    sizes = that_fit(SIZES)
    columns = Columns(sizes, max(it for it in sizes if it <= MOST_OPENED))
    found = []
    for step in range(passes):
        print(f"peers, pass {step + 1}", file=sys.stderr)
        found.append(run(benches, seconds, sizes))
    return Comparison(columns, rows(found, columns, list(benches)), found)


def run(benches: Mapping[str, Bench], seconds: float, sizes: Sequence[int]) -> Results:
    """One pass. The yardstick is measured before and after the servers of each size."""
    found: dict[str, list[Result]] = {}

    def add(step: str, measured: Result) -> None:
        found.setdefault(step, []).append(measured)

    yard = next(iter(benches.values())).yard
    for size in sizes:
        plan = Plan(browsers=crowd(size), seconds=seconds)
        add(f"{YARD} {size}", yard(plan))
        for name, bench in benches.items():
            print(f"  {name}: {size:,} …", file=sys.stderr)
            add(f"{name} {size}", bench.server(plan))
        add(f"{YARD} {size}", yard(plan))
    paced = Plan(browsers=crowd(PACED), rate=POSTS_PER_SECOND, seconds=PACE_LENGTH * seconds)
    for name, bench in benches.items():
        print(f"  {name}: pace …", file=sys.stderr)
        add(f"{name} pace", bench.server(paced))
    return found


def rows(passes: Sequence[Results], columns: Columns, names: Sequence[str]) -> dict[str, Cells]:
    """The medians of the passes."""
    found = {}
    for name in (YARD, *names):
        values = zip(*(_cells(it, columns, name) for it in passes), strict=True)
        found[name] = tuple(_median(it) for it in values)
    return found


def _median(values: Sequence[float | None]) -> float | None:
    known = [it for it in values if it is not None]
    return median(known) if known else None


def _cells(found: Results, columns: Columns, name: str) -> Iterator[float | None]:
    def cost(step: str, size: int) -> float:
        return mean(it.delivery_us for it in found[f"{step} {size}"])

    for size in columns.sizes:
        yield cost(name, size) / cost(YARD, size)
    yield cost(name, columns.opened)
    if name == YARD:
        # It has no handshake.
        yield from (None, None, None)
        return
    (opened,), (paced,) = found[f"{name} {columns.opened}"], found[f"{name} pace"]
    yield opened.open_cpu / columns.opened * 1e6
    yield opened.open_kib / columns.opened
    yield paced.boards[0].last_p99 * 1e3


def table(it: Comparison) -> str:
    lines = [["", *it.columns.heads]]
    lines += [
        [name, *("" if cell is None else number(cell) for cell in cells)] for name, cells in it.rows.items()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join((first.ljust(widths[0]), *map(str.rjust, rest, widths[1:]))).rstrip()
        for first, *rest in lines
    )
