"""One client, over whatever transport: its session, its line, and their one delayed call.

The transports inherit from this. Nothing that a peer sends may raise past it: what the protocol has no answer
for is recorded as a fault, and the connection ends.
"""

import math
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from tuleaprt.errors import ProtocolViolation
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.outbound import Outbound
from tuleaprt.transport.serializers import WireFormat
from tuleaprt.transport.unauthenticated import Admission
from tuleaprt.wamp.outlet import MISBEHAVED, End
from tuleaprt.wamp.rate import Bucket
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import Session, State

READ_BYTES = 4096

FRAMES_PER_SECOND, FRAMES_AT_ONCE = 10, 100
"""Frames that are no messages: a good client sends one in many seconds."""

LONGEST_HELLO = 16_384
"""Of what comes before the session, only a ticket may be longer."""

LINGER_SECONDS = 5
"""How long a closed connection may take to send its last bytes."""


class Connection:
    """What is the same for every transport. The transport says what it is, and how it closes."""

    connections: Connections
    router: Router
    transport: Any
    session: Session | None = None
    outbound: Outbound | None = None
    admission: Admission | None = None
    """How it is counted until the client has authenticated."""
    opened_at: float
    """When the TCP connection was made, in seconds since the epoch: the open timeout begins there."""
    connection_log = Logger()
    _call: IDelayedCall | None = None
    _armed_for = math.inf
    _end: tuple[End, str] | None = None
    _is_paused = False
    _frames: Bucket | None = None

    # Of the transport.

    kind: str
    """``websocket`` or ``rawsocket``."""

    peer: str
    """``tcp4:127.0.0.1:40312``, or ``203.0.113.9 via tcp4:127.0.0.1:40312`` if that is a proxy."""

    def close_now(self, end: End) -> None:
        """Say why in the way of the transport, and close."""

    def drop(self) -> None:
        """End the TCP connection without a word."""

    # What the transport calls.

    def open(self, outbound: Outbound) -> None:
        """The transport's own handshake is done."""
        try:
            self.outbound = outbound
            self.session = Session(self.router, outbound, opened=self.opened_at)
            self.connections.opened(self)
        except Exception:
            self.fault("opening a session")

    def received(self, payload: bytes) -> None:
        """A whole message has come."""
        if self.session is None or self.outbound is None or not self.outbound.is_open:
            return
        try:
            self._receive(self.session, self.outbound.format, payload)
        except Exception:
            self.fault("answering a message")

    def bound_reads(self) -> None:
        """Have the reactor read little at once: what one client has sent is not to hold up the others."""
        # Under TLS it is the connection below that reads.
        connection = getattr(self.transport, "transport", self.transport)
        if isinstance(connection, FileDescriptor):
            connection.bufferSize = READ_BYTES

    def affords_a_frame(self) -> bool:
        """Whether the client may send another frame that is no message: a ping, a pong, a continuation."""
        now = self.connections.clock.seconds()
        if self._frames is None:
            self._frames = Bucket(FRAMES_PER_SECOND, FRAMES_AT_ONCE, now)
        return self._frames.take(now)

    def violated(self, violation: ProtocolViolation) -> None:
        """The transport has found that the client does not keep to WAMP."""
        if self.session is not None:
            self.session.violate(violation)

    def fault(self, where: str) -> None:
        """Record the exception that is being handled, and end the connection."""
        self.connections.faults.record(where)
        if self.outbound is not None and self.outbound.is_open:
            self.end(End.FAULT)
        else:
            self.drop()

    def shut(self) -> None:
        """Nothing more may be sent, so the session is over, however long the connection takes to go."""
        if self.outbound is not None:
            self.outbound.shut()
        if self.session is not None:
            if self._end is None and self.session.parting is not None:
                # Some answer GOODBYE by closing.
                self._end = (self.session.parting, "")
            try:
                self.session.lost()
            except Exception:
                self.connections.faults.record("ending a session")

    def closed(self, how: End, detail: str = "") -> None:
        """The TCP connection is gone: ``how``, if nobody here has ended it."""
        try:
            self._closed(how, detail)
        except Exception:
            self.connections.faults.record("closing a connection")

    # What its line and the connections call.

    def end(self, end: End, detail: str = "") -> None:
        """Close now, whatever is queued."""
        if self._end is None:
            self._end = (end, detail)
        if self.outbound is not None and self.outbound.is_open:
            self.close_now(end)
            if end is End.FLOOD:
                # He would go on; without his answer the close is over in a second.
                self.pause(True)

    def cut(self, end: End) -> None:
        """End it without a word, and free what waits for the peer."""
        if self._end is None:
            self._end = (end, "")
        self.drop()

    def count_as(self, admission: Admission) -> None:
        """Be counted so until the client has authenticated, and go when the unauthenticated says so."""
        self.admission = admission
        admission.drop = self._drop_unauthenticated

    def wake_at(self, when: float) -> None:
        """See to it that the session is woken then."""
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

    # Its own.

    def _drop_unauthenticated(self, why: str) -> None:
        if self._end is None:
            self._end = (End.REFUSED, why)
        self.drop()

    def linger(self) -> None:
        """Reset who does not take his last bytes in time."""
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

    def _receive(self, session: Session, format: WireFormat, payload: bytes) -> None:
        is_long = len(payload) > LONGEST_HELLO
        if session.state is State.CONNECTED and is_long:
            session.violate(ProtocolViolation(f"a HELLO of more than {LONGEST_HELLO} bytes"))
            return
        if session.state is State.LEAVING and (is_long or not self.affords_a_frame()):
            return
        serializer = format.serializer
        is_ticket = is_long and session.state is State.CHALLENGED
        decode = serializer.decode_ticket if is_ticket else serializer.decode
        try:
            raw = decode(payload)
        except (ValueError, RecursionError):
            session.violate(ProtocolViolation(f"not {serializer.name}"))
        else:
            session.receive(raw, self.connections.clock.seconds(), len(payload))
            if self.admission is not None and session.is_joined:
                self._leave_the_limit()
                self.connections.authenticated(self)

    def _leave_the_limit(self) -> None:
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
        self._leave_the_limit()
        self.shut()
        session, self.session = self.session, None
        if self.outbound is not None:
            self.connections.backpressure.forget(self.outbound)
            # It refers to this: they would wait for Python to find the cycle.
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
