"""The journal of a single node in an SQLite database: what was answered survives the process and the machine.

One thread writes. Whatever waits when a commit begins is in that commit, so a burst of posts costs few disk
flushes. A record is applied after it is on the disk, in the order of positions, in the reactor's thread.

::

    record    position, at, body      the inputs (tuleap/records.py)
    snapshot  position, body          what follows from the records up to a position (relay/state.py)
    meta      epoch, format

The last two snapshots are kept, and the records after the older one. A start takes over the older snapshot
and applies these records, so it has the state and the event history of a whole interval between snapshots.
"""

import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import perf_counter, strftime
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tuleaprt.errors import ConfigError, JournalUnavailable
from tuleaprt.journal.journal import Apply, Record, Snapshot

Input = TypeVar("Input")

FORMAT = 1
EPOCH_BYTES = 32
MOST_AT_ONCE = 1000
"""The most records in one commit."""

NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "fuse.sshfs", "lustre")
"""File systems without the shared memory and the locks that SQLite's write-ahead log needs."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (position INTEGER PRIMARY KEY, at REAL NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot (position INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""


@dataclass(slots=True)
class _Append(Generic[Input]):
    input: Input
    at: float
    began: float
    done: Deferred[int]


class _Snapshot(NamedTuple):
    position: int
    body: bytes


class SqliteJournal(Generic[Input]):
    """``in_reactor`` calls a function in the reactor's thread. Times are in seconds since the epoch."""

    _database: sqlite3.Connection
    log = Logger()
    outlives_the_process = True
    is_shared = False

    def __init__(
        self,
        path: Path,
        *,
        encode: Callable[[Input], bytes],
        decode: Callable[[bytes], Input | None],
        in_reactor: Callable[[Callable[[], None]], object],
    ) -> None:
        self.path = path
        self.name = str(path)
        self._encode = encode
        self._decode = decode
        self._in_reactor = in_reactor
        self._apply: Apply[Input] | None = None
        self._queue: SimpleQueue[_Append[Input] | _Snapshot | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed: Deferred[None] = Deferred()
        self.is_up = True
        """Whether the last commit was successful."""
        self.on_written: Callable[[float], object] = lambda seconds: None
        """Called for each record when it is on the disk, with the seconds since it was appended."""
        self.skipped = 0
        """Records of a newer version, which this one does not know."""
        self.lag = 0.0
        """Each record is applied when it has been written."""
        self.epoch = b""
        self.position = 0
        """The position of the newest record that is on the disk and applied."""
        self._last_at = 0.0
        self._saved_at = -1
        self._reason = ""

    # At the start.

    async def open(self) -> None:
        """Open the file, or make it. A damaged file is moved aside, and a new one begins with another epoch.

        Raises:
            ConfigError: the file cannot be used.
        """
        self._database = self._open()
        self.epoch = self._meta("epoch")
        row = self._database.execute("SELECT max(position), max(at) FROM record").fetchone()
        newest = self._database.execute("SELECT max(position) FROM snapshot").fetchone()[0]
        self.position = max(row[0] or 0, newest or 0)
        self._last_at = row[1] or 0.0

    async def check(self) -> None:
        """Whether the file can be used. It is neither made nor changed.

        Raises:
            ConfigError: it cannot, because another process uses it, or it is damaged.
        """
        try:
            self._check_place()
            if not self.path.exists():
                if not os.access(self.path.parent, os.W_OK | os.X_OK):
                    raise OSError("the folder does not exist, or cannot be written")
                return
            with closing(self._connect()) as database:
                problem = _damage(database)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None
        if problem is not None:
            raise ConfigError(f"[journal] url: {self.path}: damaged: {problem}")

    def snapshot(self) -> Snapshot:
        """The older of the two snapshots. With one, all records are still there."""
        rows = self._database.execute("SELECT position, body FROM snapshot ORDER BY position").fetchall()
        return Snapshot() if len(rows) < 2 else Snapshot(*rows[0])

    async def batches(self, after: int) -> AsyncIterator[Sequence[Record[Input]]]:
        """The records after this position, in order.

        Raises:
            CorruptRecord: one of them cannot be read.
        """
        query = "SELECT position, at, body FROM record WHERE position > ? ORDER BY position"
        found = self._database.execute(query, (after,))
        while rows := found.fetchmany(MOST_AT_ONCE):
            inputs = [(position, at, self._decode(body)) for position, at, body in rows]
            known = [Record(position=it[0], at=it[1], input=it[2]) for it in inputs if it[2] is not None]
            self.skipped += len(inputs) - len(known)
            yield known

    def follow(self, apply: Apply[Input]) -> None:
        self._apply = apply

    def problem(self) -> str | None:
        return None if self.is_up else f"the journal cannot be written: {self._reason}"

    # While the server runs.

    def start(self, on_lost: Callable[[str], object]) -> None:
        """Records are passed on when they are written."""

    async def append(self, input: Input, *, at: float) -> int:
        if self._thread is None:
            self._thread = Thread(target=self._write, name="journal", daemon=True)
            self._thread.start()
        done: Deferred[int] = Deferred()
        self._queue.put(_Append(input, at, perf_counter(), done))
        return await done

    async def save(self, make: Callable[[], bytes], interval: float) -> bool:
        # Without new records, a second snapshot of the same state would drop records that are not too old.
        if self.position == self._saved_at:
            return False
        self._saved_at = self.position
        self._queue.put(_Snapshot(self.position, make()))
        return True

    async def close(self) -> None:
        if self._thread is None:
            self._database.close()
            return
        self._queue.put(None)
        await self._closed

    # In the thread that writes.

    def _write(self) -> None:
        position, last_at = self.position, self._last_at
        is_closing = False
        while not is_closing:
            waiting = [self._queue.get()]
            while len(waiting) < MOST_AT_ONCE and not self._queue.empty():
                waiting.append(self._queue.get())
            is_closing = None in waiting
            appends = [it for it in waiting if isinstance(it, _Append)]
            records: list[Record[Input]] = []
            for number, append in enumerate(appends, position + 1):
                # Positions and times grow together, even if the clock is set back.
                last_at = max(last_at, append.at)
                records.append(Record(position=number, at=last_at, input=append.input))
            try:
                self._commit(records, [it for it in waiting if isinstance(it, _Snapshot)])
            except (sqlite3.Error, OSError) as error:
                self._in_reactor(lambda it=appends, why=str(error): self._failed(it, why))  # type: ignore[misc]
            else:
                position += len(records)
                self._in_reactor(lambda them=records, it=appends: self._written(them, it))  # type: ignore[misc]
        self._database.close()
        self._in_reactor(lambda: self._closed.callback(None))

    def _commit(self, records: list[Record[Input]], snapshots: list[_Snapshot]) -> None:
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            rows = [(it.position, it.at, self._encode(it.input)) for it in records]
            self._database.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
            for snapshot in snapshots:
                self._database.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?)", snapshot)
                kept = "SELECT position FROM snapshot ORDER BY position DESC LIMIT 2"
                self._database.execute(f"DELETE FROM snapshot WHERE position NOT IN ({kept})")
                oldest = "SELECT CASE WHEN count(*) = 2 THEN min(position) END FROM snapshot"
                self._database.execute(f"DELETE FROM record WHERE position <= ({oldest})")

    # In the reactor's thread again.

    def _written(self, records: list[Record[Input]], appends: list[_Append[Input]]) -> None:
        assert self._apply is not None, "nothing follows this journal"
        if not self.is_up:
            self.is_up = True
            self.log.info("the journal can be written again", event="journal.up")
        for record, append in zip(records, appends, strict=True):
            self.position = record.position
            self.on_written(perf_counter() - append.began)
            self._apply(record)
            append.done.callback(record.position)

    def _failed(self, appends: list[_Append[Input]], why: str) -> None:
        if self.is_up:
            self.is_up = False
            self._reason = why
            self.log.error("the journal cannot be written: {reason}", event="journal.down", reason=why)
        for append in appends:
            append.done.errback(JournalUnavailable(why))

    # The file.

    def _open(self) -> sqlite3.Connection:
        try:
            self._check_place()
            if not self.path.exists():
                return self._create()
            database = self._connect()
            if (problem := _damage(database)) is None:
                return database
            database.close()
            self._move_aside(problem)
            return self._create()
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> ConfigError:
        hint = " by another process" if "locked" in str(error) else ""
        return ConfigError(f"[journal] url: {self.path}: {error}{hint}")

    def _check_place(self) -> None:
        """
        Raises:
            ConfigError: the file is on a network file system.
        """
        kind = file_system(self.path)
        if kind.startswith(NETWORK):
            raise ConfigError(
                f"[journal] url: {self.path}: SQLite cannot be used on {kind}; use a local disk"
            )

    def _create(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        database = self._connect()
        database.executescript(_SCHEMA)
        with database:
            meta = {"epoch": secrets.token_bytes(EPOCH_BYTES), "format": str(FORMAT).encode()}
            database.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
        return database

    def _connect(self) -> sqlite3.Connection:
        # The reactor's thread uses it before the other thread begins.
        database = sqlite3.connect(self.path, isolation_level=None, timeout=0, check_same_thread=False)
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                database.close()
                raise
        return database

    def _move_aside(self, why: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{strftime('%Y%m%d-%H%M%S')}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            beside = Path(f"{self.path}{suffix}")
            if beside.exists():
                beside.rename(f"{aside}{suffix}")
        self.log.critical(
            "the journal is damaged ({reason}) and was moved to {aside}: the server begins with an empty one",
            event="journal.damaged",
            reason=why,
            aside=str(aside),
        )

    def _meta(self, name: str) -> bytes:
        row: Any = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return bytes(row[0])


def _damage(database: sqlite3.Connection) -> str | None:
    """What is wrong with a database; None: nothing."""
    try:
        with closing(database.execute("PRAGMA quick_check(1)")) as check:
            found = check.fetchone()[0]
        if found != "ok":
            return str(found)
        row = database.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        return None if row is not None and row[0] == str(FORMAT).encode() else "another format"
    except sqlite3.DatabaseError as error:
        return str(error)


def file_system(path: Path) -> str:
    """The type of the file system that holds this path: ``ext4``; empty: unknown."""
    real = str(path.absolute().parent.resolve())
    found, longest = "", -1
    try:
        mounts = Path("/proc/self/mounts").read_text()
    except OSError:
        return ""
    for line in mounts.splitlines():
        _, where, kind, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if (real == where or real.startswith(where.rstrip("/") + "/")) and len(where) > longest:
            found, longest = kind, len(where)
    return found
