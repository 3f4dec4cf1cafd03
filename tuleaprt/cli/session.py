"""One WAMP session over WebSocket, opened with a ticket."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from autobahn.twisted.wamp import ApplicationSession
from autobahn.twisted.websocket import WampWebSocketClientFactory, WampWebSocketClientProtocol
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import CallOptions, CallResult, CloseDetails, ComponentConfig, SessionDetails
from twisted.internet import task
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import optionsForClientTLS

from tuleaprt.errors import CommandFailed, Unreachable

T = TypeVar("T")

OPEN_SECONDS = 15
"""How long it may take from the address to WELCOME."""

PING_SECONDS, PONG_SECONDS = 25, 25
"""After how much silence the server is sent a ping, and how long the answer may take (RFC 6455, 5.5.2)."""

EXPIRED = "org.tuleap.error.token_expired"
SHUTDOWN = "wamp.close.system_shutdown"
LOST = CloseDetails.REASON_TRANSPORT_LOST


class Ended(NamedTuple):
    """How a session ended: the URI of ABORT or GOODBYE (``LOST``: there was none), and the text with it."""

    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class Refused(CommandFailed):
    """ABORT: the server does not open a session."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(f"the server refuses: {ended}")
        self.reason = ended.reason


class Session(ApplicationSession):
    """``opened`` fires with the details of WELCOME, ``ended`` with an Ended when the connection is gone.

    ``is_over`` is true as soon as requests fail because the session ends.
    """

    def __init__(self, realm: str, ticket: str) -> None:
        super().__init__(ComponentConfig(realm))
        self.opened: Deferred[SessionDetails] = Deferred()
        self.ended: Deferred[Ended] = Deferred()
        self.is_over = False
        self._ticket = ticket
        self._said: Ended | None = None

    def onConnect(self) -> None:
        self.join(self.config.realm, ["ticket"], "")

    def onChallenge(self, challenge: object) -> str:
        return self._ticket

    def onJoin(self, details: SessionDetails) -> None:
        self.opened.callback(details)

    def onLeave(self, details: CloseDetails) -> None:
        self.is_over = True
        if self._said is None and details.reason != LOST:
            self._said = Ended(str(details.reason), details.message or "")
        super().onLeave(details)

    def is_gone(self, why: str) -> None:
        """The connection is no more."""
        ended = self._said or Ended(LOST, why)
        if not self.opened.called:
            is_refused = ended.reason not in (LOST, SHUTDOWN)
            self.opened.errback(Refused(ended) if is_refused else Unreachable(str(ended.message or ended)))
        self.ended.callback(ended)

    async def ask(self, procedure: str, *args: Any, **kwargs: Any) -> CallResult:
        """
        Raises:
            ApplicationError: the server's ERROR, or that the session has ended.
        """
        options = CallOptions(details=True)
        result: CallResult = await self.call(procedure, *args, **kwargs, options=options)
        return result


class _Protocol(WampWebSocketClientProtocol):
    factory: "_Factory"

    def onClose(self, wasClean: bool, code: Any, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        self.factory.session.is_gone(reason or f"closed with {code}")


class _Factory(WampWebSocketClientFactory):
    protocol = _Protocol
    session: Session


async def connect(reactor: Any, url: str, realm: str, ticket: str) -> Session:
    """A session that is open.

    Raises:
        Refused: the server does not want one with this ticket.
        Unreachable: nobody answers there, or not as tuleaprt does.
        CommandFailed: it is not the URL of a WebSocket.
    """
    session = Session(realm, ticket)
    factory, endpoint = _way(reactor, url, session)
    try:
        protocol = await endpoint.connect(factory)
    except Exception as error:
        raise Unreachable(f"cannot connect to {url}: {error}") from None

    def gave_up(_: object, seconds: float) -> NoReturn:
        protocol.transport.abortConnection()
        raise Unreachable(f"no session within {seconds} seconds")

    try:
        await session.opened.addTimeout(OPEN_SECONDS, reactor, gave_up)
    except Unreachable as error:
        raise Unreachable(f"cannot open a session at {url}: {error}") from None
    return session


def _way(reactor: Any, url: str, session: Session) -> tuple[_Factory, Any]:
    try:
        parts = urlsplit(url)
        is_secure = {"ws": False, "wss": True}[parts.scheme]
        host, port = parts.hostname or "", parts.port or (443 if is_secure else 80)
        factory = _Factory(lambda: session, url, serializers=[JsonSerializer()], reactor=reactor)
        endpoint: Any = HostnameEndpoint(reactor, host, port, timeout=OPEN_SECONDS)
        if is_secure:
            endpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
    except Exception:
        raise CommandFailed(f"{url} is not the URL of a WebSocket: ws://host:port/ws, or wss://…") from None
    factory.session = session
    factory.setProtocolOptions(
        openHandshakeTimeout=OPEN_SECONDS,
        closeHandshakeTimeout=2,
        autoPingInterval=PING_SECONDS,
        autoPingTimeout=PONG_SECONDS,
    )
    return factory, endpoint


def run(work: Callable[[Any], Awaitable[T]]) -> T:
    """What ``work(reactor)`` returns or raises, with the reactor running for so long.

    Raises:
        KeyboardInterrupt: a signal has stopped the reactor.
        CommandFailed: the server has answered a request with an ERROR.
    """
    results: list[T] = []
    errors: list[Exception] = []

    async def whole(reactor: Any) -> None:
        try:
            results.append(await work(reactor))
        except Exception as error:
            errors.append(error)

    with suppress(SystemExit):
        task.react(lambda reactor: ensureDeferred(whole(reactor)))
    for error in errors:
        if isinstance(error, ApplicationError):
            raise CommandFailed(error.error_message()) from None
        raise error
    if not results:
        raise KeyboardInterrupt
    return results[0]
