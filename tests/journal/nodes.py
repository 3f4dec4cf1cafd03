"""Journals of nodes on a real Redis, in the process of the tests."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.end_to_end.processes import patiently
from tuleaprt.errors import CorruptRecord
from tuleaprt.journal.address import parse
from tuleaprt.journal.journal import Record
from tuleaprt.journal.redis import RedisJournal


class Node:
    """``applied`` are all records, of before and after the start. ``lost`` fires if the node cannot go on."""

    def __init__(self, url: str, name: str = "a", *, password: bytes = b"", **options: Any) -> None:
        self.journal: RedisJournal[str] = RedisJournal(
            parse(url),
            password=password,
            realm="tuleap",
            node=name,
            encode=str.encode,
            decode=_decode,
            reactor=reactor,
            **{"patience": 3, "replicas": 0} | options,
        )
        self.applied: list[Record[str]] = []
        self.lost: Deferred[str] = Deferred()
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self.journal.follow(self._apply)

    async def start(self) -> "Node":
        await self.read()
        self.journal.start(self.lost.callback)
        return self

    async def read(self) -> "Node":
        """As a start does, before it follows the journal."""
        await self.journal.open()
        async for batch in self.journal.batches(self.journal.snapshot().position):
            self.applied += batch
        return self

    async def append(self, *inputs: str) -> list[int]:
        return [await self.journal.append(it, at=0.0) for it in inputs]

    async def has(self, count: int) -> list[str]:
        """The inputs, as soon as this many have been applied."""
        if len(self.applied) < count:
            enough: Deferred[None] = Deferred()
            self._waiting.append((count, enough))
            await patiently(enough, f"{count} records, of which there are {len(self.applied)}")
        return self.inputs

    @property
    def inputs(self) -> list[str]:
        return [it.input for it in self.applied]

    def _apply(self, record: Record[str]) -> None:
        self.applied.append(record)
        for waiting in list(self._waiting):
            if len(self.applied) >= waiting[0]:
                self._waiting.remove(waiting)
                waiting[1].callback(None)


def _decode(body: bytes) -> str | None:
    if body == b"damaged":
        raise CorruptRecord("the record is damaged")
    return None if body == b"newer" else body.decode()
