"""All connections of the server, over whatever transport, and what they share."""

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from tuleaprt.faults import Faults
from tuleaprt.metrics import Metrics
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.outboxes import Outboxes
from tuleaprt.wamp.outlet import End

if TYPE_CHECKING:
    from tuleaprt.transport.connection import Connection


class Hub:
    """Knows who is connected. Sizes in bytes."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        fanout: Fanout,
        outboxes: Outboxes,
        metrics: Metrics,
        faults: Faults,
        max_connections: int,
        max_message_size: int,
        max_outbox: int,
    ) -> None:
        self.clock = clock
        self.fanout = fanout
        self.outboxes = outboxes
        self.metrics = metrics
        self.faults = faults
        self.max_message_size = max_message_size
        self.max_outbox = max_outbox
        self.connections: set[Connection] = set()
        self.is_shut_down = False
        self.max_connections = max_connections
        self._all_gone: Deferred[None] | None = None

    @property
    def is_full(self) -> bool:
        return len(self.connections) >= self.max_connections

    def opened(self, connection: "Connection") -> None:
        self.connections.add(connection)
        self.metrics.connected()

    def closed(self, connection: "Connection", end: End) -> None:
        self.connections.discard(connection)
        self.metrics.disconnected(end)
        if not self.connections and self._all_gone is not None:
            self._all_gone.callback(None)
            self._all_gone = None

    def shut_down(self) -> Deferred[None]:
        """End every connection so that it comes back (WebSocket: 1012); fires when all are gone.

        Who is in the middle of a handshake is refused.
        """
        self.is_shut_down = True
        if not self.connections:
            return succeed(None)
        all_gone: Deferred[None] = Deferred()
        self._all_gone = all_gone
        for connection in list(self.connections):
            connection.end(End.SHUTDOWN)
        return all_gone
