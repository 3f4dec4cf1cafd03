"""The journal of the configuration, the state at the start, and snapshots."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from tests.conftest import Log
from tests.fakes import KEY, CountingMetrics, message
from tests.journal.test_sqlite import at_once
from tests.world import World
from tuleaprt.application.durability import Snapshots, new_journal
from tuleaprt.configuration.options import Config
from tuleaprt.configuration.options import Journal as JournalOptions
from tuleaprt.errors import ConfigError, JournalUnavailable
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.journal.sqlite import SqliteJournal
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.relay.state import Owners
from tuleaprt.tuleap import records
from tuleaprt.tuleap.inputs import Input, Post, Stopped


def config(url: str) -> Config:
    return Config(key=KEY, journal=JournalOptions(url=url))


def test_the_default_forgets() -> None:
    journal = new_journal(config("memory:"), "node", None, lambda count: b"e" * count)
    assert isinstance(journal, MemoryJournal)
    assert journal.epoch == b"e" * 32


def test_a_path_may_be_quoted() -> None:
    journal = new_journal(config("sqlite:///var/lib/a%20b/journal.db"), "node", MemoryReactorClock(), bytes)
    assert isinstance(journal, SqliteJournal)
    assert journal.path == Path("/var/lib/a b/journal.db")


@pytest.mark.parametrize(
    "url",
    [
        *("", "memory", "memory:x", "sqlite:", "sqlite://", "sqlite:///", "sqlite://host/x.db"),
        *("sqlite:///x?y", "/var/lib/journal.db", "file:///x.db", "SQLITE//x"),
    ],
)
def test_a_wrong_url_is_an_error_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[journal\] url"):
        new_journal(config(url), "node", MemoryReactorClock(), bytes)


def test_without_the_client_of_redis_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "txredisapi", None)
    for name in ("redis", "redis_connection", "appends", "place"):
        monkeypatch.delitem(sys.modules, f"tuleaprt.journal.{name}", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'tuleaprt\[redis\]'"):
        new_journal(config("redis://localhost"), "node", MemoryReactorClock(), bytes)


class Node:
    """A world on a journal in a file. What the other thread asks for is called at once, in that thread."""

    def __init__(self, path: Path) -> None:
        self.world = World()
        self.clock = MemoryReactorClock()
        self.metrics = PrometheusMetrics()
        self.journal: SqliteJournal[Input] = SqliteJournal(
            path, encode=records.encode, decode=records.decode, in_reactor=lambda call: call()
        )
        self.world.relay._journal = self.journal
        self.journal.follow(self.world.relay.apply)
        self.snapshots = Snapshots(
            self.journal,
            Owners(
                realm=self.world.realm,
                campaigns=self.world.campaigns,
                revocations=self.world.verifier.revocations,
            ),
            self.world.relay,
            self.world.pages.positions,
            clock=self.clock,
            interval=600,
            metrics=self.metrics,
            faults=Faults(CountingMetrics()),
        )


def written(path: Path, *inputs: Input) -> None:
    """A file in which a former process has left these."""
    journal: SqliteJournal[Input] = SqliteJournal(
        path, encode=records.encode, decode=records.decode, in_reactor=lambda call: call()
    )
    at_once(journal.open())
    journal._database.close()
    with closing(sqlite3.connect(path)) as database, database:
        for position, it in enumerate(inputs, 1):
            database.execute("INSERT INTO record VALUES (?, 1.0, ?)", (position, records.encode(it)))


def test_the_state_is_read_at_the_start(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "journal.db"
    written(path, Post(message=message()), Stopped(positions=((102, "u", "org.tuleap.kanban.3", 77),)))
    node = Node(path)
    at_once(node.snapshots.restore())
    assert [it.topic for it in node.world.published] == ["org.tuleap.kanban.3"]
    assert node.world.pages.positions.state() == [(102, "u", "org.tuleap.kanban.3", 77)]
    assert any("was read up to record 2" in it for it in log.lines)


def test_positions_do_not_hold_if_the_process_was_killed_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    stopped = Stopped(positions=((102, "u", "org.tuleap.kanban.3", 77),))
    written(path, stopped, Post(message=message()))
    node = Node(path)
    at_once(node.snapshots.restore())
    assert node.world.pages.positions.state() == []


def test_a_journal_that_cannot_be_read_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    written(path, Post(message=message()))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE record SET body = x'01c1'")
    with pytest.raises(ConfigError, match="move it away"):
        at_once(Node(path).snapshots.restore())
    assert path.exists()


def test_records_of_a_newer_version_are_said(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "journal.db"
    written(path, Post(message=message()))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE record SET body = x'02'")
    at_once(Node(path).snapshots.restore())
    assert any("1 records of a newer version were skipped" in it for it in log.lines)


def test_snapshots_are_made_at_the_interval(tmp_path: Path) -> None:
    node, intervals = Node(tmp_path / "journal.db"), list[float]()

    async def save(make: Any, interval: float) -> bool:
        intervals.append(interval)
        make()
        return True

    at_once(node.snapshots.restore())
    node.journal.save = save  # type: ignore[method-assign]
    node.snapshots.start(print)
    node.clock.advance(600)
    node.clock.advance(600)
    assert intervals == [600, 600]
    assert node.snapshots.seconds > 0
    assert b"tuleaprt_snapshot_seconds" in node.metrics.exposition()


def test_a_journal_that_does_not_take_a_snapshot_is_said(tmp_path: Path, log: Log) -> None:
    async def save(make: Any, interval: float) -> bool:
        raise JournalUnavailable("it is full")

    node = Node(tmp_path / "journal.db")
    at_once(node.snapshots.restore())
    node.journal.save = save  # type: ignore[method-assign]
    node.snapshots.start(print)
    node.clock.advance(600)
    assert "no snapshot was written: it is full" in log.lines
    assert len(node.clock.getDelayedCalls()) == 1


def test_injected_fault_in_a_snapshot_is_recorded_and_the_next_one_is_made(tmp_path: Path, log: Log) -> None:
    node = Node(tmp_path / "journal.db")
    at_once(node.snapshots.restore())
    node.snapshots.start(print)
    node.journal.position, node.journal.save = 7, None  # type: ignore[method-assign,assignment]
    node.clock.advance(600)
    assert len(log.tracebacks) == 1
    assert len(node.clock.getDelayedCalls()) == 1


def test_records_are_counted_and_timed(tmp_path: Path) -> None:
    node = Node(tmp_path / "journal.db")
    at_once(node.snapshots.restore())
    node.journal.on_written(0.003)
    page = node.metrics.exposition().decode()
    assert "tuleaprt_journal_records_total 1" in page
    assert 'tuleaprt_journal_append_seconds_bucket{le="0.005"} 1' in page
    assert "tuleaprt_journal_up 1" in page
