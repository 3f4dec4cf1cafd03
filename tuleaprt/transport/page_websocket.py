"""Pages over WebSocket: from the beginning, or by the upgrade of a session over polling.

::

    client     GET …&transport=websocket&sid=<sid>    2probe       5
    server                                     101    3probe       the packets that the client has not got yet

Source: Engine.IO protocol 4, "Upgrade". Until the upgrade is complete, the session stays with the polling.
"""

from typing import Any

from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IAddress

from tuleaprt.configuration.options import WebSocket
from tuleaprt.errors import ProtocolViolation
from tuleaprt.operations.logs import network_of
from tuleaprt.socketio.packets import PING, PONG, PROBE, UPGRADE
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.outbound import Writer
from tuleaprt.transport.page import FRAMES, PageConnection, PageOutbound, new_sid, text_frame
from tuleaprt.transport.polling import PollingConnection, Polls, opening
from tuleaprt.transport.websocket import Allows, AnyWebSocketFactory, WebSocketTransport
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.outlet import End

ENGINE = "4"
"""The version of Engine.IO."""


class SocketOutbound(PageOutbound):
    """Sends packets in WebSocket frames."""

    __slots__ = ()

    def first_missing(self, subscription: Subscription) -> int:
        return self.fanout.first_of(subscription)

    def commit(self) -> None:
        """Does nothing: an event is handed over when it is written."""

    def enter(self, namespace: str) -> None:
        self.format = FRAMES[namespace]

    def write(self, data: bytes) -> None:
        """Write an event."""
        if data:
            self._hand(data, self.fanout.publication)

    def put(self, packet: bytes, publication: int = 0) -> None:
        self._hand(text_frame(packet), publication)

    def _hand(self, frame: bytes, publication: int) -> None:
        Writer.write(self, frame)
        # A connection that was behind has been closed, without this event.
        if publication and self.is_open:
            self.handed = publication


class PageWebSocket(PageConnection, WebSocketTransport):  # type: ignore[misc]
    """A WebSocket of a page. While ``polling`` is set, it is being tested."""

    factory: "PageWebSocketFactory"
    transport_name = "websocket"
    outbound: SocketOutbound | None = None
    polling: PollingConnection | None = None
    _has_passed = False

    def negotiate(self, request: ConnectionRequest) -> None:
        """Engine.IO's part of the handshake. There is no subprotocol."""
        if request.params.get("EIO") != [ENGINE] or request.params.get("transport") != ["websocket"]:
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, "this is not Engine.IO 4 over WebSocket")
        if (sids := request.params.get("sid")) is None:
            return
        polling = self.factory.polls.get(sids[0])
        if polling is None or not polling.begin_probe(self):
            raise ConnectionDeny(ConnectionDeny.BAD_REQUEST, "no session that can be upgraded")
        self.polling = polling

    def is_one_more(self, request: ConnectionRequest) -> bool:
        return "sid" not in request.params

    def onOpen(self) -> None:
        if self.polling is not None:
            self.wake_at(self.opened_at + self.pages.open_timeout)
            return
        self.open(SocketOutbound(self))
        if self.outbound is not None:
            self.outbound.put(opening(self.factory.options, self.connections, new_sid(), []))

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.polling is not None:
            try:
                self._test(self.polling, b"" if isBinary else payload)
            except Exception:
                self.fault("upgrading to a WebSocket")
        elif isBinary:
            self.violated(ProtocolViolation("a binary packet"))
        else:
            self.received(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if self.polling is not None:
            self.polling.end_probe(self)
            self.closed(End.REFUSED, "the upgrade was not completed")
        else:
            super().onClose(wasClean, code, reason)

    def _test(self, polling: PollingConnection, packet: bytes) -> None:
        if packet == PING + PROBE and not self._has_passed:
            self._has_passed = True
            self.sendMessage(PONG + PROBE)
            polling.let_go()
        elif packet == UPGRADE and self._has_passed:
            self._take_over(polling)
        else:
            self._end = (End.REFUSED, "no packet of an upgrade")
            self.drop()

    def _take_over(self, polling: PollingConnection) -> None:
        self.polling = None
        self.disarm()
        page, left, ending = polling.hand_over()
        self.connections.move(polling, self)
        outbound = self.outbound = SocketOutbound(self)
        self.session = page
        if page.is_joined:
            self.leave_the_limit()
        page.move(outbound)
        for packet, publication in left:
            outbound.put(packet, publication)
        if ending is not None:
            # The session ended during the test. Its former connection closes no more.
            outbound.close(*ending)
        elif self.connections.is_shut_down:
            # The shutdown knows the former connection only.
            outbound.close(End.SHUTDOWN)


class PageWebSocketFactory(AnyWebSocketFactory):
    """Makes PageWebSockets."""

    connection_class = PageWebSocket

    def __init__(
        self, connections: Connections, polls: Polls, options: WebSocket, *, served: str, allows: Allows
    ) -> None:
        self.polls = polls
        self.options = options
        super().__init__(connections, options, served=served, allows=allows, pings=False)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = super().buildProtocol(addr)
        connection.pages = self.polls.pages
        network = network_of(getattr(addr, "host", ""))
        connection.count_as(self.polls.unauthenticated.enter(network, lambda why: None))
        return connection
