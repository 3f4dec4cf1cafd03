"""One client over any transport: its session, its outbound half, and their one delayed call.

The transports inherit from this class. Nothing that a peer sends may raise past it: an unexpected
exception is recorded as a fault, and the connection is closed.
"""

import math
from typing import Any, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from tuleaprt.errors import ProtocolViolation
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.outbound import Outbound, WampOutbound
from tuleaprt.transport.unauthenticated import Admission
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.outlet import MISBEHAVED, End
from tuleaprt.wamp.rate import Bucket
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import Session, State

READ_BYTES = 4096

FRAMES_PER_SECOND, FRAMES_AT_ONCE = 10, 100
"""The rate limit of frames that are not messages. A normal client sends one in many seconds."""

LONGEST_HELLO = 16_384
"""The longest message before the session, except AUTHENTICATE with its token."""

LINGER_SECONDS = 5
"""How long a closed connection may take to send its last bytes."""


class Served(Protocol):
    """What a connection serves: a session of WAMP, or a page over socket.io."""

    @property
    def id(self) -> int:
        """The id of its session in the realm; 0: none yet."""

    @property
    def identity(self) -> Identity: ...

    @property
    def is_joined(self) -> bool: ...

    @property
    def parting(self) -> End | None:
        """Why the server has asked the client to close."""

    def violate(self, violation: ProtocolViolation) -> None: ...

    def wake(self, now: float) -> None: ...

    def lost(self) -> None: ...


class Connection:
    """What all transports share. The transport names itself and its peer, and closes in its own way."""

    connections: Connections
    transport: Any
    session: Served | None = None
    outbound: Outbound | None = None
    admission: Admission | None = None
    """Its place in the limit of unauthenticated connections, until the client has authenticated."""
    opened_at: float
    """When the TCP connection was opened, in seconds since the epoch. The open timeout counts from there."""
    connection_log = Logger()
    _call: IDelayedCall | None = None
    _armed_for = math.inf
    _end: tuple[End, str] | None = None
    _is_paused = False
    _frames: Bucket | None = None

    # Defined by the transport.

    kind: str
    """``websocket``, ``rawsocket`` or ``socketio``."""

    peer: str
    """``tcp4:127.0.0.1:40312``, or ``203.0.113.9 via tcp4:127.0.0.1:40312`` behind a known proxy."""

    def close_now(self, end: End) -> None:
        """Close in the way of the transport, with the reason."""

    def drop(self) -> None:
        """Drop the TCP connection."""

    # Defined by the protocol.

    def begin(self, outbound: Any) -> Served:
        """What this connection serves from now on."""
        raise NotImplementedError

    def take(self, payload: bytes) -> None:
        """Handle a whole message."""
        raise NotImplementedError

    # Called by the transport.

    def open(self, outbound: Outbound) -> None:
        """The transport's handshake is complete."""
        try:
            self.outbound = outbound
            self.session = self.begin(outbound)
            self.connections.opened(self)
        except Exception:
            self.fault("opening a session")

    def received(self, payload: bytes) -> None:
        """A whole message has arrived."""
        if self.session is None or self.outbound is None or not self.outbound.is_open:
            return
        try:
            self.take(payload)
            if self.admission is not None and self.session is not None and self.session.is_joined:
                self.leave_the_limit()
                self.connections.authenticated(self)
        except Exception:
            self.fault("answering a message")

    def bound_reads(self) -> None:
        """Limit how much the reactor reads at once, so that one client does not delay the others."""
        # Under TLS, the TCP connection below reads.
        connection = getattr(self.transport, "transport", self.transport)
        if isinstance(connection, FileDescriptor):
            connection.bufferSize = READ_BYTES

    def affords_a_frame(self) -> bool:
        """Whether the rate limit allows another frame that is no message: ping, pong, continuation."""
        now = self.connections.clock.seconds()
        if self._frames is None:
            self._frames = Bucket(FRAMES_PER_SECOND, FRAMES_AT_ONCE, now)
        return self._frames.take(now)

    def violated(self, violation: ProtocolViolation) -> None:
        """The transport has found a violation of WAMP."""
        if self.session is not None:
            self.session.violate(violation)

    def fault(self, where: str) -> None:
        """Record the current exception as a fault, and close the connection."""
        self.connections.faults.record(where)
        if self.outbound is not None and self.outbound.is_open:
            self.end(End.FAULT)
        else:
            self.drop()

    def shut(self) -> None:
        """Send nothing more, and end the session, however long the TCP connection takes to close."""
        if self.outbound is not None:
            self.outbound.shut()
        if self.session is not None:
            if self._end is None and self.session.parting is not None:
                # Some clients close instead of answering GOODBYE.
                self._end = (self.session.parting, "")
            try:
                self.session.lost()
            except Exception:
                self.connections.faults.record("ending a session")

    def closed(self, how: End, detail: str = "") -> None:
        """The TCP connection is closed. ``how`` is the reason, unless the server has closed it."""
        try:
            self._closed(how, detail)
        except Exception:
            self.connections.faults.record("closing a connection")

    # Called by the outbound half and by the set of connections.

    def end(self, end: End, detail: str = "") -> None:
        """Close now, without waiting for queued frames."""
        if self._end is None:
            self._end = (end, detail)
        if self.outbound is not None and self.outbound.is_open:
            self.close_now(end)
            if end is End.FLOOD:
                # The client would continue to send. If it does not answer, the close is over in a second.
                self.pause(True)

    def cut(self, end: End) -> None:
        """Drop the connection, and free its outbound queue."""
        if self._end is None:
            self._end = (end, "")
        self.drop()

    def count_as(self, admission: Admission) -> None:
        """Count in the limit of unauthenticated connections, and be dropped when the limit says so."""
        self.admission = admission
        admission.drop = self._drop_unauthenticated

    def wake_at(self, when: float) -> None:
        """Schedule the next ``wake`` of the session."""
        if when != self._armed_for:
            self.disarm()
            if when != math.inf:
                delay = max(0, when - self.connections.clock.seconds())
                self._call = self.connections.clock.callLater(delay, self._wake)
            self._armed_for = when

    def pause(self, is_paused: bool) -> None:
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            if is_paused:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    # Internal.

    def _drop_unauthenticated(self, why: str) -> None:
        if self._end is None:
            self._end = (End.REFUSED, why)
        self.drop()

    def linger(self) -> None:
        """Abort the connection if its last bytes are not sent in time."""
        self.disarm()
        self._call = self.connections.clock.callLater(LINGER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._call = None
        self.transport.abortConnection()

    def disarm(self) -> None:
        self._armed_for = math.inf
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def leave_the_limit(self) -> None:
        if self.admission is not None:
            self.admission.leave()
            self.admission = None

    def _wake(self) -> None:
        self._call = None
        self._armed_for = math.inf
        try:
            if self.session is None:
                self._end = (End.SILENT, "no handshake")
                self.drop()
            else:
                self.session.wake(self.connections.clock.seconds())
        except Exception:
            self.fault("at a session's deadline")

    def _closed(self, how: End, detail: str) -> None:
        self.disarm()
        self.leave_the_limit()
        self.shut()
        session, self.session = self.session, None
        if self.outbound is not None:
            self.connections.backpressure.forget(self.outbound)
            # It refers back to this connection: the garbage collector would have to find the cycle.
            self.outbound = None
        end, why = self._end or (how, detail)
        if session is None:
            fields = {"event": "connection.refused", "peer": self.peer, "reason": why or end}
            self.connection_log.emit(LogLevel.warn, "{peer} refused: {reason}", **fields)
            return
        user = session.identity.authid if session.id else "-"
        self.connections.closed(self, end)
        self.connection_log.emit(
            LogLevel.warn if end in MISBEHAVED else LogLevel.info,
            "{peer} closed: {reason}{detail} session={session} user={user}",
            event="connection.closed",
            peer=self.peer,
            reason=end,
            detail=f" ({why})" if why else "",
            session=session.id or "-",
            user=user,
        )


class WampConnection(Connection):
    """A connection that speaks WAMP."""

    router: Router
    session: Session | None = None
    outbound: WampOutbound | None = None

    def begin(self, outbound: WampOutbound) -> Session:
        return Session(self.router, outbound, opened=self.opened_at)

    def take(self, payload: bytes) -> None:
        session = self.session
        assert session is not None and self.outbound is not None
        is_long = len(payload) > LONGEST_HELLO
        if session.state is State.CONNECTED and is_long:
            session.violate(ProtocolViolation(f"a HELLO of more than {LONGEST_HELLO} bytes"))
            return
        if session.state is State.LEAVING and (is_long or not self.affords_a_frame()):
            return
        serializer = self.outbound.format.serializer
        is_ticket = is_long and session.state is State.CHALLENGED
        decode = serializer.decode_ticket if is_ticket else serializer.decode
        try:
            raw = decode(payload)
        except (ValueError, RecursionError):
            session.violate(ProtocolViolation(f"not {serializer.name}"))
        else:
            session.receive(raw, self.connections.clock.seconds(), len(payload))
