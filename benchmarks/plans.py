"""The loads of a pass, and their order."""

import sys
from collections.abc import Iterable
from itertools import cycle, islice

from figures import PACES, POLLERS, POSTERS, POSTS_PER_SECOND, Results
from load import Bench, Plan, Result
from router import CBOR, GROUPS, JSON, MSGPACK, POLLING, SOCKETIO, Browser

PACE_LENGTH = 2.5
"""How much longer a load with a fixed rate takes: a p99 needs many posts."""

LARGEST = "10000"
"""It is left out where the limit of open files is too low for it."""

# Loads that are compared stand next to each other, because the speed of a machine changes within minutes.
ORDER = (
    *("yard 1000", "1000", "pages 1000", "tls", "serializers", "groups", "pages 1000", "1000", "yard 1000"),
    *("yard 5000", "pages 5000", "5000", "pages 5000", "yard 5000", "boards", "yard boards"),
    *(f"yard {LARGEST}", LARGEST, f"yard {LARGEST}"),
    *(
        "nobody journal",
        "nobody",
        "yard nobody",
        "pace",
        "pages pace",
        "pages pace 5000",
        "pollers",
        "pollers pace",
    ),
)
OURS = ("tls", "groups", "nobody journal", "pages 1000", "pages 5000", "pollers", *PACES)
"""Loads that peers do not have: other groups, endpoints by their own file, and pages of Tuleap."""


def crowd(count: int, protocol: str = JSON) -> list[Browser]:
    return [Browser(protocol=protocol)] * count


def crowd_in_groups(count: int, sets: int) -> list[Browser]:
    return [Browser(groups=(*GROUPS, f"@gpig_{it % sets}")) for it in range(count)]


def crowd_on_boards(boards: int) -> list[Browser]:
    """Five browsers on each board."""
    return [Browser(board=it % boards) for it in range(5 * boards)]


def plans(seconds: float) -> dict[str, Plan]:
    protocols = islice(cycle((JSON, MSGPACK, JSON, CBOR)), 1000)
    return {
        "1000": Plan(browsers=crowd(1000), seconds=seconds),
        "tls": Plan(browsers=crowd(1000), tls=True, seconds=seconds),
        "serializers": Plan(browsers=[Browser(protocol=it) for it in protocols], seconds=seconds),
        "groups": Plan(browsers=crowd_in_groups(1000, 1000), seconds=seconds),
        "5000": Plan(browsers=crowd(5000), seconds=seconds),
        LARGEST: Plan(browsers=crowd(int(LARGEST)), seconds=seconds),
        "boards": Plan(browsers=crowd_on_boards(1000), boards=1000, posters=8, seconds=seconds),
        "nobody": Plan(browsers=[], boards=8, posters=POSTERS, seconds=seconds),
        "nobody journal": Plan(browsers=[], boards=8, posters=POSTERS, journal=True, seconds=seconds),
        "pace": Plan(
            browsers=[*crowd(1000), *[Browser(board=1)] * 5],
            boards=2,
            posters=2,
            rate=POSTS_PER_SECOND,
            seconds=PACE_LENGTH * seconds,
        ),
        **_of_pages(seconds),
    }


def _of_pages(seconds: float) -> dict[str, Plan]:
    crowds = {
        "pages 1000": crowd(1000, SOCKETIO),
        "pages 5000": crowd(5000, SOCKETIO),
        "pollers": crowd(POLLERS, POLLING),
    }
    found = {step: Plan(browsers=it, seconds=seconds) for step, it in crowds.items()}
    for step, paced in zip(PACES, crowds.values(), strict=True):
        found[step] = Plan(browsers=paced, rate=PACES[step], seconds=PACE_LENGTH * seconds)
    return found


def run(bench: Bench, seconds: float, order: Iterable[str] = ORDER) -> Results:
    found: dict[str, list[Result]] = {}
    known = plans(seconds)
    for step in order:
        print(f"  {step} …", file=sys.stderr)
        plan = known[step.removeprefix("yard ")]
        result = bench.yard(plan) if step.startswith("yard ") else bench.server(plan)
        found.setdefault(step, []).append(result)
    return found
