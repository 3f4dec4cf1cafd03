"""Measures cost and latency over subscribers, boards, the length of events and the sets of groups."""

import resource
import sys
from collections.abc import Iterator
from typing import NamedTuple

from figures import POSTS_PER_SECOND
from load import Bench, Plan
from plans import PACE_LENGTH, crowd, crowd_in_groups, crowd_on_boards
from router import FRAME_BYTES, Failed

SUBSCRIBERS = (10, 100, 1000, 5000, 10_000)
BOARDS = (1, 10, 100, 1000)
EVENT_BYTES = (FRAME_BYTES, 2048, 16_384, 131_072)
GROUP_SETS = (1, 10, 100, 1000)
SPARE_FILES = 200
"""The most files that the server and the load have open beside their connections."""
BEARABLE = 0.5
"""Latencies are measured at the rate that needs this share of a core."""


class Point(NamedTuple):
    """CPU in µs per delivery or post; ``yard`` is that of send() in C.

    Latencies are in ms, at ``pace`` posts/s. ``others`` is the largest share of a core that other
    processes used.
    """

    at: int
    cpu: float
    yard: float | None = None
    pace: int | None = None
    p99: float | None = None
    last_p99: float | None = None
    others: float = 0


class Series(NamedTuple):
    """What grows, the unit of ``cpu``, and the points."""

    name: str
    what: str
    cost: str
    points: list[Point]


def grow(bench: Bench, seconds: float, *, is_peer: bool) -> Iterator[Series]:
    """
    Raises:
        Failed: the limit of open files is too low for the smallest crowd.
    """
    per_delivery, per_post = "CPU per delivery", "CPU per post"
    points = [_of_crowd(bench, it, seconds) for it in that_fit(SUBSCRIBERS)]
    yield Series("subscribers", "Subscribers on one board", per_delivery, points)
    points = [_of_boards(bench, it, seconds) for it in BOARDS]
    yield Series("boards", "Boards with 5 subscribers each", per_post, points)
    points = [_of_bytes(bench, it, seconds) for it in EVENT_BYTES]
    yield Series("bytes", "Bytes of an event, to 1,000 subscribers", per_delivery, points)
    if not is_peer:
        points = [_of_groups(bench, it, seconds) for it in GROUP_SETS]
        yield Series("groups", "Sets of groups among 1,000 subscribers", per_delivery, points)


def that_fit(counts: tuple[int, ...]) -> list[int]:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    fit = [it for it in counts if files == resource.RLIM_INFINITY or it + SPARE_FILES <= files]
    if not fit:
        raise Failed(f"the limit of open files is too low: {files}")
    return fit


def _of_crowd(bench: Bench, count: int, seconds: float) -> Point:
    _tell(f"{count:,} subscribers")
    plan = Plan(browsers=crowd(count), seconds=seconds)
    yard, ours = bench.yard(plan), bench.server(plan)
    pace = sustainable(count, ours.delivery_us)
    paced = bench.server(Plan(browsers=plan.browsers, rate=pace, seconds=PACE_LENGTH * seconds))
    (latency,) = paced.boards
    others = max(it.others for it in (yard, ours, paced))
    p99, last_p99 = latency.p99 * 1e3, latency.last_p99 * 1e3
    return Point(count, ours.delivery_us, yard.delivery_us, pace, p99, last_p99, others)


def sustainable(count: int, delivery_us: float) -> int:
    """The posts a second to this many subscribers that leave the server time to spare."""
    return max(1, min(POSTS_PER_SECOND, int(BEARABLE / (count * delivery_us * 1e-6))))


def _of_boards(bench: Bench, boards: int, seconds: float) -> Point:
    _tell(f"{boards:,} boards")
    browsers, posters = crowd_on_boards(boards), min(8, boards)
    plan = Plan(browsers=browsers, boards=boards, posters=posters, seconds=seconds)
    ours, yard = bench.server(plan), bench.yard(plan)
    return Point(boards, ours.post_us, yard.post_us, others=max(ours.others, yard.others))


def _of_bytes(bench: Bench, size: int, seconds: float) -> Point:
    _tell(f"{size:,} bytes")
    plan = Plan(browsers=crowd(1000), event_bytes=size, seconds=seconds)
    ours, yard = bench.server(plan), bench.yard(plan)
    return Point(size, ours.delivery_us, yard.delivery_us, others=max(ours.others, yard.others))


def _of_groups(bench: Bench, sets: int, seconds: float) -> Point:
    _tell(f"{sets:,} sets of groups")
    ours = bench.server(Plan(browsers=crowd_in_groups(1000, sets), seconds=seconds))
    return Point(sets, ours.delivery_us, others=ours.others)


def _tell(what: str) -> None:
    print(f"  {what} …", file=sys.stderr)
