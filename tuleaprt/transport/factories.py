"""The factories of the transports: the options of Autobahn put right, and who may open what."""

from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from tuleaprt.config import WebSocket
from tuleaprt.transport.forwarded import known_proxies
from tuleaprt.transport.hub import Hub
from tuleaprt.transport.lean import prepared
from tuleaprt.transport.lobby import Lobby
from tuleaprt.transport.rawsocket import RawSocketConnection
from tuleaprt.transport.websocket import WebSocketConnection
from tuleaprt.wamp.router import Router

Allows = Callable[[str, str], bool]
"""Whether a page of this Origin may connect to this Host, both as their headers have them."""


class WebSocketFactory(WebSocketServerFactory):
    """Makes WebSocketConnections. They get the whole head of a request at once, from an Entrance.

    Raises:
        ConfigError: an option cannot be understood.
    """

    noisy = False

    def __init__(self, hub: Hub, router: Router, options: WebSocket, *, allows: Allows) -> None:
        super().__init__(server="", reactor=hub.clock)
        self.hub = hub
        self.router = router
        self.allows = allows
        self.proxies = known_proxies(options.forwarded_for)
        # Origins are checked in WebSocketConnection: Autobahn's patterns always want a port.
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            failByDrop=False,
            maxFramePayloadSize=hub.max_message_size,
            maxMessagePayloadSize=hub.max_message_size,
            openHandshakeTimeout=0,
            autoPingInterval=options.ping_interval,
            autoPingTimeout=options.ping_timeout,
        )

    def limit_messages(self) -> None:
        """Hold those who connect from now on to what the hub has as the longest message."""
        longest = self.hub.max_message_size
        self.setProtocolOptions(maxFramePayloadSize=longest, maxMessagePayloadSize=longest)

    def setProtocolOptions(self, **options: Any) -> None:  # type: ignore[override]
        super().setProtocolOptions(**options)
        self._connection_class = prepared(WebSocketConnection, self)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = self._connection_class()
        connection.hub, connection.router = self.hub, self.router
        connection.opened_at = self.hub.clock.seconds()
        return connection


class RawSocketFactory(Factory):
    """Makes RawSocketConnections."""

    noisy = False

    def __init__(self, hub: Hub, router: Router, options: WebSocket, *, lobby: Lobby) -> None:
        self.hub = hub
        self.router = router
        self.options = options
        self.lobby = lobby

    def buildProtocol(self, addr: IAddress | None) -> Any:
        connection = RawSocketConnection()
        connection.factory = self
        connection.hub, connection.router = self.hub, self.router
        connection.opened_at = self.hub.clock.seconds()
        return connection
