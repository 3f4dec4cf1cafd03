"""The journal that the configuration names, what is read from it at the start, and its snapshots.

::

    memory:                                    nothing outlives the process
    sqlite:///var/lib/tuleaprt/journal.db      one node; what was answered outlives process and machine
    redis://host:6379/0 (address.py)           several nodes that share a Redis stream
"""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from tuleaprt.configuration.options import Config
from tuleaprt.errors import ConfigError, CorruptRecord, JournalUnavailable, TuleaprtError
from tuleaprt.journal.address import FORMS, SCHEMES, parse
from tuleaprt.journal.journal import DurableJournal, MemoryJournal, Record
from tuleaprt.journal.sqlite import SqliteJournal
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.relay.relay import Relay
from tuleaprt.relay.state import Owners
from tuleaprt.socketio.router import Positions
from tuleaprt.tuleap import inputs, records
from tuleaprt.tuleap.inputs import Input, Stopped

EPOCH_BYTES = 32
POSITIONS_SECONDS = 30
"""How long the positions of a node that has stopped hold: its windows come back at once, or not at all."""

AnyJournal = MemoryJournal[Input] | DurableJournal[Input]


def new_journal(config: Config, node: str, reactor: Any, random: Callable[[int], bytes]) -> AnyJournal:
    """The journal, which is not open yet. ``node`` is the name of this process.

    Raises:
        ConfigError: the URL is wrong, or Redis's client is not installed.
    """
    url = config.journal.url
    if url == "memory:":
        return MemoryJournal(random(EPOCH_BYTES))
    scheme = url.partition(":")[0]
    return _in_redis(config, node, reactor) if scheme in SCHEMES else _in_file(url, reactor)


def _in_file(url: str, reactor: Any) -> SqliteJournal[Input]:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment or not path.name:
        raise ConfigError(f"[journal] url: this is not {FORMS}")
    return SqliteJournal(
        path,
        encode=records.encode,
        decode=records.decode,
        in_reactor=lambda call: reactor.callFromThread(call),
    )


def _in_redis(config: Config, node: str, reactor: Any) -> DurableJournal[Input]:
    address = parse(config.journal.url)
    try:
        from tuleaprt.journal.redis import RedisJournal
    except ImportError as error:
        raise ConfigError(
            f"[journal] url: Redis needs {error.name}, which is not installed: pip install 'tuleaprt[redis]'"
        ) from None
    return RedisJournal(
        address,
        password=config.journal_password,
        realm=config.realtime.realm,
        node=node,
        encode=records.encode,
        decode=records.decode,
        patience=config.journal.patience,
        replicas=config.journal.replicas,
        reactor=reactor,
    )


async def check_journal(config: Config, reactor: Any) -> None:
    """Check that the journal can be used, without changing it.

    Raises:
        ConfigError: it cannot.
    """
    journal = new_journal(config, "", reactor, bytes)
    if not isinstance(journal, MemoryJournal):
        await journal.check()


class Snapshots:
    """Reads the state of the server from the journal, and owns the delayed call of the next snapshot.
    ``interval`` is in seconds.
    """

    log = Logger()

    def __init__(
        self,
        journal: DurableJournal[Input],
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
        self._is_started = False
        self.seconds = 0.0
        """How long the last snapshot has held the reactor."""
        self._watch(metrics)

    async def restore(self) -> None:
        """Take over what former processes have written. The parts of the server must be new.

        Raises:
            ConfigError: the journal cannot be read.
        """
        began = perf_counter()
        await self._journal.open()
        stops: list[Record[Input]] = []
        last = None
        try:
            snapshot = self._journal.snapshot()
            if snapshot.body is not None:
                self._owners.restore(snapshot.body, is_followed=snapshot.is_followed)
            async for batch in self._journal.batches(snapshot.position):
                self._relay.rebuild(batch)
                stops += [it for it in batch if isinstance(it.input, Stopped)]
                last = batch[-1] if batch else last
        except CorruptRecord as error:
            raise ConfigError(
                f"[journal] url: {self._journal.name}: {error}; move it away to begin with an empty one"
            ) from None
        since = self._clock.seconds() - POSITIONS_SECONDS if self._journal.is_shared else math.inf
        for stop in stops:
            if stop is last or stop.at > since:
                assert isinstance(stop.input, Stopped)
                self._positions.restore(stop.input.positions)
        if self._journal.skipped:
            self.log.emit(
                LogLevel.warn,
                "{count} records of a newer version were skipped",
                event="journal.skipped",
                count=self._journal.skipped,
            )
        self.log.info(
            "the journal {name} was read up to record {position} in {seconds:.2f} s",
            event="journal.read",
            name=self._journal.name,
            position=self._journal.position,
            seconds=perf_counter() - began,
        )

    def start(self, on_lost: Callable[[str], object]) -> None:
        """``on_lost`` is called with a reason if this process cannot go on."""
        self._is_started = True
        self._journal.start(on_lost)
        self._relay.follow_stops(self._learn)
        self._relay.resume()
        self._call = self._clock.callLater(self._interval, self._save)

    async def stop(self) -> None:
        """Write what waits and what the windows have received, and close the journal."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        with suppress(JournalUnavailable):
            if self._is_started:
                await self._relay.stopped(tuple(self._positions.state()))
        await self._journal.close()

    def _learn(self, positions: inputs.Positions) -> None:
        """The windows of another node come here now, or to a third one."""
        self._positions.restore(positions)
        self._clock.callLater(POSITIONS_SECONDS, self._positions.forget, positions)

    def _save(self) -> None:
        self._call = self._clock.callLater(self._interval, self._save)
        ensureDeferred(self._save_now())

    async def _save_now(self) -> None:
        try:
            await self._journal.save(self._made, self._interval)
        except TuleaprtError as error:
            self.log.warn("no snapshot was written: {reason}", event="journal.snapshot", reason=str(error))  # noqa: G010
        except Exception:
            self._faults.record("making a snapshot")

    def _made(self) -> bytes:
        began = perf_counter()
        body = self._owners.snapshot()
        self.seconds = perf_counter() - began
        return body

    def _watch(self, metrics: PrometheusMetrics) -> None:
        journal = self._journal
        metrics.watch("journal_up", "Whether the journal can be written.", lambda: int(journal.is_up))
        metrics.watch("journal_lag_seconds", "How far this node is behind the journal.", lambda: journal.lag)
        records = metrics.counted("journal_records", "Records written to the journal.")
        seconds = metrics.timed("journal_append_seconds", "From an append until the record is applied.")

        def written(taken: float) -> None:
            records.value += 1
            seconds.observe(taken)

        journal.on_written = written
        metrics.watch("snapshot_seconds", "How long the last snapshot has taken.", lambda: self.seconds)
