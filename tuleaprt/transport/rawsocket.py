"""Clients over RawSocket (WAMP: RawSocket Transport).

::

    handshake   7F  <longest, serializer>  00 00     both ways; the longest message is 2^(9 + its four bits)
                7F  <error, 0>             00 00     the answer to a handshake that is refused
    frame       <type>  <length, 3 octets>  <payload>

A peer receives no message longer than it has announced. Autobahn's protocol has no PING and no errors of
the handshake, and reads a PING as a length, so it is not used. Because clients with Autobahn cannot read
a PING, the server sends none: TCP keep-alive finds dead connections instead.
"""

from socket import IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_USER_TIMEOUT
from typing import Any

from autobahn.twisted.util import peer2str
from autobahn.wamp import message as wamp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tuleaprt.configuration.options import WebSocket
from tuleaprt.errors import ProtocolViolation
from tuleaprt.operations.logs import network_of
from tuleaprt.transport.connection import WampConnection
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.outbound import LimitedOutbound, Outbound
from tuleaprt.transport.serializers import (
    RAWSOCKET_FORMATS,
    RAWSOCKET_HEADER,
    RAWSOCKET_LONGEST,
    RAWSOCKET_MESSAGE,
    RAWSOCKET_PING,
    RAWSOCKET_PONG,
    rawsocket_frame,
)
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.router import Router

MAGIC = 0x7F
HANDSHAKE = 4
NO_SUCH_SERIALIZER, RESERVED_BITS, TOO_MANY_CONNECTIONS = 1, 3, 4
"""Errors of the handshake. Error 2, an unacceptable length, does not occur."""

PROBES = 4
LONGEST_PROBE = 32_767
"""TCP keep-alive: the number of probes, and the longest interval in seconds that the kernel accepts
(tcp(7)).
"""

FAREWELLS = {
    End.SHUTDOWN: "wamp.close.system_shutdown",
    End.TOO_LONG: "wamp.error.payload_size_exceeded",
}
"""RawSocket has no close codes, so GOODBYE carries these reasons."""


class RawSocketConnection(WampConnection, Protocol):
    """Reads frames by itself, because Autobahn's protocol cannot read a PING."""

    factory: "RawSocketFactory"
    kind = "rawsocket"

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connectionMade(self) -> None:
        self.peer = peer2str(self.transport)
        if self.admission is None:
            network = network_of(getattr(self.transport.getPeer(), "host", ""))
            self.count_as(self.factory.unauthenticated.enter(network, self._drop_unauthenticated))
        self.wake_at(self.opened_at + self.router.open_timeout)
        try:
            self.bound_reads()
            if isinstance(self.transport.getHost(), IPv4Address | IPv6Address):
                self._keep_alive()
        except Exception:
            self.fault("accepting a RawSocket")

    def dataReceived(self, data: bytes) -> None:
        if self._end is not None:
            return
        self._buffer += data
        try:
            if self.outbound is None and len(self._buffer) >= HANDSHAKE:
                handshake = bytes(self._buffer[:HANDSHAKE])
                del self._buffer[:HANDSHAKE]
                self._shake_hands(handshake)
            self._read_frames()
        except Exception:
            self.fault("reading a RawSocket")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.outbound is None:
            self.closed(End.REFUSED, "no RawSocket handshake")
        else:
            self.closed(End.LOST)

    def close_now(self, end: End) -> None:
        assert self.outbound is not None
        reason = FAREWELLS.get(end)
        if reason is not None and self.session is not None and self.session.is_joined:
            self.outbound.write(self.outbound.format.frame(wamp.Goodbye(reason).marshal()))
        self._lose()

    def drop(self) -> None:
        self.shut()
        self.transport.abortConnection()

    def _keep_alive(self) -> None:
        """Have the kernel find dead connections, as pings do for WebSocket."""
        options = self.factory.options
        self.transport.setTcpNoDelay(True)
        silence, patience = max(1, int(options.ping_interval)), max(1, int(options.ping_timeout))
        self.transport.setTcpKeepAlive(True)
        socket = self.transport.getHandle()
        socket.setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, min(silence, LONGEST_PROBE))
        socket.setsockopt(IPPROTO_TCP, TCP_KEEPINTVL, min(max(1, patience // PROBES), LONGEST_PROBE))
        socket.setsockopt(IPPROTO_TCP, TCP_KEEPCNT, PROBES)
        socket.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, min((silence + patience) * 1000, 2**31 - 1))

    def _lose(self) -> None:
        """Close when the last bytes have been sent, or after ``LINGER_SECONDS``."""
        self.shut()
        self.transport.loseConnection()
        self.linger()

    def _shake_hands(self, handshake: bytes) -> None:
        magic, asked, *reserved = handshake
        format = RAWSOCKET_FORMATS.get(asked & 0x0F)
        if magic != MAGIC:
            self._refuse(None, "not RawSocket")
        elif any(reserved):
            self._refuse(RESERVED_BITS, "reserved octets in the handshake")
        elif format is None:
            self._refuse(NO_SUCH_SERIALIZER, "no common serializer")
        elif self.connections.is_full or self.connections.is_shut_down:
            self._refuse(TOO_MANY_CONNECTIONS, "too many are connected, or the server is shutting down")
        else:
            ours = max(0, min(15, self.connections.max_message_size.bit_length() - 10))
            self.transport.write(bytes([MAGIC, ours << 4 | format.serializer.rawsocket_id, 0, 0]))
            longest = min(2 ** (9 + (asked >> 4)), RAWSOCKET_LONGEST)
            self.open(LimitedOutbound(self, format, longest=longest, header=RAWSOCKET_HEADER))

    def _refuse(self, error: int | None, why: str) -> None:
        self._end = (End.REFUSED, why)
        if error is not None:
            self.transport.write(bytes([MAGIC, error << 4, 0, 0]))
        self._lose()

    def _read_frames(self) -> None:
        buffer = self._buffer
        while self.outbound is not None and self.outbound.is_open and len(buffer) >= RAWSOCKET_HEADER:
            type, length = buffer[0], int.from_bytes(buffer[1:RAWSOCKET_HEADER])
            if type > RAWSOCKET_PONG:
                self.violated(ProtocolViolation("an unknown type of frame"))
            elif length > self.connections.max_message_size:
                self.violated(
                    ProtocolViolation(f"a message of more than {self.connections.max_message_size} bytes")
                )
            elif len(buffer) < RAWSOCKET_HEADER + length:
                return
            else:
                payload = bytes(buffer[RAWSOCKET_HEADER : RAWSOCKET_HEADER + length])
                del buffer[: RAWSOCKET_HEADER + length]
                self._read_frame(self.outbound, type, payload)

    def _read_frame(self, outbound: Outbound, type: int, payload: bytes) -> None:
        if type == RAWSOCKET_MESSAGE:
            self.received(payload)
        elif not self.affords_a_frame():
            self.end(End.FLOOD)
        elif type == RAWSOCKET_PING:
            if outbound.is_behind():
                self.end(End.SLOW)
            else:
                outbound.write(rawsocket_frame(payload, RAWSOCKET_PONG))


class RawSocketFactory(Factory):
    """Makes RawSocketConnections."""

    noisy = False

    def __init__(
        self,
        connections: Connections,
        router: Router,
        options: WebSocket,
        *,
        unauthenticated: UnauthenticatedLimit,
    ) -> None:
        self.connections = connections
        self.router = router
        self.options = options
        self.unauthenticated = unauthenticated

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = RawSocketConnection()
        connection.factory = self
        connection.connections, connection.router = self.connections, self.router
        connection.opened_at = self.connections.clock.seconds()
        return connection
