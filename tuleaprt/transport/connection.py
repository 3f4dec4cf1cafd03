"""One browser: Autobahn's WebSocket protocol on one side, a Session on the other.

Nothing that a peer sends may raise past this module: what the protocol has no answer for is recorded as a
fault, the peer is told a constant, and the connection ends.
"""

from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from tuleaprt.errors import ProtocolViolation
from tuleaprt.transport.frames import FORMATS, JSON, WireFormat
from tuleaprt.transport.line import Line
from tuleaprt.transport.origins import origin_is_allowed
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.session import Session, State

if TYPE_CHECKING:
    from tuleaprt.transport.factories import WebSocketFactory

PATH = "/ws"
OPEN: int = WebSocketServerProtocol.STATE_OPEN
CLOSED: int = WebSocketServerProtocol.STATE_CLOSED

LINGER_SECONDS = 5
"""How long a closed connection may take to send its last bytes."""

CLOSE_CODES = {
    End.GOODBYE: 1000,
    End.EXPIRED: 1000,
    End.REFUSED: 1000,
    End.VIOLATION: 1002,
    End.SILENT: 1008,
    End.FAULT: 1011,
    End.SHUTDOWN: 1012,
    End.SLOW: 1013,
}
"""RFC 6455 7.4 and its registry: 1012 service restart, 1013 try again later."""


class Quiet:
    """Stands in for Autobahn's logger: a connection has one line in the log, written here."""

    def debug(self, *args: object, **kwargs: object) -> None: ...

    info = warn = error = debug


class Connection(WebSocketServerProtocol):
    """Owns its session, its line, and the one delayed call of all three."""

    factory: "WebSocketFactory"
    transport: Any
    format: WireFormat = JSON
    log = Quiet()
    own_log = Logger()
    session: Session | None = None
    _opened: float
    _call: IDelayedCall | None = None
    _armed_for = 0.0
    _end: tuple[End, str] | None = None
    _line: Line | None = None

    # What Autobahn calls.

    def connectionMade(self) -> None:
        try:
            self._made()
        except Exception:
            self.factory.faults.record("accepting a WebSocket")
            self.transport.abortConnection()

    def _made(self) -> None:
        self._opened = self.factory.clock.seconds()
        # twisted.web's channel, which had this transport before, would be kept alive as its producer.
        self.transport.unregisterProducer()
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        try:
            super().dataReceived(data)
        except Exception:
            self._fault("reading a WebSocket")

    def onConnect(self, request: ConnectionRequest) -> str:
        if self.factory.is_shut_down:
            self._end = (End.SHUTDOWN, "during the handshake")
            raise ConnectionDeny(ConnectionDeny.SERVICE_UNAVAILABLE, "this server is shutting down")
        if request.path != PATH:
            raise ConnectionDeny(ConnectionDeny.NOT_FOUND, "not found")
        origin, host = request.headers.get("origin"), request.headers["host"]
        if origin is not None and not origin_is_allowed(origin, host, self.factory.allowed_origins):
            self._end = (End.REFUSED, "origin not allowed")
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "this origin may not connect")
        for subprotocol in request.protocols:
            if subprotocol in FORMATS:
                self.format = FORMATS[subprotocol]
                return str(subprotocol)
        self._end = (End.REFUSED, "no common subprotocol")
        raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, f"the subprotocols here are {', '.join(FORMATS)}")

    def onOpen(self) -> None:
        try:
            self._line = Line(self, self.format)
            self.session = self.factory.new_session(self._line, self._opened)
            self.factory.connections.add(self)
            self.factory.metrics.connected()
            self._arm()
        except Exception:
            self._fault("opening a session")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.session is None or self.state != OPEN:
            return
        try:
            self._receive(self.session, payload, isBinary)
            self._arm()
        except Exception:
            self._fault("answering a message")

    def dropConnection(self, abort: bool = False) -> None:
        """End the TCP connection; gently after a complete close, where Autobahn aborts.

        A reset would overtake the last frames on their way, and a browser would call it a lost connection.
        Who does not take them in time is reset after all.
        """
        self._shut()
        gently = self.wasClean or not abort
        was_connected = self.state != CLOSED
        super().dropConnection(not gently)
        if gently and was_connected:
            self._disarm()
            self._call = self.factory.clock.callLater(LINGER_SECONDS, self.transport.abortConnection)

    def onAutoPingTimeout(self) -> None:
        self._end = self._end or (End.UNANSWERED, "")
        super().onAutoPingTimeout()

    def onPing(self, payload: bytes) -> None:
        if self._line is not None and self._line.is_behind():
            self.end(End.SLOW)
        else:
            super().onPing(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        try:
            self._closed()
        except Exception:
            self.factory.faults.record("closing a connection")

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:
        self._shut()
        super().sendCloseFrame(*args, **kwargs)

    # What its line and the factory call.

    def end(self, end: End, detail: str = "") -> None:
        """Close now, whatever is queued. Autobahn drops who does not answer the close in a second."""
        if self._end is None:
            self._end = (end, detail)
        if self.state == OPEN:
            self.sendCloseFrame(code=CLOSE_CODES[end], reasonUtf8=end.encode())

    # Its own.

    def _receive(self, session: Session, payload: bytes, binary: bool) -> None:
        if binary != self.format.binary:
            kind = "binary" if binary else "text"
            session.violate(ProtocolViolation(f"a {kind} message in {self.format.subprotocol}"))
            return
        try:
            raw = self.format.decode(payload)
        except (ValueError, RecursionError):
            session.violate(ProtocolViolation(f"not {self.format.subprotocol}"))
            return
        session.receive(raw, self.factory.clock.seconds())

    def _arm(self) -> None:
        """See to it that the session is woken at its deadline."""
        session = self.session
        if session is None or session.state is State.ENDED:
            self._disarm()
        elif self._call is None or session.deadline != self._armed_for:
            self._disarm()
            delay = max(0, session.deadline - self.factory.clock.seconds())
            self._call = self.factory.clock.callLater(delay, self._wake, session)
            self._armed_for = session.deadline

    def _disarm(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wake(self, session: Session) -> None:
        self._call = None
        try:
            session.wake(self.factory.clock.seconds())
            self._arm()
        except Exception:
            self._fault("at a session's deadline")

    def _fault(self, where: str) -> None:
        self.factory.faults.record(where)
        if self.state == OPEN:
            self.end(End.FAULT)
        else:
            self.dropConnection(abort=True)

    def _shut(self) -> None:
        """Nothing more may be sent."""
        if self._line is not None:
            self._line.is_open = False

    def _closed(self) -> None:
        self._shut()
        self._disarm()
        session, self.session = self.session, None
        if session is None:
            _, why = self._end or (End.REFUSED, "no WebSocket handshake")
            self.own_log.info("{peer} refused: {why}", peer=self.peer, why=why)
            return
        user = session.identity.authid if session.id else "-"
        session.lost()
        self.factory.forget(self)
        end, detail = self._end or self._how_the_peer_ended()
        self.factory.metrics.disconnected(end)
        self.own_log.info(
            "{peer} closed: {end}{detail} session={session} user={user}",
            peer=self.peer,
            end=end,
            detail=f" ({detail})" if detail else "",
            session=session.id or "-",
            user=user,
        )

    def _how_the_peer_ended(self) -> tuple[End, str]:
        if self.failedByMe:
            return End.VIOLATION, f"WebSocket, close code {self.localCloseCode}"
        return (End.CLOSED, "") if self.wasClean else (End.LOST, "")
