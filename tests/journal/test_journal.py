"""The memory journal."""

from collections.abc import Coroutine
from typing import Any

import pytest

from tuleaprt.journal.journal import MemoryJournal, Record


def now(coroutine: Coroutine[Any, Any, int]) -> int:
    """The result of a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    return int(stop.value.value)


def test_records_are_handed_back_in_order_with_position_and_time() -> None:
    journal, records = MemoryJournal[str](b"epoch"), list[Record[str]]()
    journal.follow(records.append)
    assert [now(journal.append(it, at=at)) for it, at in (("a", 1.5), ("b", 2.5))] == [1, 2]
    assert records == [
        Record(position=1, at=1.5, input="a"),
        Record(position=2, at=2.5, input="b"),
    ]


def test_an_append_from_inside_apply_queues() -> None:
    journal, seen = MemoryJournal[str](b"epoch"), list[str]()

    def apply(record: Record[str]) -> None:
        seen.append(f"{record.input} begins")
        if record.input == "outer":
            assert now(journal.append("inner", at=2)) == 2
        seen.append(f"{record.input} ends")

    journal.follow(apply)
    now(journal.append("outer", at=1))
    assert seen == ["outer begins", "outer ends", "inner begins", "inner ends"]


def test_a_follower_that_fails_does_not_stop_the_journal() -> None:
    journal, seen = MemoryJournal[int](b"epoch"), list[int]()

    def apply(record: Record[int]) -> None:
        seen.append(10 // record.input)

    journal.follow(apply)
    with pytest.raises(ZeroDivisionError):
        now(journal.append(0, at=1))
    now(journal.append(5, at=1))
    assert seen == [2]


def test_a_journal_that_nobody_follows_takes_nothing() -> None:
    with pytest.raises(AssertionError):
        now(MemoryJournal[int](b"epoch").append(1, at=1))
