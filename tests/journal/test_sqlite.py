"""The journal in SQLite: order, durability, snapshots, and what it does with a bad disk or file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from tests.conftest import Log
from tuleaprt.errors import ConfigError, JournalUnavailable
from tuleaprt.journal import sqlite
from tuleaprt.journal.journal import Record, Snapshot
from tuleaprt.journal.sqlite import SqliteJournal, file_system


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What the coroutine returns, without a reactor."""
    results: list[Any] = []
    ensureDeferred(coroutine).addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return result


def read(journal: SqliteJournal[str], after: int) -> list[Record[str]]:
    async def whole() -> list[Record[str]]:
        return [it async for batch in journal.batches(after) for it in batch]

    found: list[Record[str]] = at_once(whole())
    return found


class Reactor:
    """Calls what the other thread asks for, when the test waits for it."""

    def __init__(self, path: Path, decode: Any = bytes.decode) -> None:
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self.journal: SqliteJournal[str] = SqliteJournal(
            path, encode=str.encode, decode=decode, in_reactor=self._calls.put
        )
        self.applied: list[Record[str]] = []
        self.journal.follow(self.applied.append)
        at_once(self.journal.open())

    def append(self, input: str, at: float = 1.0) -> Deferred[Any]:
        return ensureDeferred(self.journal.append(input, at=at))

    def wait(self, *awaited: Deferred[Any]) -> list[Any]:
        results: list[Any] = []
        for it in awaited:
            it.addBoth(results.append)
        while len(results) < len(awaited):
            self._calls.get(timeout=30)()
        return results

    def close(self) -> None:
        self.wait(ensureDeferred(self.journal.close()))

    def read(self, after: int = 0) -> list[tuple[int, float, str]]:
        return [(it.position, it.at, it.input) for it in read(self.journal, after)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def reactor(path: Path) -> Iterator[Reactor]:
    reactor = Reactor(path)
    yield reactor
    reactor.close()


def test_records_are_applied_in_order_when_they_are_on_the_disk(path: Path, reactor: Reactor) -> None:
    appends = [reactor.append(str(number), at=number) for number in range(1, 51)]
    assert reactor.applied == []
    assert reactor.wait(*appends) == list(range(1, 51))
    assert [(it.position, it.at, it.input) for it in reactor.applied] == [
        (n, n, str(n)) for n in range(1, 51)
    ]
    assert reactor.journal.position == 50


def test_an_append_from_inside_apply_comes_after_what_is_written(reactor: Reactor) -> None:
    later: list[Deferred[Any]] = []

    def apply(record: Record[str]) -> None:
        reactor.applied.append(record)
        if record.input == "first":
            later.append(reactor.append("from inside"))

    reactor.journal.follow(apply)
    reactor.wait(reactor.append("first"), reactor.append("second"))
    assert reactor.wait(*later) == [3]
    assert [it.input for it in reactor.applied] == ["first", "second", "from inside"]


def test_a_later_process_reads_the_records_and_goes_on(path: Path) -> None:
    first = Reactor(path)
    first.wait(first.append("a", 10.5), first.append("b", 11))
    first.close()
    second = Reactor(path)
    assert second.journal.epoch == first.journal.epoch
    assert second.journal.position == 2
    assert second.read() == [(1, 10.5, "a"), (2, 11.0, "b")]
    assert second.wait(second.append("c", 12)) == [3]
    second.close()


def test_time_never_goes_back_even_over_a_restart(path: Path) -> None:
    first = Reactor(path)
    first.wait(first.append("a", 10), first.append("b", 5))
    first.close()
    second = Reactor(path)
    second.wait(second.append("c", 7))
    assert [it.at for it in second.applied] == [10]
    second.close()
    third = Reactor(path)
    assert [at for _, at, _ in third.read()] == [10, 10, 10]
    third.close()


def test_two_snapshots_are_kept_and_the_records_after_the_older_one(path: Path) -> None:
    first = Reactor(path)
    assert first.journal.snapshot() == Snapshot()
    for number in range(1, 4):
        first.wait(first.append(f"{number}a"), first.append(f"{number}b"))
        at_once(first.journal.save(partial(bytes, f"state {number}", "ascii"), 1))
    first.close()
    second = Reactor(path)
    assert second.journal.snapshot() == Snapshot(4, b"state 2")
    assert second.read(4) == second.read() == [(5, 1.0, "3a"), (6, 1.0, "3b")]
    second.close()


def test_with_one_snapshot_all_records_are_still_there(path: Path) -> None:
    first = Reactor(path)
    first.wait(first.append("a"))
    at_once(first.journal.save(lambda: b"state", 1))
    first.close()
    second = Reactor(path)
    assert second.journal.snapshot() == Snapshot()
    assert second.read() == [(1, 1.0, "a")]
    second.close()


def test_positions_go_on_though_all_records_are_in_the_snapshots(path: Path) -> None:
    first = Reactor(path)
    first.wait(first.append("a"))
    at_once(first.journal.save(lambda: b"one", 1))
    first.wait(first.append("b"))
    at_once(first.journal.save(lambda: b"two", 1))
    at_once(first.journal.save(lambda: b"two again", 1))
    first.close()
    second = Reactor(path)
    assert second.journal.position == 2
    assert second.wait(second.append("c")) == [3]
    second.close()


def test_the_file_is_for_its_user_alone(path: Path, reactor: Reactor) -> None:
    reactor.wait(reactor.append("a"))
    for it in path.parent.iterdir():
        assert it.stat().st_mode & 0o777 == 0o600


def test_what_was_committed_survives_a_kill(path: Path) -> None:
    code = f"""
import os, queue, sys
from pathlib import Path
from twisted.internet.defer import ensureDeferred
from tuleaprt.journal.sqlite import SqliteJournal
calls = queue.SimpleQueue()
journal = SqliteJournal(Path({str(path)!r}), encode=str.encode, decode=bytes.decode, in_reactor=calls.put)
journal.follow(lambda record: print(record.position, flush=True))
ensureDeferred(journal.open())
for number in range(500):
    ensureDeferred(journal.append(str(number), at=1.0))
while True:
    calls.get()()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answered = [int(process.stdout.readline()) for _ in range(100)]
        process.kill()
        answered += [int(line) for line in process.stdout.read().splitlines()]
    after = Reactor(path)
    assert [position for position, _, _ in after.read()][: len(answered)] == answered
    after.close()


# A bad disk, and bad files.


def test_a_disk_that_is_full_refuses_and_takes_again_later(
    reactor: Reactor, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = reactor.journal._database
    reactor.wait(reactor.append("before"))
    # As a full disk: the file may not become longer than it is.
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    results = reactor.wait(reactor.append("x" * 100_000), reactor.append("y" * 100_000))
    assert [it.type for it in results] == [JournalUnavailable] * 2
    assert not reactor.journal.is_up
    database.execute("PRAGMA max_page_count = 100000")
    assert reactor.wait(reactor.append("after")) == [2]
    assert reactor.journal.is_up
    assert [it.input for it in reactor.applied] == ["before", "after"]
    assert [it.partition(":")[0] for it in log.lines] == [
        "the journal cannot be written",
        "the journal can be written again",
    ]


def test_a_file_that_another_process_uses_is_refused(path: Path, reactor: Reactor) -> None:
    reactor.wait(reactor.append("a"))
    with pytest.raises(ConfigError, match="locked by another process"):
        Reactor(path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[journal\] url: .*none"):
        Reactor(tmp_path / "none" / "journal.db")


@pytest.mark.parametrize(
    "damage", [b"", b"garbage" * 1000, "header", "page", "another format", "no tables"], ids=str
)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begins(
    path: Path, log: Log, damage: bytes | str
) -> None:
    first = Reactor(path)
    first.wait(*[first.append("a" * 3000) for _ in range(20)])
    first.close()
    spoil(path, damage)
    second = Reactor(path)
    assert second.read() == []
    assert second.journal.epoch != first.journal.epoch
    assert second.wait(second.append("b")) == [1]
    second.close()
    assert len(list(path.parent.glob("journal.db.damaged-*"))) == 1
    (line,) = [it for it in log.lines if "is damaged" in it]
    assert "moved to" in line


def spoil(path: Path, damage: bytes | str) -> None:
    content = bytearray(path.read_bytes())
    if isinstance(damage, bytes):
        content[:] = damage
    elif damage == "header":
        content[:16] = b"?" * 16
    elif damage == "page":
        content[4096 * 3 : 4096 * 5] = os.urandom(8192)
    else:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DROP TABLE meta" if damage == "no tables" else "UPDATE meta SET value = '99'")
        return
    path.write_bytes(content)


def test_a_record_of_a_newer_version_is_skipped_and_counted(path: Path) -> None:
    first = Reactor(path)
    first.wait(first.append("a"), first.append("newer"), first.append("b"))
    first.close()
    second = Reactor(path, decode=lambda body: None if body == b"newer" else body.decode())
    assert [input for _, _, input in second.read()] == ["a", "b"]
    assert second.journal.skipped == 1
    second.close()


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "file_system", lambda path: "nfs4")
    with pytest.raises(ConfigError, match="cannot be used on nfs4"):
        Reactor(path)


def test_the_type_of_a_file_system() -> None:
    assert file_system(Path("/proc/self/x")) == "proc"
    assert file_system(Path("/dev/null")) in ("devtmpfs", "tmpfs")


def test_a_check_changes_nothing(path: Path, reactor: Reactor) -> None:
    reactor.wait(reactor.append("a"))
    another: SqliteJournal[str] = SqliteJournal(
        path, encode=str.encode, decode=bytes.decode, in_reactor=print
    )
    with pytest.raises(ConfigError, match="locked by another process"):
        at_once(another.check())
    reactor.close()
    reactor.close = lambda: None  # type: ignore[method-assign]
    before = path.read_bytes()
    at_once(another.check())
    assert path.read_bytes() == before


def test_a_check_of_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    for folder, is_good in ((tmp_path, True), (tmp_path / "none", False)):
        journal: SqliteJournal[str] = SqliteJournal(
            folder / "x.db", encode=str.encode, decode=bytes.decode, in_reactor=print
        )
        if is_good:
            at_once(journal.check())
        else:
            with pytest.raises(ConfigError, match="the folder"):
                at_once(journal.check())


def test_closing_without_an_append(path: Path) -> None:
    Reactor(path).close()
