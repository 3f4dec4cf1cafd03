"""How fast one session may ask: first it is delayed, then refused, then it is ended.

A bucket of tokens, two seconds' worth at most, one for each message. Who finds it empty waits in a queue,
which drains at the rate; meanwhile his connection is not read, so the queue holds what was on its way. When
the queue is full, further messages are refused, and who goes on nevertheless is ended.
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


class RateLimit:
    """``per_second`` is the rate; times are in seconds."""

    __slots__ = ("_at", "_per_second", "_refused", "_tokens", "_waiting")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._tokens = BURST_SECONDS * per_second
        self._at = now
        self._waiting: list[Any] = []
        self._refused = 0

    def admit(self, message: Any, now: float) -> Verdict:
        """Say what is to be done with a message; the one that is to wait is kept."""
        if not self._waiting and self._take(now):
            return Verdict.NOW
        if len(self._waiting) < QUEUE_SECONDS * self._per_second:
            self._waiting.append(message)
            return Verdict.LATER
        self._refused += 1
        if self._refused <= PATIENCE_SECONDS * self._per_second:
            return Verdict.REFUSED
        return Verdict.ENOUGH

    def due(self, now: float) -> Iterator[Any]:
        """The waiting messages whose turn has come."""
        while self._waiting and self._take(now):
            yield self._waiting.pop(0)
        if not self._waiting:
            self._refused = 0

    def next_at(self) -> float | None:
        """When the first of those that wait is due; None: nobody waits."""
        return self._ready_at() if self._waiting else None

    def clear(self) -> None:
        """Nothing that waits will be served."""
        self._waiting.clear()

    def _ready_at(self) -> float:
        """When there is a token."""
        return self._at + max(0.0, 1 - self._tokens) / self._per_second

    def _take(self, now: float) -> bool:
        # A clock that was set back keeps nobody waiting for the old time.
        self._at = min(self._at, now)
        # The very number that next_at gives: however it is rounded, whoever is woken then has his turn.
        if now < self._ready_at():
            return False
        most = BURST_SECONDS * self._per_second
        self._tokens = min(most, self._tokens + (now - self._at) * self._per_second) - 1
        self._at = now
        return True
