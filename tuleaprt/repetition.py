"""How often a line of one kind may be written, so that who floods the server does not flood its log.

Bounded, whatever comes: beyond ``KINDS`` kinds at a time, new ones share one allowance. Times are in seconds.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

PER_MINUTE = 10
KINDS = 200
OTHERS = "others"


@dataclass(slots=True)
class _Count:
    since: float
    seen: int
    last: Any


class Repetition:
    """``PER_MINUTE`` of each kind pass within a minute of the first; the rest are counted."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, _Count] = {}

    def passes(self, kind: Hashable, line: Any, now: float) -> bool:
        """Whether this line is written. Ask for what is ``over`` first."""
        count = self._counts.get(kind)
        if count is None:
            if len(self._counts) >= KINDS:
                kind = OTHERS
            count = self._counts.setdefault(kind, _Count(now, 0, line))
        count.seen += 1
        count.last = line
        return count.seen <= PER_MINUTE

    def over(self, now: float) -> Iterator[tuple[Any, int]]:
        """Forget the kinds whose minute is over; of each that had more, its last line and how many more."""
        for kind, count in list(self._counts.items()):
            # The clock may have been put back.
            if not 0 <= now - count.since < 60:
                del self._counts[kind]
                if count.seen > PER_MINUTE:
                    yield count.last, count.seen - PER_MINUTE
