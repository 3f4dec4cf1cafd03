"""The journal that the configuration names, what is read from it at the start, and its snapshots.

::

    memory:                                    nothing outlives the process
    sqlite:///var/lib/tuleaprt/journal.db      one node; what was answered outlives process and machine
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from tuleaprt.errors import ConfigError, CorruptRecord, JournalUnavailable
from tuleaprt.journal.journal import MemoryJournal
from tuleaprt.journal.sqlite import SqliteJournal
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.relay.relay import Relay
from tuleaprt.relay.state import Owners
from tuleaprt.socketio.router import Positions
from tuleaprt.tuleap import records
from tuleaprt.tuleap.inputs import Input, Stopped

EPOCH_BYTES = 32

AnyJournal = MemoryJournal[Input] | SqliteJournal[Input]


def new_journal(url: str, reactor: Any, random: Callable[[int], bytes]) -> AnyJournal:
    """The journal, which is not open yet.

    Raises:
        ConfigError: the URL is wrong.
    """
    if url == "memory:":
        return MemoryJournal(random(EPOCH_BYTES))
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment or not path.name:
        raise ConfigError(f"[journal] url: {url!r} is not memory: or sqlite:///path/to/journal.db")
    return SqliteJournal(
        path,
        encode=records.encode,
        decode=records.decode,
        in_reactor=lambda call: reactor.callFromThread(call),
    )


def check_journal(url: str) -> None:
    """Check that the journal can be used, without changing it.

    Raises:
        ConfigError: it cannot.
    """
    journal = new_journal(url, None, bytes)
    if isinstance(journal, SqliteJournal):
        journal.check()


class Snapshots:
    """Reads the state of the server from the journal, and owns the delayed call of the next snapshot.
    ``interval`` is in seconds.
    """

    log = Logger()

    def __init__(
        self,
        journal: SqliteJournal[Input],
        owners: Owners,
        relay: Relay,
        positions: Positions,
        *,
        clock: Any,
        interval: float,
        metrics: PrometheusMetrics,
        faults: Faults,
    ) -> None:
        self._journal = journal
        self._owners = owners
        self._relay = relay
        self._positions = positions
        self._clock = clock
        self._interval = interval
        self._faults = faults
        self._call: IDelayedCall | None = None
        self._saved_at = -1
        self.seconds = 0.0
        """How long the last snapshot has held the reactor."""
        self._watch(metrics)

    def restore(self) -> None:
        """Take over what former processes have written. The parts of the server must be new.

        Raises:
            ConfigError: the journal cannot be read.
        """
        began = perf_counter()
        self._journal.open()
        try:
            position, snapshot = self._journal.snapshot()
            if snapshot is not None:
                self._owners.restore(snapshot)
            last = self._relay.rebuild(self._journal.records(position))
        except CorruptRecord as error:
            raise ConfigError(
                f"[journal] url: {self._journal.path}: {error}; move the file away to begin with an empty one"
            ) from None
        if isinstance(last, Stopped):
            self._positions.restore(last.positions)
        if self._journal.skipped:
            self.log.emit(
                LogLevel.warn,
                "{count} records of a newer version were skipped",
                event="journal.skipped",
                count=self._journal.skipped,
            )
        self.log.info(
            "the journal {path} was read up to record {position} in {seconds:.2f} s",
            event="journal.read",
            path=str(self._journal.path),
            position=self._journal.position,
            seconds=perf_counter() - began,
        )

    def start(self) -> None:
        self._relay.resume()
        self._call = self._clock.callLater(self._interval, self._save)

    async def stop(self) -> None:
        """Write what waits and what the windows have received, and close the journal."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        with suppress(JournalUnavailable):
            await self._relay.stopped(self._positions.state())
        await self._journal.close()

    def _save(self) -> None:
        self._call = self._clock.callLater(self._interval, self._save)
        # Without new records, a second snapshot of the same state would drop records that are not too old.
        if self._journal.position == self._saved_at:
            return
        try:
            began = perf_counter()
            self._journal.save(self._owners.snapshot())
            self._saved_at = self._journal.position
            self.seconds = perf_counter() - began
        except Exception:
            self._faults.record("making a snapshot")

    def _watch(self, metrics: PrometheusMetrics) -> None:
        journal = self._journal
        metrics.watch("journal_up", "Whether the journal can be written.", lambda: int(journal.is_up))
        records = metrics.counted("journal_records", "Records written to the journal.")
        seconds = metrics.timed("journal_append_seconds", "From an append until the record is on the disk.")

        def written(taken: float) -> None:
            records.value += 1
            seconds.observe(taken)

        journal.on_written = written
        metrics.watch("snapshot_seconds", "How long the last snapshot has taken.", lambda: self.seconds)
