"""One WAMP session over WebSocket, opened with a token."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from autobahn.twisted.wamp import ApplicationSession
from autobahn.twisted.websocket import WampWebSocketClientFactory, WampWebSocketClientProtocol
from autobahn.wamp.exception import ApplicationError, TransportLost
from autobahn.wamp.request import Subscription
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import (
    CallOptions,
    CallResult,
    CloseDetails,
    ComponentConfig,
    SessionDetails,
    SubscribeOptions,
)
from autobahn.websocket.types import ConnectionResponse
from twisted.internet import task
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import optionsForClientTLS

from tuleaprt.cli.answers import shortened
from tuleaprt.errors import CommandFailed, InvalidAnswer, Unreachable

T = TypeVar("T")

OPEN_SECONDS = 15
"""The longest time from connecting to WELCOME."""

PING_SECONDS, PONG_SECONDS = 25, 25
"""A ping is sent after this much silence, and must be answered in this time (RFC 6455, 5.5.2)."""

ANSWER_SECONDS = 60
"""The longest time until a request is answered."""

LEAVE_SECONDS = 5
"""The longest time from GOODBYE to the server's GOODBYE."""

MAX_HEAD, MAX_MESSAGE = 65_536, 16 * 1024 * 1024
"""The longest answer to the WebSocket handshake, and the longest message, in bytes."""

EXPIRED = "org.tuleap.error.token_expired"
SHUTDOWN = "wamp.close.system_shutdown"
GOING_AWAY = WampWebSocketClientProtocol.CLOSE_STATUS_CODE_GOING_AWAY
LOST = CloseDetails.REASON_TRANSPORT_LOST


class Ended(NamedTuple):
    """How a session ended: the URI of ABORT or GOODBYE (``LOST``: neither came), and its text."""

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
    """A session. ``opened`` fires with the details of WELCOME, ``ended`` with an Ended when the connection
    is closed.

    ``is_over`` is true as soon as requests fail because the session ends. ``invalid`` is set before that
    if a message could not be read.
    """

    def __init__(self, realm: str, ticket: str, reactor: Any) -> None:
        super().__init__(ComponentConfig(realm))
        self.opened: Deferred[SessionDetails] = Deferred()
        self.ended: Deferred[Ended] = Deferred()
        self.is_over = False
        self.invalid: InvalidAnswer | None = None
        self._reactor = reactor
        self._ticket = ticket
        self._dropping: Any = None
        self._waiting: set[Deferred[Any]] = set()
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

    def cannot_read(self, why: str) -> None:
        """A message of the server cannot be read. The connection is about to be closed."""
        self.invalid = self.invalid or InvalidAnswer(
            f"what the server sends cannot be read: {shortened(why)}"
        )

    def is_gone(self, why: str) -> None:
        """The connection is closed."""
        self.is_over = True
        if self._dropping is not None:
            self._dropping.cancel()
        for answer in [it for it in self._waiting if not it.called]:
            # Autobahn forgets a request before it finds that the answer cannot be read.
            answer.errback(TransportLost())
        ended = self._said or Ended(LOST, why)
        if not self.opened.called:
            is_refused = ended.reason not in (LOST, SHUTDOWN)
            problem = Refused(ended) if is_refused else Unreachable(str(ended.message or ended))
            self.opened.errback(self.invalid or problem)
        self.ended.callback(ended)

    async def ask(self, procedure: str, *args: Any, **kwargs: Any) -> CallResult:
        """
        Raises:
            ApplicationError: the server answers ERROR, or the session has ended.
            InvalidAnswer: the session ends because a message cannot be read.
            Unreachable: there is no answer in time.
        """
        options = CallOptions(details=True)
        request = partial(self.call, procedure, *args, **kwargs, options=options)
        result: CallResult = await self._answered(request, procedure)
        return result

    async def subscribe(
        self, handler: Callable[..., None], topic: str, options: SubscribeOptions
    ) -> Subscription:
        """Raises as ``ask`` does."""
        request = partial(super().subscribe, handler, topic, options=options)
        subscription: Subscription = await self._answered(request, f"SUBSCRIBE {topic}")
        return subscription

    async def over(self) -> Ended:
        """
        Raises:
            InvalidAnswer: the session has ended because a message could not be read.
        """
        ended = await self.ended
        if self.invalid is not None:
            raise self.invalid
        return ended

    def leave(self, reason: str | None = None, message: str | None = None) -> None:
        """Send GOODBYE, and wait for the server's GOODBYE for a limited time."""
        if not self.is_over and self._dropping is None:
            self._dropping = self._reactor.callLater(LEAVE_SECONDS, self._drop)
            with suppress(TransportLost):
                super().leave(reason, message)

    def _drop(self) -> None:
        self._dropping = None
        if self._transport is not None:
            with suppress(TransportLost):
                self._transport.abort()

    async def _answered(self, request: Callable[[], "Deferred[Any]"], what: str) -> Any:
        def gave_up(_: object, seconds: float) -> NoReturn:
            self._drop()
            raise Unreachable(f"no answer to {what} within {seconds} seconds")

        answer: Deferred[Any] = maybeDeferred(request)
        self._waiting.add(answer)
        try:
            return await answer.addTimeout(ANSWER_SECONDS, self._reactor, gave_up)
        except (ApplicationError, TransportLost) as error:
            if self.invalid is not None:
                raise self.invalid from None
            if isinstance(error, ApplicationError):
                raise
            self.is_over = True
            raise ApplicationError(LOST, "the session has ended") from None
        finally:
            self._waiting.discard(answer)


class _Protocol(WampWebSocketClientProtocol):
    factory: "_Factory"

    def processHandshake(self) -> None:
        try:
            if len(self.data) > MAX_HEAD and b"\r\n\r\n" not in self.data[:MAX_HEAD]:
                self.failHandshake(f"its answer to the WebSocket handshake is longer than {MAX_HEAD} bytes")
            else:
                super().processHandshake()
        except Exception as error:
            self.failHandshake(f"its answer to the WebSocket handshake is none: {type(error).__name__}")

    def failHandshake(self, reason: str) -> None:
        # Any other status may come from a proxy while the server is down.
        if not reason.startswith("WebSocket connection upgrade failed"):
            self.factory.session.cannot_read(reason)
        super().failHandshake(reason)

    def onConnect(self, response: ConnectionResponse) -> None:
        if response.protocol is None:
            self.factory.session.cannot_read(
                "its answer to the WebSocket handshake names no WAMP subprotocol"
            )
        super().onConnect(response)

    def _fail_connection(self, code: int = GOING_AWAY, reason: str = "going away") -> None:
        if code != GOING_AWAY:
            self.factory.session.cannot_read(reason)
        super()._fail_connection(code, reason)

    def onClose(self, wasClean: bool, code: Any, reason: str | None) -> None:
        super().onClose(wasClean, code, reason)
        self.factory.session.is_gone(reason or f"closed with {code}")


class _Factory(WampWebSocketClientFactory):
    protocol = _Protocol
    session: Session


async def connect(reactor: Any, url: str, realm: str, ticket: str) -> Session:
    """Open a session.

    Raises:
        Refused: the server refuses the token.
        Unreachable: no server answers, or an HTTP server without WebSocket.
        InvalidAnswer: the answer cannot be read.
        CommandFailed: the URL is wrong.
    """
    session = Session(realm, ticket, reactor)
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
    except InvalidAnswer as error:
        raise InvalidAnswer(f"cannot open a session at {url}: {error}") from None
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
        maxFramePayloadSize=MAX_MESSAGE,
        maxMessagePayloadSize=MAX_MESSAGE,
        autoPingTimeout=PONG_SECONDS,
    )
    return factory, endpoint


def run(work: Callable[[Any], Awaitable[T]]) -> T:
    """Run ``work(reactor)`` with the reactor, and return or raise its result.

    Raises:
        KeyboardInterrupt: a signal has stopped the reactor.
        CommandFailed: the server has answered a request with ERROR.
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
