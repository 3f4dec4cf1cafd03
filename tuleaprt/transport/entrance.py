"""Decides from the first bytes of a connection which protocol it speaks, and hands it over.

::

    7F …                       RawSocket, where it is enabled
    GET /ws …\r\n\r\n          WebSocket
    anything else …\r\n\r\n    the public site, with socket.io for Tuleap's pages

The whole head of the first request, at most 16 KiB, must arrive before the open timeout, which counts
from the TCP connection and includes a TLS handshake. For WebSocket and RawSocket the timeout continues
until the token, for the public site until its answer, so slow senders cannot hold a connection. The
protocol receives every byte; nothing is parsed here.
"""

import re
from typing import Any

from autobahn.twisted.util import peer2str
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger, LogLevel
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from tuleaprt.operations.logs import Faults, network_of
from tuleaprt.transport.connection import Connection
from tuleaprt.transport.rawsocket import MAGIC
from tuleaprt.transport.request_headers import Proxies, client_of
from tuleaprt.transport.unauthenticated import Admission, UnauthenticatedLimit

MAX_HEAD = 16_384
END_OF_HEAD = b"\r\n\r\n"
HEAD_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
_WEBSOCKET = re.compile(rb"GET /ws[ ?]")


LINGER_SECONDS = 5
"""How long a refused connection may take to close. Over TLS, the close waits for the peer's."""


class Entrance(Protocol):
    """Owns a connection and its open timeout until the protocol is known."""

    factory: "EntranceFactory"
    log = Logger()
    transport: Any
    _call: IDelayedCall
    _admission: Admission
    _site: Any = None
    _is_refused = False
    _waits = False

    def connectionMade(self) -> None:
        factory = self.factory
        self._head = b""
        self._opened_at = factory.clock.seconds()
        self._call = factory.clock.callLater(factory.open_timeout, self._refuse, "the open timeout is over")
        peer = network_of(getattr(self.transport.getPeer(), "host", ""))
        self._admission = factory.unauthenticated.enter(peer, self._drop)

    def dataReceived(self, data: bytes) -> None:
        if self._is_refused:
            return
        try:
            if self._site is not None:
                self._site.dataReceived(data)
            else:
                self._look(data)
        except Exception:
            self.factory.faults.record("at the entrance")
            self.transport.abortConnection()

    def _look(self, data: bytes) -> None:
        """Decide on the protocol, if enough bytes have arrived."""
        known = len(self._head)
        self._head += data
        if self.factory.rawsockets is not None and self._head[0] == MAGIC:
            self._hand_over(self.factory.rawsockets)
            return
        end = self._head.find(END_OF_HEAD, max(0, known - len(END_OF_HEAD)))
        if (len(self._head) if end < 0 else end) > MAX_HEAD:
            self.transport.write(HEAD_TOO_LONG)
            self._refuse("the head of the request is too long")
        elif end >= 0:
            site = self.factory.site
            if site is None or _WEBSOCKET.match(self._head):
                self._hand_over(self.factory.websockets)
            else:
                self._let_the_site_answer(site)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._admission.leave()
        if self._call.active():
            self._call.cancel()
        if self._site is not None:
            self._site.connectionLost(reason)
        elif not reason.check(ConnectionDone, ConnectionLost):
            self._log_refusal("no TLS", f": {reason.value}")

    def _refuse(self, why: str) -> None:
        self._note_refusal(why)
        self._call = self.factory.clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        self.transport.loseConnection()

    def _drop(self, why: str) -> None:
        """Called by the limit of unauthenticated connections. The connection is aborted at once."""
        self._note_refusal(why)
        self.transport.abortConnection()

    def _note_refusal(self, why: str) -> None:
        if self._call.active():
            self._call.cancel()
        self._is_refused = True
        self._log_refusal(why)

    def _log_refusal(self, why: str, detail: str = "") -> None:
        self.log.emit(
            LogLevel.warn,
            "{peer} refused: {reason}{detail}",
            event="connection.refused",
            peer=peer2str(self.transport),
            reason=why,
            detail=detail,
        )

    def _hand_over(self, factory: IProtocolFactory) -> None:
        """Replace this protocol by one of the factory, and pass on all bytes."""
        self._call.cancel()
        transport = self.transport
        protocol: Any = factory.buildProtocol(transport.getPeer())
        if isinstance(protocol, Connection):
            protocol.opened_at = self._opened_at
            protocol.count_as(self._admission)
        else:
            self._admission.leave()
        replace_protocol(transport, protocol)
        protocol.makeConnection(transport)
        protocol.dataReceived(self._head)

    def _let_the_site_answer(self, site: IProtocolFactory) -> None:
        """Stay between the connection and the site, because the site must have answered before the open
        timeout, unless it says that the client may wait.
        """
        self._site = site.buildProtocol(self.transport.getPeer())
        self._site.may_wait = self._let_it_wait
        self._site.has_answered = self._limit_again
        self._site.makeConnection(self.transport)
        self._site.dataReceived(self._head)

    def _let_it_wait(self) -> None:
        """The client is known to the site, which limits its time and number."""
        if self._call.active():
            self._call.cancel()
        self._admission.leave()
        self._waits = True

    def _limit_again(self) -> None:
        """The client that was allowed to wait has its answer. It may not keep the connection: over TLS, the
        close waits for the peer's.
        """
        if self._waits:
            self._waits = False
            factory = self.factory
            self._call = factory.clock.callLater(
                factory.open_timeout, self._refuse, "the answer was not taken in time"
            )
            self._admission = factory.unauthenticated.enter(self._admission.network, self._drop)


def replace_protocol(transport: Any, protocol: Any) -> None:
    """Let the protocol receive what the transport reads."""
    # Under TLS, the wrapper holds the protocol.
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol


def client_name(transport: Any, head: bytes, proxies: Proxies) -> tuple[str, str]:
    """The client for the log, and the address that it counts for. ``head`` is that of a request."""
    host = getattr(transport.getPeer(), "host", None)
    peer: str = peer2str(transport)
    client = client_of(host, head, proxies)
    return (f"{client} via {peer}", network_of(client)) if client else (peer, network_of(host or ""))


class EntranceFactory(Factory):
    """``site`` and ``rawsockets`` are None where they are not served."""

    protocol: Any = Entrance
    noisy = False

    def __init__(
        self,
        websockets: IProtocolFactory,
        *,
        site: IProtocolFactory | None = None,
        rawsockets: IProtocolFactory | None = None,
        clock: IReactorTime,
        faults: Faults,
        open_timeout: float,
        unauthenticated: UnauthenticatedLimit,
    ) -> None:
        self.websockets = websockets
        self.site = site
        self.rawsockets = rawsockets
        self.clock = clock
        self.faults = faults
        self.open_timeout = open_timeout
        self.unauthenticated = unauthenticated
