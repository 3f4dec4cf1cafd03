"""The rate limit of one session: its messages are first delayed, then refused, and then the session is ended.

A token bucket holds two seconds' worth of tokens. A message takes one, or more if it is long or costly. When
the bucket is empty, messages wait in a queue, which is served at the rate. The connection is not read
meanwhile, so the queue holds only what was read before. When the queue is full, further messages are refused,
and a client that continues to send is disconnected.

Queued messages are served one at a time and the bucket does not fill up meanwhile. If all messages that
became due while the server was busy were served at once, the server would be busy again.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

BURST_SECONDS = 2
QUEUE_SECONDS = 4
PATIENCE_SECONDS = 2
"""How many seconds' worth of messages are served at once, are queued, and are refused."""


class Verdict(Enum):
    NOW = "serve it"
    LATER = "it waits"
    REFUSED = "too many are waiting"
    ENOUGH = "too many were refused"


class Bucket:
    """A token bucket with ``most`` tokens that refills with ``per_second``. It may be in debt. Times are in
    seconds.
    """

    __slots__ = ("_at", "_most", "_per_second", "_tokens")

    def __init__(self, per_second: float, most: float, now: float) -> None:
        self._per_second = per_second
        self._most = most
        self._tokens = most
        self._at = now

    def take(self, now: float, cost: float = 1) -> bool:
        """Take ``cost`` tokens if there is at least one."""
        # When the clock was set back, no client waits for the former time.
        self._at = min(self._at, now)
        # The comparison uses the number that callers are told, so that rounding cannot make a punctual caller
        # too early.
        if now < self.ready_at():
            return False
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second) - cost
        self._at = now
        return True

    def charge(self, cost: float) -> None:
        """Take further tokens for work that is done."""
        self._tokens -= cost

    def save_up(self, most: float) -> None:
        """Limit the tokens to this number."""
        self._tokens = min(self._tokens, most)

    def ready_at(self) -> float:
        """The time at which there is a token."""
        return self._at + max(0.0, 1 - self._tokens) / self._per_second


class RateLimit:
    """Decides what happens to the messages of one session; ``per_second`` is the rate."""

    __slots__ = ("_bucket", "_per_second", "_refused", "_waiting")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._bucket = Bucket(per_second, BURST_SECONDS * per_second, now)
        self._waiting: list[tuple[Any, float]] = []
        self._refused = 0

    def admit(self, message: Any, now: float, cost: float = 1) -> Verdict:
        """Decide about a message, and queue it if it has to wait."""
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
        """The first queued message, if it is due."""
        if self._waiting and self._bucket.take(now, self._waiting[0][1]):
            self._bucket.save_up(0)
            message, _ = self._waiting.pop(0)
            if not self._waiting:
                self._refused = 0
            yield message

    def charge(self, cost: float) -> None:
        """Count ``cost`` further messages for the message that was just served."""
        self._bucket.charge(cost)

    def next_at(self) -> float | None:
        """The time at which the first queued message is due; None: the queue is empty."""
        return self._bucket.ready_at() if self._waiting else None

    def clear(self) -> None:
        """Drop the queued messages."""
        self._waiting.clear()
