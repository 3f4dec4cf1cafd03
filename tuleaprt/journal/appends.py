"""The appends of one node to the Redis stream: each is sent until Redis answers, and ends once.

An append has a number. The script appends it once, however often it is sent (streams.py). An append that has
not ended when the connection is lost is sent again over the next one, even if Redis has answered: the next
connection may lead to a server that has not received it. It ends

* well, when this node has read the record back;
* with JournalUnavailable, when Redis refuses it for good, or has not taken it within ``patience`` seconds. If
  Redis may have taken it, the error says that the outcome is unknown.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from tuleaprt.errors import JournalUnavailable
from tuleaprt.journal.redis_connection import Connection, RedisAway, RedisRefused
from tuleaprt.journal.streams import APPEND, ONCE_SECONDS, Keys, position

SCRIPT = hashlib.sha1(APPEND.encode(), usedforsecurity=False).hexdigest()

RETRY_SECONDS = 0.2
"""After a refusal that may pass, the appends are sent again this much later."""

REPLICA_MILLISECONDS = 500
"""How long Redis waits for its replicas."""


@dataclass(slots=True, eq=False)
class _Append:
    """``is_open``: it was sent, and has no answer yet. ``is_unknown``: it was sent, and the answer was lost.
    ``position``: where Redis has put it; 0: it has not.
    """

    number: int
    body: bytes
    began: float
    deadline: float
    done: Deferred[int]
    is_open: bool = False
    is_unknown: bool = False
    position: int = 0


class Appends:
    """``patience`` is in seconds. An append also waits until ``replicas`` replicas have it.

    ``has_read`` says whether this node has applied the record at a position.
    """

    def __init__(
        self,
        keys: Keys,
        node: str,
        *,
        patience: float,
        replicas: int,
        clock: Any,
        has_read: Callable[[int], bool],
    ) -> None:
        self._keys = keys
        self._node = node
        self._patience = patience
        self._replicas = replicas
        self._clock = clock
        self._has_read = has_read
        self._numbers = count(1)
        self._pending: dict[int, _Append] = {}
        """Those without an end, by number: their deadlines are in order."""
        self._unread: dict[int, _Append] = {}
        """Those that Redis has and this node has not read, by position."""
        self._unconfirmed: list[_Append] = []
        self._is_confirming = False
        self._connection: Connection | None = None
        self._epoch = b""
        self._expiry: Any = None
        self._retry: Any = None
        self._end = ""
        self.on_written: Callable[[float], object] = lambda seconds: None
        self.on_refused: Callable[[RedisRefused | None], object] = lambda error: None
        """Called with each refusal, and with None after each success."""
        self.on_silence: Callable[[], object] = lambda: None
        """Called if Redis does not answer in time."""

    def append(self, body: bytes) -> Deferred[int]:
        """Fires with the position of the record.

        Fails with JournalUnavailable.
        """
        done: Deferred[int] = Deferred()
        now = self._clock.seconds()
        append = _Append(next(self._numbers), body, perf_counter(), now + self._patience, done)
        if self._end:
            done.errback(JournalUnavailable(self._end))
            return done
        self._pending[append.number] = append
        if self._expiry is None:
            self._expiry = self._clock.callLater(self._patience, self._expire)
        if self._connection is not None and self._retry is None:
            self._send(append)
        return done

    def connected(self, connection: Connection, epoch: bytes) -> None:
        """Send what waits over this connection, and what comes."""
        self._connection, self._epoch = connection, epoch
        self._send_all()

    def disconnected(self) -> None:
        """The connection has ended. What is not read back must be sent again."""
        self._connection = None
        self._unread.clear()
        self._unconfirmed.clear()
        for append in self._pending.values():
            append.is_unknown |= append.position > 0
            append.position = 0

    def read(self, position: int) -> None:
        """This node has applied the record at this position."""
        if (append := self._unread.pop(position, None)) is not None:
            self._succeed(append)

    def end(self, reason: str) -> None:
        """Refuse what waits and what comes."""
        self._end = reason
        self._connection = None
        for call in (self._expiry, self._retry):
            if call is not None and call.active():
                call.cancel()
        for append in list(self._pending.values()):
            self._fail(append, reason)

    def _send_all(self) -> None:
        self._retry = None
        for append in list(self._pending.values()):
            if self._connection is not None and not append.is_open and not append.position:
                self._send(append)

    def _send(self, append: _Append) -> None:
        assert self._connection is not None
        append.is_open = True
        ensureDeferred(self._ask(append, self._connection))

    async def _ask(self, append: _Append, connection: Connection) -> None:
        keys = (self._keys.journal, self._keys.epoch, self._keys.once(self._node, append.number))
        arguments = (len(keys), *keys, self._epoch, append.body, ONCE_SECONDS)
        try:
            try:
                id = await connection.ask("EVALSHA", SCRIPT, *arguments)
            except RedisRefused as error:
                if error.code != "NOSCRIPT":
                    raise
                id = await connection.ask("EVAL", APPEND, *arguments)
        except RedisAway:
            append.is_open, append.is_unknown = False, True
        except RedisRefused as error:
            append.is_open = False
            self._refused(append, error)
        else:
            append.is_open = False
            append.position = position(id)
            self.on_refused(None)
            if self._replicas:
                self._unconfirmed.append(append)
                self._confirm(connection)
            else:
                self._taken(append)

    def _refused(self, append: _Append, error: RedisRefused) -> None:
        self.on_refused(error)
        if not error.passes:
            self._fail(append, str(error))
        elif self._retry is None and not self._end:
            self._retry = self._clock.callLater(RETRY_SECONDS, self._send_all)

    def _confirm(self, connection: Connection) -> None:
        if not self._is_confirming:
            self._is_confirming = True
            ensureDeferred(self._wait_for_replicas(connection))

    async def _wait_for_replicas(self, connection: Connection) -> None:
        """WAIT holds the connection, so all appends that wait share one."""
        while self._unconfirmed:
            appends, self._unconfirmed = self._unconfirmed, []
            try:
                having = await connection.ask("WAIT", self._replicas, REPLICA_MILLISECONDS)
                reason = f"{having} of {self._replicas} replicas have it"
            except RedisAway:
                continue
            except RedisRefused as error:
                having, reason = 0, str(error)
            for append in appends:
                if having >= self._replicas:
                    self._taken(append)
                else:
                    self._fail(append, reason)
        self._is_confirming = False

    def _taken(self, append: _Append) -> None:
        if self._has_read(append.position):
            self._succeed(append)
        elif append.number in self._pending:
            self._unread[append.position] = append

    def _expire(self) -> None:
        """End the appends that are too late. One that Redis has is durable, though it was not read yet."""
        self._expiry = None
        now = self._clock.seconds()
        is_silent = False
        for append in list(self._pending.values()):
            if append.deadline > now:
                self._expiry = self._clock.callLater(append.deadline - now, self._expire)
                break
            if self._unread.pop(append.position, None) is not None:
                self._succeed(append)
                continue
            is_silent |= append.is_open
            self._fail(append, f"Redis has not taken it within {self._patience:g} s")
        if is_silent:
            self.on_silence()

    def _succeed(self, append: _Append) -> None:
        if self._pending.pop(append.number, None) is not None:
            self.on_written(perf_counter() - append.began)
            append.done.callback(append.position)

    def _fail(self, append: _Append, reason: str) -> None:
        if self._pending.pop(append.number, None) is not None:
            self._unread.pop(append.position, None)
            is_unknown = append.is_unknown or append.is_open or append.position > 0
            append.done.errback(JournalUnavailable(reason, is_unknown=is_unknown))
