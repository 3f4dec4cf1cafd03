"""Autobahn's server factory, with its options put right, and the connections that it made."""

from collections.abc import Callable

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from tuleaprt.config import Config
from tuleaprt.faults import Faults
from tuleaprt.metrics import Metrics
from tuleaprt.transport.connection import Connection
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.origins import allowed_origins
from tuleaprt.wamp.outlet import End, Outlet
from tuleaprt.wamp.session import Session

NewSession = Callable[[Outlet, float], Session]


class WebSocketFactory(WebSocketServerFactory):
    """Makes Connections; ``new_session`` makes the session of each, given the time at which it came."""

    protocol: type[Connection] = Connection  # type: ignore[assignment]
    noisy = False

    def __init__(
        self,
        config: Config,
        new_session: NewSession,
        *,
        clock: IReactorTime,
        fanout: Fanout,
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        super().__init__(server="", reactor=clock)
        self.new_session = new_session
        self.clock = clock
        self.fanout = fanout
        self.metrics = metrics
        self.faults = faults
        self.allowed_origins = allowed_origins(config.websocket.allowed_origins)
        self.max_outbox = config.limits.max_outbox
        self.connections: set[Connection] = set()
        self.is_shut_down = False
        self._all_gone: Deferred[None] | None = None
        # Origins are checked in Connection.onConnect: Autobahn's patterns always want a port.
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            failByDrop=False,
            maxFramePayloadSize=config.limits.max_message_size,
            maxMessagePayloadSize=config.limits.max_message_size,
            openHandshakeTimeout=config.websocket.open_timeout,
            autoPingInterval=config.websocket.ping_interval,
            autoPingTimeout=config.websocket.ping_timeout,
            maxConnections=config.limits.max_connections,
        )

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self.connections.discard(connection)
        if not self.connections and self._all_gone is not None:
            self._all_gone.callback(None)
            self._all_gone = None

    def shut_down(self) -> Deferred[None]:
        """Close every connection with 1012, which makes autobahn-js come back; fires when all are gone.

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
