"""A line that can be cut."""

from twisted.internet import reactor
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.portforward import ProxyFactory, ProxyServer


class Line:
    """What lies between a page and the server: it can be cut, and mended at the same address."""

    def __init__(self, server_port: int) -> None:
        self.connections: list[ProxyServer] = []
        line = self

        class Proxy(ProxyServer):
            def connectionMade(self) -> None:
                line.connections.append(self)
                super().connectionMade()

        self.factory = ProxyFactory("127.0.0.1", server_port)
        self.factory.protocol = Proxy
        self.factory.noisy = False
        self.listening: IListeningPort = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.port = self.listening.getHost().port

    async def cut(self) -> None:
        await self.listening.stopListening()
        for connection in self.connections:
            connection.transport.abortConnection()
        self.connections.clear()

    def mend(self) -> None:
        self.listening = reactor.listenTCP(self.port, self.factory, interface="127.0.0.1")
