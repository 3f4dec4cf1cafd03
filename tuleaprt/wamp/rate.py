"""How fast one session may ask: first it is delayed, then refused, then it is ended.

A bucket of tokens, two seconds' worth at most; a message takes one, and more if it is long or was much work.
Who finds it empty waits in a queue, which drains at the rate; meanwhile his connection is not read, so the
queue holds what was on its way. When the queue is full, further messages are refused, and who goes on
nevertheless is ended.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

BURST_SECONDS = 2
QUEUE_SECONDS = 4
PATIENCE_SECONDS = 2
"""How many seconds' worth of messages may come at once, may wait, and are refused before the end."""


class Verdict(Enum):
    NOW = "serve it"
    LATER = "it waits"
    REFUSED = "too many are waiting"
    ENOUGH = "too many were refused"


class Bucket:
    """Holds ``most`` tokens and gets ``per_second``. It may be in debt. Times are in seconds."""

    __slots__ = ("_at", "_most", "_per_second", "_tokens")

    def __init__(self, per_second: float, most: float, now: float) -> None:
        self._per_second = per_second
        self._most = most
        self._tokens = most
        self._at = now

    def take(self, now: float, cost: float = 1) -> bool:
        """Take so many tokens, if there is one at all."""
        # A clock that was set back keeps nobody waiting for the old time.
        self._at = min(self._at, now)
        # The very number that others are told: however it is rounded, whoever comes then has his turn.
        if now < self.ready_at():
            return False
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second) - cost
        self._at = now
        return True

    def charge(self, cost: float) -> None:
        """Take so many tokens afterwards."""
        self._tokens -= cost

    def save_up(self, most: float) -> None:
        """Have no more than this."""
        self._tokens = min(self._tokens, most)

    def ready_at(self) -> float:
        """When there is a token."""
        return self._at + max(0.0, 1 - self._tokens) / self._per_second


class RateLimit:
    """How the messages of one session are served; ``per_second`` is the rate."""

    __slots__ = ("_bucket", "_per_second", "_refused", "_waiting")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._bucket = Bucket(per_second, BURST_SECONDS * per_second, now)
        self._waiting: list[tuple[Any, float]] = []
        self._refused = 0

    def admit(self, message: Any, now: float, cost: float = 1) -> Verdict:
        """Say what is to be done with a message; the one that is to wait is kept."""
        if not self._waiting and self._bucket.take(now, cost):
            return Verdict.NOW
        if len(self._waiting) < QUEUE_SECONDS * self._per_second:
            self._waiting.append((message, cost))
            return Verdict.LATER
        self._refused += 1
        if self._refused <= PATIENCE_SECONDS * self._per_second:
            return Verdict.REFUSED
        return Verdict.ENOUGH

    def due(self, now: float) -> Iterator[Any]:
        """The first of those that wait, if its turn has come.

        One at a time: were all served that became due while the server was busy, it would be busy again.
        """
        if self._waiting and self._bucket.take(now, self._waiting[0][1]):
            self._bucket.save_up(0)
            message, _ = self._waiting.pop(0)
            if not self._waiting:
                self._refused = 0
            yield message

    def charge(self, cost: float) -> None:
        """What was just served was more work than one message's."""
        self._bucket.charge(cost)

    def next_at(self) -> float | None:
        """When the first of those that wait is due; None: nobody waits."""
        return self._bucket.ready_at() if self._waiting else None

    def clear(self) -> None:
        """Nothing that waits will be served."""
        self._waiting.clear()
