"""Prints the tables of docs/performance.rst from the JSON of ``make bench``."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from figures import Figure, number
from growth import Point, Series
from router import FRAME_BYTES, ROOT

RESULT = ROOT / "benchmarks/result.json"
FIRST_WIDTH, COMPARED_WIDTH, ALL_WIDTHS = 46, 23, 100
TEXT_WIDTH = 118


def list_table(head: Sequence[str], rows: Iterable[Sequence[str]], first_width: int = FIRST_WIDTH) -> str:
    rest = (ALL_WIDTHS - first_width) // (len(head) - 1)
    widths = " ".join(map(str, (first_width, *[rest] * (len(head) - 1))))
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if not at else ' '} - {cell}".rstrip() for at, cell in enumerate(row)]
    return "\n".join(lines)


def row(it: Figure) -> Sequence[str]:
    yard = "" if it.yard is None else f"{number(it.yard)} {it.unit}"
    # A line that begins with spaces continues the one before.
    what = f"… {it.what.strip()}" if it.what.startswith(" ") else it.what
    goal = f"{it.mark} {it.goal} {it.unit}".strip() if it.goal else ""
    return what, f"{number(it.value)} {it.unit}".strip(), goal, yard


def growth_table(series: Series) -> str:
    head = [series.what, series.cost]
    first = series.points[0]
    if first.yard is not None:
        head += ["in C", "ratio"]
    if first.pace is not None:
        head += ["posts/s", "p99 to each", "p99 to the last"]
    return list_table(head, map(_point_row, series.points), 28)


def _point_row(it: Point) -> Sequence[str]:
    cells = [f"{it.at:,}", f"{number(it.cpu)} µs"]
    if it.yard is not None:
        cells += [f"{number(it.yard)} µs", number(it.cpu / it.yard)]
    if it.pace is not None and it.p99 is not None and it.last_p99 is not None:
        cells += [str(it.pace), f"{number(it.p99)} ms", f"{number(it.last_p99)} ms"]
    return cells


def section(document: dict[str, Any]) -> Iterator[str]:
    """Paragraphs."""
    passes = len(document["passes"])
    how = "One pass" if passes == 1 else f"Medians of {passes} passes"
    machine = ", ".join(f"{name} {it}" for name, it in document["machine"].items())
    router = f" of {document['peer']}" if document["peer"] else ""
    yield "Figures\n-------"
    seconds = f"{document['seconds']:g} s for each load"
    conditions = f"{how}{router}, {seconds}, events of {FRAME_BYTES} bytes. {machine}."
    yield "\n".join(wrap(conditions, TEXT_WIDTH, break_on_hyphens=False))
    if document["notes"]:
        yield "\n".join(f"* {it}" for it in document["notes"])
    figures = [Figure(**it) for it in document["figures"]]
    yield list_table(("What", "Measured", "Goal", "``send()`` in C"), map(row, figures))
    if document["comparison"]:
        yield from _comparison(document["comparison"])
    if document["growth"]:
        yield "How it grows\n------------"
        for it in document["growth"]:
            points = [Point(**point) for point in it["points"]]
            yield growth_table(Series(**(it | {"points": points})))


def _comparison(found: dict[str, Any]) -> Iterator[str]:
    yield "Beside other servers\n--------------------"
    yield "\n".join(wrap(found["legend"], TEXT_WIDTH, break_on_hyphens=False))
    cells = [[name, *("" if it is None else number(it) for it in row)] for name, row in found["rows"].items()]
    yield list_table(("", *found["columns"]), cells, COMPARED_WIDTH)
    if found["notes"]:
        yield "\n".join(f"* {it}" for it in found["notes"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, nargs="?", default=RESULT, help="what --json has written")
    try:
        document = json.loads(parser.parse_args().result.read_text())
    except OSError as error:
        print("rst:", error, file=sys.stderr)
        return 1
    print("\n\n".join(section(document)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
