"""The set of all open connections, and what they share."""

from math import ceil
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import Metrics
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.wamp.outlet import End

SPREAD, STEP_SECONDS, AT_LEAST = 0.7, 0.1, 50
"""Shutdown: the part of its time over which connections are closed, the seconds between two batches, and the
smallest batch.
"""


class Connected(Protocol):
    """A connection, to the set of all."""

    def end(self, end: End, detail: str = "") -> None:
        """Close it with this reason."""

    def cut(self, end: End) -> None:
        """Drop it."""


class Connections:
    """All open connections. Sizes are in bytes."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        fanout: Fanout,
        backpressure: Backpressure,
        metrics: Metrics,
        faults: Faults,
        max_connections: int,
        max_message_size: int,
        max_outbox: int,
    ) -> None:
        self.clock = clock
        self.fanout = fanout
        self.backpressure = backpressure
        self.metrics = metrics
        self.faults = faults
        self.max_message_size = max_message_size
        self.max_outbox = max_outbox
        self.open: set[Connected] = set()
        self._authenticated: set[Connected] = set()
        self.is_shut_down = False
        self.max_connections = max_connections
        self._all_gone: Deferred[None] | None = None
        self._leaving: list[Connected] = []
        self._calls: dict[str, IDelayedCall] = {}

    @property
    def is_full(self) -> bool:
        """Whether the limit of authenticated connections is reached. Others have a limit of their own."""
        return len(self._authenticated) >= self.max_connections

    def opened(self, connection: Connected) -> None:
        self.open.add(connection)

    def authenticated(self, connection: Connected) -> None:
        self._authenticated.add(connection)

    def move(self, former: Connected, connection: Connected) -> None:
        """The client has moved to another connection, and counts once."""
        self.open.discard(former)
        self.open.add(connection)
        if former in self._authenticated:
            self._authenticated.discard(former)
            self._authenticated.add(connection)

    def closed(self, connection: Connected, end: End) -> None:
        self.open.discard(connection)
        self._authenticated.discard(connection)
        self.metrics.disconnected(end)
        if not self.open and self._all_gone is not None:
            for call in self._calls.values():
                call.cancel()
            self._calls.clear()
            self._all_gone.callback(None)
            self._all_gone = None

    def shut_down(self, seconds: float) -> Deferred[None]:
        """Close every connection so that its client reconnects (WebSocket: 1012). The Deferred fires when
        all are closed.

        Many connections are closed in batches, so that clients do not all reconnect at once. Connections
        that are left after ``seconds`` are dropped. Handshakes are refused from now on.
        """
        self.is_shut_down = True
        if not self.open:
            return succeed(None)
        all_gone: Deferred[None] = Deferred()
        self._all_gone = all_gone
        self._leaving = list(self.open)
        steps = max(1, int(seconds * SPREAD / STEP_SECONDS))
        self._calls["the rest"] = self.clock.callLater(seconds, self._drop_the_rest)
        self._send_away(max(AT_LEAST, ceil(len(self._leaving) / steps)))
        return all_gone

    def _send_away(self, count: int) -> None:
        self._calls.pop("next", None)
        self._leaving, now = self._leaving[count:], self._leaving[:count]
        if self._leaving:
            self._calls["next"] = self.clock.callLater(STEP_SECONDS, self._send_away, count)
        for connection in now:
            connection.end(End.SHUTDOWN)

    def _drop_the_rest(self) -> None:
        del self._calls["the rest"]
        for connection in list(self.open):
            connection.cut(End.SHUTDOWN)
