"""The journal: all inputs in one order, each passed to the function that applies it.

It carries inputs and not events. Events are computed from the records, so every node that reads the same
records in the same order comes to the same result.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Input = TypeVar("Input")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Generic[Input]):
    """One input. ``position`` counts from 1, ``at`` is the time of the node that appended it (seconds since
    the epoch).
    """

    position: int
    at: float
    input: Input


Apply = Callable[[Record[Input]], None]


class Journal(Protocol[Input]):
    """Keeps inputs in one order. ``epoch`` is a secret that is new whenever positions begin again at 1."""

    @property
    def epoch(self) -> bytes: ...

    @property
    def outlives_the_process(self) -> bool:
        """Whether a later process, or another one, reads the records."""

    def follow(self, apply: Apply[Input]) -> None:
        """Pass every later record to ``apply``, in order, one at a time."""

    async def append(self, input: Input, *, at: float) -> int:
        """Append a valid input and return its position. An append from inside ``apply`` is queued; ``apply``
        never raises.

        Raises:
            JournalUnavailable: the input was not appended.
        """
        ...


class MemoryJournal(Generic[Input]):
    """The journal of a single node. It drops each record when it has been applied."""

    outlives_the_process = False

    def __init__(self, epoch: bytes) -> None:
        self.epoch = epoch
        self._position = 0
        self._apply: Apply[Input] | None = None
        self._waiting: deque[Record[Input]] = deque()
        self._applying = False

    def follow(self, apply: Apply[Input]) -> None:
        self._apply = apply

    async def append(self, input: Input, *, at: float) -> int:
        self._position += 1
        position = self._position
        self._waiting.append(Record(position=position, at=at, input=input))
        if not self._applying:
            self._drain()
        return position

    def _drain(self) -> None:
        assert self._apply is not None, "nothing follows this journal"
        self._applying = True
        try:
            while self._waiting:
                self._apply(self._waiting.popleft())
        finally:
            self._applying = False
