"""How often a line of one kind may be written, so that who floods the server does not flood its log.

Each address has its own allowance for each kind, so that no address silences the lines about the others.
Bounded, whatever comes: beyond ``KINDS_OF_ONE`` kinds of one address its new ones share one allowance, and
beyond ``KINDS`` of all together those of all addresses share one. Times are in seconds.
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

PER_MINUTE = 10
KINDS = 200
KINDS_OF_ONE = 20
OTHERS = "others"


@dataclass(slots=True)
class _Count:
    since: float
    seen: int
    last: Any


class Repetition:
    """``PER_MINUTE`` of each kind and address pass within a minute of the first; the rest are counted."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Hashable], _Count] = {}
        self._kinds: Counter[str] = Counter()
        """How many kinds each address has."""

    def passes(self, kind: Hashable, line: Any, now: float, address: str = "") -> bool:
        """Whether this line is written. Ask for what is ``over`` first."""
        key = (address, kind)
        if key not in self._counts and self._kinds[address] >= KINDS_OF_ONE:
            key = (address, OTHERS)
        if key not in self._counts and len(self._counts) >= KINDS:
            key = ("", OTHERS)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(now, 0, line)
            self._kinds[key[0]] += 1
        count.seen += 1
        count.last = line
        return count.seen <= PER_MINUTE

    def over(self, now: float) -> Iterator[tuple[Any, int]]:
        """Forget the kinds whose minute is over; of each that had more, its last line and how many more."""
        for key, count in list(self._counts.items()):
            # The clock may have been put back.
            if not 0 <= now - count.since < 60:
                del self._counts[key]
                self._kinds[key[0]] -= 1
                if not self._kinds[key[0]]:
                    del self._kinds[key[0]]
                if count.seen > PER_MINUTE:
                    yield count.last, count.seen - PER_MINUTE
