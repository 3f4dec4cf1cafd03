"""A TCP proxy whose connections can be cut or stalled. Stalled, it forwards nothing and closes nothing."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from tests.end_to_end.processes import patiently


class Line:
    """What lies between a page and the server: it can be cut, and mended at the same address.

    ``stalled`` are the transports that are not read from.
    """

    def __init__(self, server_port: int) -> None:
        self.connections: list[ProxyServer] = []
        self.stalled: list[Any] = []
        self._opened: Deferred[None] = Deferred()
        line = self

        class Proxy(ProxyServer):
            def connectionMade(self) -> None:
                line.connections.append(self)
                opened, line._opened = line._opened, Deferred()
                opened.callback(None)
                super().connectionMade()

        self.factory = ProxyFactory("127.0.0.1", server_port)
        self.factory.protocol = Proxy
        self.factory.noisy = False
        self.listening: IListeningPort = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.port = self.listening.getHost().port

    def another(self) -> Deferred[None]:
        """The next connection that a client opens."""
        return patiently(self._opened, "another connection")

    async def cut(self) -> None:
        await self.listening.stopListening()
        for connection in self.connections:
            connection.transport.abortConnection()
        self.connections.clear()
        self.stalled.clear()

    def stall(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Forward nothing more of the connections that there are now; new ones are forwarded."""
        for connection in self.connections:
            if connection.peer is None:  # it is closed
                continue
            if to_server:
                self.stalled.append(connection.transport)
            if to_client:
                self.stalled.append(connection.peer.transport)
        for transport in self.stalled:
            transport.pauseProducing()

    def release(self) -> None:
        """Forward what has come meanwhile."""
        for transport in self.stalled:
            transport.resumeProducing()
        self.stalled.clear()

    def mend(self) -> None:
        self.listening = reactor.listenTCP(self.port, self.factory, interface="127.0.0.1")
