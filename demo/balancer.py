"""One address for several servers: each connection goes to a server that answers. For the live page only.

Connections take the servers in turn. Requests of Tuleap's own pages, which poll, all go to the first server
that answers: all requests of such a page must reach the same one.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

PAGES = b" /local-socket.io/"


class Balancer(Factory):
    """``ports`` are those of the servers on this machine."""

    noisy = False

    def __init__(self, reactor: Any, ports: Sequence[int]) -> None:
        self.reactor = reactor
        self._ports = ports
        self._numbers = count()

    def buildProtocol(self, addr: object) -> "Incoming":
        return Incoming(self)

    def order(self, head: bytes) -> list[int]:
        """The ports to try for a connection that begins with this."""
        first = 0 if PAGES in head.partition(b"\r\n")[0] else next(self._numbers) % len(self._ports)
        return [*self._ports[first:], *self._ports[:first]]


class Incoming(Protocol):
    """A connection of a client. It is connected to a server when its first bytes are there."""

    transport: Any

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._outgoing: Outgoing | None = None
        self._held = b""
        self._is_lost = False

    def dataReceived(self, data: bytes) -> None:
        if self._outgoing is not None:
            self._outgoing.transport.write(data)
            return
        is_first = not self._held
        self._held += data
        if is_first:
            self._connect(self._balancer.order(data))

    def _connect(self, ports: list[int]) -> None:
        if not ports or self._is_lost:
            self.transport.abortConnection()
            return
        endpoint = TCP4ClientEndpoint(self._balancer.reactor, "127.0.0.1", ports[0], timeout=2)
        factory = Factory.forProtocol(lambda: Outgoing(self))
        factory.noisy = False
        endpoint.connect(factory).addErrback(lambda _: self._connect(ports[1:]))

    def meet(self, outgoing: "Outgoing") -> None:
        self._outgoing = outgoing
        outgoing.transport.write(self._held)
        self.transport.registerProducer(outgoing.transport, True)
        outgoing.transport.registerProducer(self.transport, True)
        if self._is_lost:
            outgoing.transport.loseConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._is_lost = True
        if self._outgoing is not None:
            self._outgoing.transport.unregisterProducer()
            self._outgoing.transport.loseConnection()


class Outgoing(Protocol):
    """The connection to a server."""

    transport: Any

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming

    def connectionMade(self) -> None:
        self._incoming.meet(self)

    def dataReceived(self, data: bytes) -> None:
        self._incoming.transport.write(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._incoming.transport.unregisterProducer()
        self._incoming.transport.loseConnection()


def listen(reactor: Any, port: int, ports: Sequence[int]) -> Callable[[], Any]:
    """Listen on this port of this machine. The returned function stops it."""
    listening = reactor.listenTCP(port, Balancer(reactor, ports), interface="127.0.0.1")
    stop: Callable[[], Any] = listening.stopListening
    return stop
