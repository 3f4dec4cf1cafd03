"""The journal of several nodes in a Redis stream (streams.py).

Each node reads what all nodes append, its own records included. It applies a record when it has read it,
never when Redis acknowledges it, so every node applies the same records in the same order.

One connection appends and one reads. Both lead to the same server and end together. After each connection
the node checks its place in the stream (place.py). If records are missing, it cannot go on: a new start reads
the snapshots.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tuleaprt.errors import ConfigError, CorruptRecord
from tuleaprt.journal.address import Address
from tuleaprt.journal.appends import Appends
from tuleaprt.journal.journal import Apply, Record, Snapshot
from tuleaprt.journal.place import PlaceLost, check_place, lose_place, try_commands
from tuleaprt.journal.redis_connection import (
    REPLY_SECONDS,
    Connection,
    RedisAway,
    RedisRefused,
    connect,
    locate,
)
from tuleaprt.journal.snapshots import Beginning, begin, is_due, keep, newest
from tuleaprt.journal.streams import Entry, Keys, entries, id_of, time_of

Input = TypeVar("Input")

START_SECONDS = 10
"""How long a start waits for Redis."""

AT_ONCE, AT_ONCE_AT_START = 100, 1000
"""The most records that are applied in one turn of the reactor, and while the server starts."""


class RedisJournal(Generic[Input]):
    """``node`` is the name of this process. ``patience`` is in seconds. An append waits until ``replicas``
    replicas have it.
    """

    log = Logger()
    outlives_the_process = True
    is_shared = True

    def __init__(
        self,
        address: Address,
        *,
        password: bytes,
        realm: str,
        node: str,
        encode: Callable[[Input], bytes],
        decode: Callable[[bytes], Input | None],
        patience: float,
        replicas: int,
        reactor: Any,
    ) -> None:
        self.name = str(address)
        self._address = address
        self._password = password
        self._keys = Keys(realm)
        self._encode = encode
        self._decode = decode
        self._reactor = reactor
        self._delay = backoffPolicy(initialDelay=0.1, maxDelay=5.0, factor=2.0)
        self._apply: Apply[Input] | None = None
        self._beginning: Beginning | None = None
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._running: Deferred[None] | None = None
        self._is_lost = False
        self._problem = ""
        self._away_since = 0.0
        self._appends = Appends(
            self._keys,
            node,
            patience=patience,
            replicas=replicas,
            clock=reactor,
            has_read=lambda position: position <= self.position,
        )
        self._appends.on_refused = self._refused
        self._appends.on_silence = self._disconnect
        self._appends.on_written = lambda seconds: self.on_written(seconds)
        self._on_lost: Callable[[str], object] = lambda reason: None
        self.on_written: Callable[[float], object] = lambda seconds: None
        """Called for each record when it has been read back, with the seconds since it was appended."""
        self.skipped = 0
        """Records that this version cannot read."""
        self.epoch = b""
        self.position = 0
        """The position of the newest record that has been read and applied."""
        self._lag = 0.0

    @property
    def is_up(self) -> bool:
        """Whether Redis takes and returns records."""
        return not self._problem

    def problem(self) -> str | None:
        """Why Redis does not take and return records, in words; None: it does."""
        return f"the journal is away: {self._problem}" if self._problem else None

    @property
    def lag(self) -> float:
        """How long the newest record was in Redis before it was applied, by the clocks of both, and since
        then the time without a connection. In seconds.
        """
        away = self._reactor.seconds() - self._away_since if self._reader is None else 0.0
        return self._lag + away

    # At the start.

    async def open(self) -> None:
        """Connect, and read the epoch and the snapshots.

        Raises:
            ConfigError: Redis refuses what the journal needs, or cannot be reached for ``START_SECONDS``.
        """
        end = self._reactor.seconds() + START_SECONDS
        attempt = 0
        while True:
            try:
                self._beginning = await begin(await self._connect(), self._keys)
                self.epoch = self._beginning.epoch
                return
            except (RedisAway, RedisRefused) as error:
                self._disconnect()
                passes = isinstance(error, RedisAway) or error.passes
                if not passes or self._reactor.seconds() >= end:
                    raise self._unusable(error) from None
                if not attempt:
                    self.log.warn(  # noqa: G010 (Twisted's name)
                        "the start waits for the journal: {reason}", event="journal.wait", reason=str(error)
                    )
            attempt += 1
            await deferLater(self._reactor, min(self._delay(attempt), 1.0))

    async def check(self) -> None:
        """Whether Redis can be used. Nothing is changed.

        Raises:
            ConfigError: it cannot be reached, or refuses what the journal needs.
        """
        try:
            connection = await connect(
                await locate(self._address, self._reactor), self._password, self._reactor
            )
            try:
                await try_commands(connection, self._keys)
            finally:
                connection.close()
        except (RedisAway, RedisRefused) as error:
            raise self._unusable(error) from None

    def snapshot(self) -> Snapshot:
        assert self._beginning is not None
        return self._beginning.snapshot

    async def batches(self, after: int) -> AsyncIterator[Sequence[Record[Input]]]:
        """The records after this position, in order.

        Raises:
            ConfigError: Redis does not return them.
        """
        assert self._writer is not None and self._beginning is not None
        self.position = after
        is_in_stream, self._beginning = self._beginning.is_in_stream, None
        try:
            while True:
                found = entries(
                    await self._writer.ask(
                        *("XRANGE", self._keys.journal, f"({id_of(self.position)}", "+"),
                        *("COUNT", AT_ONCE_AT_START),
                    )
                )
                if not found:
                    break
                yield [it for it in map(self._record, found) if it is not None]
                self.position = found[-1].position
            if self.position == after and not is_in_stream:
                # The next record comes after the one that is there.
                self.position = await newest(self._writer, self._keys)
        except (RedisAway, RedisRefused) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> ConfigError:
        where = "" if isinstance(error, RedisAway) else f"{self.name}: "
        return ConfigError(f"[journal] url: {where}{error}")

    # While the server runs.

    def follow(self, apply: Apply[Input]) -> None:
        self._apply = apply

    def start(self, on_lost: Callable[[str], object]) -> None:
        self._on_lost = on_lost
        self._running = ensureDeferred(self._run())

    async def append(self, input: Input, *, at: float) -> int:
        # Redis's clock gives the time.
        return await self._appends.append(self._encode(input))

    async def save(self, make: Callable[[], bytes], interval: float) -> bool:
        """Keep a snapshot of the state now, unless a node has saved one within the interval (seconds), and
        drop what the last two do not need. Returns whether it was kept.

        Raises:
            RedisAway, RedisRefused.
        """
        if (connection := self._writer) is None or not self.position:
            return False
        if not await is_due(connection, self._keys, self.position, interval):
            return False
        return await keep(connection, self._keys, self.epoch, self.position, make(), interval)

    async def close(self) -> None:
        """Nothing may be appended afterwards."""
        self._appends.end("the server stops")
        if self._running is not None:
            self._running.cancel()
        self._disconnect()

    async def _run(self) -> None:
        attempt = 0
        try:
            while not self._is_lost:
                try:
                    if self._reader is None:
                        await self._connect()
                    assert self._reader is not None
                    await check_place(self._reader, self._keys, self.epoch, self.position)
                    attempt = 0
                    await self._read()
                except (RedisAway, RedisRefused, ConfigError) as error:
                    self._disconnect()
                    if not self._is_lost:
                        self._say(str(error))
                attempt += 1
                await deferLater(self._reactor, self._delay(attempt))
        except PlaceLost as error:
            self._lose(str(error))
        except CancelledError:
            pass
        except Exception:
            self.log.failure("while the journal was read", event="journal.fault")
            self._lose("the journal cannot be read")

    async def _connect(self) -> Connection:
        """Returns the connection for the appends."""
        address = await locate(self._address, self._reactor)
        writer = self._writer = await connect(address, self._password, self._reactor)
        reader = self._reader = await connect(address, self._password, self._reactor)
        writer.lost.addCallback(lambda _: reader.close())
        return writer

    def _disconnect(self) -> None:
        if self._reader is not None:
            self._away_since = self._reactor.seconds()
        self._appends.disconnected()
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    async def _read(self) -> None:
        """Apply what is read, until the connection is lost."""
        assert self._reader is not None and self._writer is not None
        assert self._apply is not None, "nothing follows this journal"
        reader = self._reader
        self._appends.connected(self._writer, self.epoch)
        self._say("")
        milliseconds = round(REPLY_SECONDS * 1000 / 3)
        command = ("XREAD", "COUNT", AT_ONCE, "BLOCK", milliseconds, "STREAMS", self._keys.journal)
        while True:
            reply = await reader.ask(*command, id_of(self.position))
            if not reply:
                await check_place(reader, self._keys, self.epoch, self.position)
            for entry in entries(reply[0][1]) if reply else ():
                if entry.is_new_epoch:
                    await check_place(reader, self._keys, self.epoch, self.position)
                elif entry.before not in (None, self.position):
                    await lose_place(reader, self._keys, self.epoch, self.position)
                self._take(entry)
            self._lag = max(0.0, self._reactor.seconds() - time_of(self.position)) if reply else 0.0

    def _take(self, entry: Entry) -> None:
        assert self._apply is not None
        record = self._record(entry)
        self.position = entry.position
        if record is not None:
            self._apply(record)
        self._appends.read(self.position)

    def _record(self, entry: Entry) -> Record[Input] | None:
        try:
            input = None if entry.body is None else self._decode(entry.body)
        except CorruptRecord as error:
            where = f"{error}: {id_of(entry.position)}"
            self.log.error("{reason}", event="journal.corrupt", reason=where)
            input = None
        if entry.is_new_epoch:
            return None
        if input is None:
            self.skipped += 1
            if self.skipped == 1:
                self.log.warn(  # noqa: G010 (Twisted's name)
                    "a record that this version does not know was skipped", event="journal.skipped"
                )
            return None
        return Record(position=entry.position, at=time_of(entry.position), input=input)

    def _lose(self, reason: str) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._say(reason)
            self._appends.end(reason)
            self._disconnect()
            self._on_lost(reason)

    def _refused(self, error: RedisRefused | None) -> None:
        if error is not None and error.code == "EPOCH":
            # After the answer to this append, which ends like the others.
            self._reactor.callLater(0, self._lose, "the journal has begun anew")
        else:
            self._say("" if error is None else str(error))
        if error is not None and error.code == "READONLY":
            # Another server may be the primary now, which only a new connection can lead to.
            self._disconnect()

    def _say(self, problem: str) -> None:
        if problem and not self._problem:
            self.log.error("the journal is away: {reason}", event="journal.down", reason=problem)
        elif self._problem and not problem:
            self.log.info("the journal is back", event="journal.up")
        self._problem = problem
