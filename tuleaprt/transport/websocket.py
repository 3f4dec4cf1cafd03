"""Clients over WebSocket (RFC 6455; WAMP: WebSocket Transport): Autobahn's protocol with a Connection."""

import re
from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IAddress

from tuleaprt.configuration.options import WebSocket
from tuleaprt.errors import ProtocolViolation
from tuleaprt.operations.logs import is_of_a_parser, network_of
from tuleaprt.transport.autobahn import ServerProtocol, prepared
from tuleaprt.transport.connection import Connection, WampConnection
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.outbound import WampOutbound
from tuleaprt.transport.request_headers import InvalidHead, check_handshake, client_of, known_proxies
from tuleaprt.transport.serializers import WEBSOCKET_FORMATS
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.router import Router

PATH = "/ws"
RETRY_AFTER_SECONDS = 5
CONNECTING: int = WebSocketServerProtocol.STATE_CONNECTING
CLOSED: int = WebSocketServerProtocol.STATE_CLOSED

END_OF_HEAD = b"\r\n\r\n"

_REASON = re.compile(r"[^\"'(:\d]*[^\"'(:\d -]")
"""The constant part of Autobahn's reasons. The rest quotes the peer."""

_HEADERS: dict[int, list[tuple[str, object]]] = {
    405: [("Allow", "GET")],
    426: [("Upgrade", "websocket"), ("Connection", "Upgrade")],
    503: [("Retry-After", RETRY_AFTER_SECONDS)],
}
"""Headers that an answer with this status must or should have (RFC 9110, 15.5.6, 15.5.22)."""

CLOSE_CODES = {
    End.GOODBYE: 1000,
    End.EXPIRED: 1000,
    End.KILLED: 1000,
    End.REPLACED: 1000,
    End.REVOKED: 1000,
    End.REFUSED: 1000,
    End.VIOLATION: 1002,
    End.SILENT: 1008,
    End.FLOOD: 1008,
    End.UNANSWERED: 1008,
    End.FAULT: 1011,
    End.SHUTDOWN: 1012,
    End.SLOW: 1013,
}
"""RFC 6455, 7.4, and its registry: 1012 service restart, 1013 try again later."""


Allows = Callable[[str, str], bool]
"""Whether a page of this Origin header may connect to this Host header."""


class WebSocketTransport(Connection, ServerProtocol):  # type: ignore[misc]
    """One WebSocket, whatever it carries. Methods in camel case are Autobahn's."""

    factory: "AnyWebSocketFactory"
    _is_hopeless = False

    def negotiate(self, request: ConnectionRequest) -> str | None:
        """The subprotocol of a handshake that is good otherwise; None: without one.

        Raises:
            ConnectionDeny: with the HTTP status of the refusal.
        """
        raise NotImplementedError

    def is_one_more(self, request: ConnectionRequest) -> bool:
        """Whether the handshake is for another client, and not for one that is connected already."""
        return True

    def connectionMade(self) -> None:
        try:
            super().connectionMade()
            self.bound_reads()
        except Exception:
            self.connections.faults.record("accepting a WebSocket")
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        try:
            super().dataReceived(self._checked(data) if self.state == CONNECTING else data)
        except InvalidHead as error:
            self._refuse(str(error))
        except Exception as error:
            self._broke_off(error)

    def onFrameBegin(self) -> None:
        """Called by Autobahn after the header of a frame."""
        if (self.current_frame.opcode > 7 or self.inside_message) and not self.affords_a_frame():
            self.end(End.FLOOD)
        super().onFrameBegin()

    def onConnect(self, request: ConnectionRequest) -> str | None:
        try:
            self._name_the_client()
            self._check(request)
            return self.negotiate(request)
        except ConnectionDeny as denied:
            self._end = (End.REFUSED, str(denied.reason))
            raise
        except Exception:
            # Autobahn would answer with the text of the exception, and not log it.
            self.connections.faults.record("answering a handshake")
            self._end = (End.FAULT, "")
            raise ConnectionDeny(ConnectionDeny.INTERNAL_SERVER_ERROR, "internal error") from None

    def succeedHandshake(self, res: Any) -> None:
        """Called by Autobahn from a Deferred, which would swallow an exception."""
        try:
            super().succeedHandshake(res)
        except Exception as error:
            self._broke_off(error)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Called by Autobahn for a wrong handshake. The reason may quote up to 16 KiB of the peer's input."""
        if self._end is None:
            match = _REASON.match(reason)
            reason = match[0] if match is not None else "no WebSocket handshake"
            self._end = (End.REFUSED, repr(reason))
        super().failHandshake(reason, code, [*(responseHeaders or ()), *_HEADERS.get(code, ())])

    def dropConnection(self, abort: bool = False) -> None:
        """Close the TCP connection. Where Autobahn aborts because the close was not answered, close it
        without a reset.

        A reset would overtake the last frames, and a browser would report a lost connection. A client may
        take more than the second that Autobahn gives it to answer. A client that does not read the last
        frames in time is reset after all.
        """
        self.shut()
        was_connected = self.state != CLOSED
        super().dropConnection(abort and self._is_hopeless)
        if was_connected and not self._is_hopeless:
            self.linger()

    def onAutoPingTimeout(self) -> None:
        self._end = self._end or (End.UNANSWERED, "")
        self._is_hopeless = True
        super().onAutoPingTimeout()

    def onPing(self, payload: bytes) -> None:
        if self.outbound is not None and self.outbound.is_behind():
            self.end(End.SLOW)
        else:
            super().onPing(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self.outbound is None:
            self.closed(End.REFUSED, "no WebSocket handshake")
        elif self.failedByMe:
            self.closed(End.VIOLATION, f"WebSocket, close code {self.localCloseCode}")
        else:
            self.closed(End.CLOSED if wasClean else End.LOST)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Called by Autobahn for everything that it sends itself."""
        super().sendData(data)
        if self.outbound is not None:
            self.outbound.recheck()

    def sendCloseFrame(self, *args: Any, **kwargs: Any) -> None:
        self.shut()
        super().sendCloseFrame(*args, **kwargs)

    def close_now(self, end: End) -> None:
        """Send a close frame. Autobahn drops the connection if the close is not answered within a second."""
        self.sendCloseFrame(code=CLOSE_CODES[end], reasonUtf8=end.encode())

    def drop(self) -> None:
        self._is_hopeless = True
        self.dropConnection(abort=True)
        # Autobahn does nothing if it has told the transport to close before.
        self.transport.abortConnection()

    def _checked(self, data: bytes) -> bytes:
        """The data with a head that Autobahn reads correctly.

        Raises:
            InvalidHead: it is not HTTP/1, or not a WebSocket handshake.
        """
        head, end, rest = data.partition(END_OF_HEAD)
        check_handshake(head)
        # Autobahn takes this octet for the end of a line, and a header may contain it.
        return head.replace(b"\x85", b"?") + end + rest

    def _refuse(self, text: str) -> None:
        """Refuse the handshake with a text that does not quote the peer."""
        self._end = (End.REFUSED, repr(text))
        self.failHandshake(text)

    def _broke_off(self, error: Exception) -> None:
        """Handle the current exception, raised by Autobahn or by code that it has called."""
        if not is_of_a_parser(error):
            self.fault("reading a WebSocket")
        elif self.state == CONNECTING:
            self._refuse("this cannot be read")
        elif self.outbound is not None and self.outbound.is_open:
            self.end(End.VIOLATION, "this cannot be read")
        else:
            self.drop()

    def _name_the_client(self) -> None:
        """Behind a known proxy, add the client's address to the peer's name, and count the connection for
        it.
        """
        peer = getattr(self.transport.getPeer(), "host", None)
        if client := client_of(peer, self.http_request_data, self.factory.proxies):
            self.peer = f"{client} via {self.peer}"
            if self.admission is not None:
                self.admission.move(network_of(client))

    def _check(self, request: ConnectionRequest) -> None:
        """
        Raises:
            ConnectionDeny: with the HTTP status of the refusal.
        """
        if self.connections.is_shut_down:
            raise ConnectionDeny(ConnectionDeny.SERVICE_UNAVAILABLE, "this server is shutting down")
        if self.connections.is_full and self.is_one_more(request):
            raise ConnectionDeny(ConnectionDeny.SERVICE_UNAVAILABLE, "too many are connected")
        if request.path != self.factory.served:
            raise ConnectionDeny(ConnectionDeny.NOT_FOUND, "not found")
        origin, host = request.headers.get("origin"), request.headers["host"]
        if origin is not None and not self.factory.allows(origin, host):
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "this origin may not connect")


class WebSocketConnection(WampConnection, WebSocketTransport):  # type: ignore[misc]
    """A WebSocket that carries WAMP."""

    kind = "websocket"
    _subprotocol = ""

    def negotiate(self, request: ConnectionRequest) -> str:
        for subprotocol in request.protocols:
            if subprotocol in WEBSOCKET_FORMATS:
                self._subprotocol = str(subprotocol)
                return self._subprotocol
        names = ", ".join(WEBSOCKET_FORMATS)
        raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, f"the subprotocols here are {names}")

    def onOpen(self) -> None:
        self.open(WampOutbound(self, WEBSOCKET_FORMATS[self._subprotocol]))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        assert self.outbound is not None
        if isBinary == self.outbound.format.serializer.is_binary:
            self.received(payload)
        else:
            kind = "binary" if isBinary else "text"
            self.violated(ProtocolViolation(f"a {kind} message in {self._subprotocol}"))


class AnyWebSocketFactory(WebSocketServerFactory):
    """Makes WebSockets of one kind, and passes them the whole head of their request at once. ``served`` is
    the path.

    Raises:
        ConfigError: an option is wrong.
    """

    noisy = False
    connection_class: type[WebSocketTransport]

    def __init__(
        self, connections: Connections, options: WebSocket, *, served: str, allows: Allows, pings: bool
    ) -> None:
        super().__init__(server="", reactor=connections.clock)
        self.connections = connections
        self.served = served
        self.allows = allows
        self.proxies = known_proxies(options.forwarded_for)
        # Autobahn's patterns for origins require a port, so WebSocketTransport checks origins itself.
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            failByDrop=False,
            maxFramePayloadSize=connections.max_message_size,
            maxMessagePayloadSize=connections.max_message_size,
            openHandshakeTimeout=0,
            autoPingInterval=options.ping_interval if pings else 0,
            autoPingTimeout=options.ping_timeout if pings else 0,
        )

    def limit_messages(self) -> None:
        """Apply the longest message to connections that are opened from now on."""
        longest = self.connections.max_message_size
        self.setProtocolOptions(maxFramePayloadSize=longest, maxMessagePayloadSize=longest)

    def setProtocolOptions(self, **options: Any) -> None:  # type: ignore[override]
        super().setProtocolOptions(**options)
        self._prepared_class = prepared(self.connection_class, self)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = self._prepared_class()
        connection.connections = self.connections
        connection.opened_at = self.connections.clock.seconds()
        return connection


class WebSocketFactory(AnyWebSocketFactory):
    """Makes WebSocketConnections."""

    connection_class = WebSocketConnection

    def __init__(
        self, connections: Connections, router: Router, options: WebSocket, *, allows: Allows
    ) -> None:
        self.router = router
        super().__init__(connections, options, served=PATH, allows=allows, pings=True)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = super().buildProtocol(addr)
        connection.router = self.router
        return connection
