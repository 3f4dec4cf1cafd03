"""The private site, to which Tuleap posts, and the public site, to which browsers connect.

They use the HTTP/1.1 of twisted.web.http, which reads requests and keeps connections open. They do not
use twisted.web.server, which looks up addresses, cookies, encodings and sessions and sorts headers at
each request: a third of the cost of a post (docs/performance.rst).
"""

from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, datetimeToString
from twisted.web.http import Request as TwistedRequest

from tuleaprt.operations.logs import Faults, is_of_a_parser
from tuleaprt.transport.outbound import Writer
from tuleaprt.transport.request_headers import Host, InvalidHead, host_of
from tuleaprt.web.resource import JSON, HttpError, Leaf, internal_error, not_found


class _Nowhere(BytesIO):
    """Discards a body that is too long."""

    def write(self, data: object) -> int:
        return 0


class BoundedRequest(TwistedRequest):
    """A request whose body is in memory, or was discarded because it is too long."""

    content: BytesIO
    channel: Any
    length: int | None = None
    below: Sequence[bytes] = ()
    is_gone = False

    def __init__(self, channel: "Channel", queued: bool = False) -> None:
        super().__init__(channel, queued, parsePOSTFormSubmission=False)

    def gotLength(self, length: int | None) -> None:
        """Called by twisted.web after the headers; None: the length was not announced."""
        self.length = length
        kept = length is not None and length <= self.channel.site.max_body
        self.content = BytesIO() if kept else _Nowhere()

    def process(self) -> None:
        """Called by twisted.web when the request is complete."""
        site = self.channel.site
        self.channel.is_used = True
        if site.closes:
            self.channel.persistent = False
        try:
            site.admit(self, self.host_header())
            leaf = site.find(self)
        except HttpError as error:
            self.channel.log_refusal(error)
            self.refuse(error)
        except Exception:
            site.faults.record("finding what was asked for")
            self.refuse(internal_error())
        else:
            leaf.serve(self)

    def connectionLost(self, reason: Failure) -> None:
        """Called by twisted.web when the peer has closed the connection before the answer."""
        self.is_gone = True
        super().connectionLost(reason)

    def header(self, name: bytes) -> bytes | None:
        lines = self.requestHeaders.getRawHeaders(name)
        return b", ".join(lines) if lines else None

    def host_header(self) -> Host | None:
        """None: HTTP/1.0 without Host.

        Raises:
            HttpError: 400.
        """
        try:
            return host_of(self.requestHeaders.getRawHeaders(b"Host", []), self.clientproto)
        except InvalidHead as error:
            raise HttpError(400, "invalid_host", str(error)) from None

    def check_length(self) -> None:
        """
        Raises:
            HttpError: 411 or 413.
        """
        if self.length is None or self.requestHeaders.hasHeader(b"Transfer-Encoding"):
            raise HttpError(411, "length_required", "the body's length must be announced")
        if self.length > self.channel.site.max_body:
            raise HttpError(413, "too_large", f"a body has at most {self.channel.site.max_body} bytes")

    def body(self) -> bytes:
        self.check_length()
        return self.content.read()

    def refuse(self, error: HttpError) -> None:
        self.respond(error.status, error.body, headers=error.headers)

    def respond(
        self, status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        if self.is_gone:
            return
        lines = [
            f"{self.clientproto.decode()} {status} {HTTPStatus(status).phrase}",
            f"Date: {self.channel.site.date()}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        if not self.channel.persistent:
            lines.append("Connection: close")
        head = "\r\n".join((*lines, "", "")).encode("ascii")
        self.startedWriting = 1
        Writer(self.channel.transport).write(head if self.method == b"HEAD" else head + body)
        self.finish()


class Channel(HTTPChannel):
    """One connection to a site. It does not look up addresses, which no resource needs."""

    site: "BoundedSite"
    requestFactory: Any = BoundedRequest
    transport: Any
    refusals = Logger()
    is_used = False
    """Whether there has been a request on the connection."""
    _is_refused = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self._is_refused:
            return
        try:
            super().dataReceived(data)
        except Exception as error:
            if is_of_a_parser(error):
                self._respondToBadRequestAndDisconnect()
            else:
                self.site.faults.record("reading a request")
                self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.site.lost(self)

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Called by twisted.web for input that is not HTTP/1. Nothing that follows is read."""
        if not self._is_refused:
            self._is_refused = True
            self.log_refusal(HttpError(400, "malformed", "this is not HTTP/1"))
            super()._respondToBadRequestAndDisconnect()

    def lineLengthExceeded(self, line: bytes) -> None:
        """Called by twisted.web for a line of more than 16 KiB. Its own method drops the connection without
        an answer.
        """
        self._respondToBadRequestAndDisconnect()

    def _send100Continue(self) -> None:
        """Called by twisted.web when the peer waits before it sends a body. A body that is too long is
        refused now.
        """
        request = self.requests[-1]
        try:
            request.check_length()
        except HttpError as error:
            self._is_refused = True
            self.persistent = False
            request.method, request.clientproto = self._command, self._version
            self.log_refusal(error)
            request.refuse(error)
        else:
            super()._send100Continue()

    def log_refusal(self, error: HttpError) -> None:
        """Log a request that is refused before its path is read."""
        self.refusals.emit(
            LogLevel.warn,
            "request refused: {status} {code}: {text}",
            event="request.refused",
            reason=f"request {error.code}",
            status=error.status,
            code=error.code,
            text=str(error),
        )

    def getHost(self) -> None: ...

    def getPeer(self) -> None: ...


class BoundedSite(HTTPFactory):
    """A site without an access log and without forms. ``leaves`` are its resources by the first segment of
    the path.

    ``closes``: the connection is closed after one request. The kind of a connection is decided at its
    first request (transport/entrance.py), so a proxy must not reuse it for a WebSocket.
    """

    noisy = False
    protocol: Any = Channel

    def __init__(
        self,
        leaves: Mapping[str, Leaf],
        *,
        clock: IReactorTime,
        timeout: float | None,
        max_body: int,
        faults: Faults,
        closes: bool = False,
    ) -> None:
        super().__init__(timeout=timeout, reactor=clock)  # type: ignore[arg-type]  # None: never
        self._leaves = {name.encode(): leaf for name, leaf in leaves.items()}
        self._clock = clock
        self._date = (0, "")
        self.closes = closes
        self.channels: set[Channel] = set()
        self._drained: Deferred[None] | None = None
        self.max_body = max_body
        self.faults = faults

    def startFactory(self) -> None:
        """Does nothing: twisted.web's own opens an access log and keeps a clock for it."""

    def stopFactory(self) -> None: ...

    def log(self, request: object) -> None:
        """Does nothing: twisted.web's own formats a line for the access log."""

    def buildProtocol(self, addr: Any) -> Any:
        channel: Any = super().buildProtocol(addr)
        channel.site = self
        return channel

    def drain(self, seconds: float) -> Deferred[None]:
        """Close each connection after its request has been answered. The Deferred fires when all are closed.

        A client that has connected and not sent a request yet may still send one. Connections that are
        left after ``seconds`` are dropped.
        """
        self.closes = True
        drained = self._drained = Deferred[None]()
        late = self._clock.callLater(seconds, self._drop_the_rest)
        drained.addCallback(lambda _: late.cancel() if late.active() else None)
        for channel in list(self.channels):
            if channel.is_used and not channel.requests:
                channel.loseConnection()
        self._look_whether_all_are_gone()
        return drained

    def lost(self, channel: Channel) -> None:
        self.channels.discard(channel)
        self._look_whether_all_are_gone()

    def _drop_the_rest(self) -> None:
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def _look_whether_all_are_gone(self) -> None:
        if self._drained is not None and not self.channels:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def admit(self, request: BoundedRequest, host: Host | None) -> None:
        """
        Raises:
            HttpError: the request is not for this site.
        """

    def find(self, request: BoundedRequest) -> Leaf:
        """The resource of the path. The request's ``below`` is set.

        Raises:
            HttpError: 404.
        """
        _, *segments = request.path.split(b"/") if request.path.startswith(b"/") else (b"", b"")
        name, *request.below = map(unquote_to_bytes, segments)
        if name not in self._leaves:
            raise not_found()
        return self._leaves[name]

    def date(self) -> str:
        """The Date of an answer (RFC 9110, 6.6.1)."""
        now = int(self._clock.seconds())
        if now != self._date[0]:
            self._date = now, datetimeToString(now).decode()
        return self._date[1]


class PrivateSite(BoundedSite):
    """Answers only to its own host names, and to no browser: requests of web pages have an Origin header."""

    def __init__(self, leaves: Mapping[str, Leaf], *, hosts: Collection[str], **options: Any) -> None:
        super().__init__(leaves, **options)
        self._hosts = frozenset(host.lower().encode() for host in hosts)

    def admit(self, request: BoundedRequest, host: Host | None) -> None:
        if request.requestHeaders.hasHeader(b"Origin"):
            raise HttpError(403, "origin", "browsers are not served here")
        if not self._is_own(host) and (host is not None or self.find(request).needs_host):
            raise HttpError(403, "host", "this site does not answer to that host")

    def _is_own(self, host: Host | None) -> bool:
        return host is not None and host.name in self._hosts
