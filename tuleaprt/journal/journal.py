"""The journal: all inputs in one order, each passed to the function that applies it.

It carries inputs and not events. Events are computed from the records, so every node that reads the same
records in the same order comes to the same result.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

Input = TypeVar("Input")


class Record(msgspec.Struct, Generic[Input], frozen=True, kw_only=True):
    """One input. ``position`` grows from record to record. ``at`` is its time by the journal (seconds since
    the epoch).
    """

    position: int
    at: float
    input: Input


class Snapshot(NamedTuple):
    """What a start begins with: the state as of the record at ``position``. None: the records from the first
    one are there. ``is_followed``: no record after it was lost.
    """

    position: int = 0
    body: bytes | None = None
    is_followed: bool = True


Apply = Callable[[Record[Input]], None]


class Journal(Protocol[Input]):
    """Keeps inputs in one order. ``epoch`` is a secret that is new whenever positions begin again, or may
    occur a second time.
    """

    @property
    def epoch(self) -> bytes: ...

    @property
    def outlives_the_process(self) -> bool:
        """Whether a later process, or another one, reads the records."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes follow the same journal at the same time."""

    def follow(self, apply: Apply[Input]) -> None:
        """Pass every later record to ``apply``, in order, one at a time."""

    async def append(self, input: Input, *, at: float) -> int:
        """Append a valid input and return its position. An append from inside ``apply`` is queued; ``apply``
        never raises.

        Raises:
            JournalUnavailable: the input was not appended.
        """
        ...


class DurableJournal(Journal[Input], Protocol[Input]):
    """A journal whose records outlive the process: opened, read, followed and closed, in this order."""

    on_written: Callable[[float], object]
    """Called for each record of this node when it is applied, with the seconds since it was appended."""

    @property
    def name(self) -> str:
        """The file or the address, for the log."""

    @property
    def position(self) -> int:
        """The position of the newest record that has been applied."""

    @property
    def skipped(self) -> int:
        """How many records this version does not know."""

    @property
    def is_up(self) -> bool:
        """Whether the journal takes records."""

    @property
    def lag(self) -> float:
        """How far this node is behind the journal, in seconds."""

    def problem(self) -> str | None:
        """Why the journal takes no records, in words; None: it takes them."""

    async def open(self) -> None:
        """
        Raises:
            ConfigError: the journal cannot be used.
        """

    async def check(self) -> None:
        """Check whether the journal can be used, without changing it. It must not be open.

        Raises:
            ConfigError: it cannot.
        """

    def snapshot(self) -> Snapshot:
        """The snapshot to begin with."""
        ...

    def batches(self, after: int) -> AsyncIterator[Sequence[Record[Input]]]:
        """The records after this position, in order.

        Raises:
            ConfigError, CorruptRecord: they cannot be read.
        """

    def start(self, on_lost: Callable[[str], object]) -> None:
        """Pass every later record to ``apply``. If records may be missing, call ``on_lost`` with the reason:
        this process cannot go on.
        """

    async def save(self, make: Callable[[], bytes], interval: float) -> bool:
        """Keep a snapshot of the state now, unless there is one that is younger than the interval (seconds),
        and drop what the last two do not need. Returns whether it was kept.

        Raises:
            TuleaprtError: the journal does not take it.
        """
        ...

    async def close(self) -> None:
        """Write what waits. Nothing may be appended afterwards."""


class MemoryJournal(Generic[Input]):
    """The journal of a single node. It drops each record when it has been applied."""

    outlives_the_process = False
    is_shared = False

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
