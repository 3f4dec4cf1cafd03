"""One HTTP connection and its requests, on twisted.web.http.

Bodies are in memory and limited, input that is not HTTP/1 is refused with a log line, and a connection may be
handed over to another protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any, Protocol

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as TwistedRequest

from tuleaprt.operations.logs import Faults, is_of_a_parser
from tuleaprt.transport.entrance import replace_protocol
from tuleaprt.transport.outbound import Writer
from tuleaprt.transport.request_headers import Host, InvalidHead, host_of
from tuleaprt.web.known_heads import KnownHeads, KnownRequest
from tuleaprt.web.resource import JSON, HttpError, Leaf, internal_error


class Site(Protocol):
    """The site, to a connection and its requests."""

    closes: bool
    known: KnownHeads
    max_body: int
    channels: set[Any]
    faults: Faults

    def admit(self, request: Any, host: Host | None) -> None: ...

    def find(self, request: Any) -> Leaf: ...

    def max_body_of(self, uri: bytes) -> int: ...

    def lost(self, channel: Any) -> None: ...

    def date(self) -> str: ...


class _Nowhere(BytesIO):
    """Discards a body that is too long."""

    def write(self, data: object) -> int:
        return 0


class BoundedRequest(TwistedRequest):
    """A request whose body is in memory, or was discarded because it is too long."""

    content: BytesIO
    channel: Any
    length: int | None = None
    max_body = 0
    below: Sequence[bytes] = ()
    leaf: Leaf | None = None
    """The resource, if it answers requests with a known head."""
    is_gone = False
    on_gone: Callable[[], None] | None = None
    """Called when the peer has closed the connection before the answer."""

    def __init__(self, channel: "Channel", queued: bool = False) -> None:
        super().__init__(channel, queued, parsePOSTFormSubmission=False)

    def gotLength(self, length: int | None) -> None:
        """Called by twisted.web after the headers; None: the length was not announced."""
        self.length = length
        # twisted.web sets the request's own path later.
        self.max_body = self.channel.site.max_body_of(self.channel._path)
        kept = length is not None and length <= self.max_body
        self.content = BytesIO() if kept else _Nowhere()

    def process(self) -> None:
        """Called by twisted.web when the request is complete."""
        site = self.channel.site
        self.channel.is_used = True
        self.channel.has_begun = False
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
            self.leaf = leaf if leaf.has_known_heads else None
            leaf.serve(self)

    def connectionLost(self, reason: Failure) -> None:
        """Called by twisted.web when the peer has closed the connection before the answer."""
        self.is_gone = True
        super().connectionLost(reason)
        if self.on_gone is not None:
            self.on_gone()

    def head(self) -> bytes:
        """The head as the peer has sent it, but for the spelling of names and white space around values."""
        lines = [b"%b %b %b" % (self.method, self.uri, self.clientproto)]
        for name, values in self.requestHeaders.getAllRawHeaders():
            lines += [b"%b: %b" % (name, value) for value in values]
        return b"\r\n".join((*lines, b"", b""))

    def may_wait(self) -> None:
        """The answer may come later than the entrance's open timeout."""
        self.channel.may_wait()

    def hand_over(self, factory: IProtocolFactory) -> None:
        """Let a protocol of the factory have the connection, from the first byte of this request."""
        self.channel.hand_over(factory, self.head())

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
        if self.length > self.max_body:
            raise HttpError(413, "too_large", f"a body has at most {self.max_body} bytes")

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
        self.startedWriting = 1
        self.channel.answer(
            self.clientproto,
            status,
            b"" if self.method == b"HEAD" else body,
            len(body),
            content_type,
            headers,
        )
        if status == HTTPStatus.OK and self.leaf is not None and self._can_be_known():
            self.channel.learn(self.leaf)
        self.finish()

    def _can_be_known(self) -> bool:
        headers = self.requestHeaders
        return (
            self.clientproto == b"HTTP/1.1"
            and len(headers.getRawHeaders(b"Content-Length", ())) == 1
            and not headers.hasHeader(b"Transfer-Encoding")
            and not headers.hasHeader(b"Expect")
        )


class Channel(HTTPChannel):
    """One connection to a site. It does not look up addresses, which no resource needs."""

    site: Site
    requestFactory: Any = BoundedRequest
    transport: Any
    refusals = Logger()
    is_used = False
    """Whether there has been a request on the connection."""
    may_wait: Callable[[], None] = staticmethod(lambda: None)
    """Called when a request is held for a client that is known (transport/entrance.py)."""
    has_answered: Callable[[], None] = staticmethod(lambda: None)
    """Called at each answer (transport/entrance.py)."""
    _is_refused = False
    _buffer: bytes
    _busyReceiving: bool
    has_begun = False
    """Whether twisted.web has read a part of the next request, even the empty line that it ignores."""
    _alone = b""
    """The data that began a request, if no other request was under way."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self._is_refused:
            return
        # twisted.web passes on here what has come with the last request, before that is logged and counted.
        if not self.requests and not self._buffer and not self._busyReceiving:
            if not self.has_begun and (known := self._known(data)) is not None:
                self._serve_known(*known)
                return
            self._alone = data
        else:
            self._alone = b""
        self.has_begun = True
        try:
            super().dataReceived(data)
        except Exception as error:
            if is_of_a_parser(error):
                self._respondToBadRequestAndDisconnect()
            else:
                self.site.faults.record("reading a request")
                self.transport.abortConnection()

    def _known(self, data: bytes) -> tuple[Leaf, bytes] | None:
        """The resource and the body, if the data is a whole request with a known head."""
        if self.site.closes or not self.persistent or len(data) > self.site.max_body:
            return None
        return self.site.known.find(data)

    def _serve_known(self, leaf: Leaf, body: bytes) -> None:
        self.is_used = True
        request: Any = KnownRequest(self)
        self.requests.append(request)
        leaf.serve_body(request, body)
        if not request.is_answered:
            # As twisted.web does: what follows waits, and the connection does not time out.
            self._savedTimeOut = self.setTimeout(None)
            self._handlingRequest = True
            self.setRawMode()
            request.waits = True

    def known_is_answered(self, request: KnownRequest) -> None:
        """The request has its answer, and the next one may be read."""
        if request.waits:
            self.requestDone(request)
        else:
            self.requests.remove(request)
            self.resetTimeout()

    def learn(self, leaf: Leaf) -> None:
        """The request was answered 200, and its connection stays open."""
        if self._alone and self.persistent:
            self.site.known.learn(self._alone, leaf)

    def answer(
        self,
        version: bytes,
        status: int,
        body: bytes,
        length: int,
        content_type: str,
        headers: Mapping[str, str] | None,
    ) -> None:
        """Send an answer; ``length`` is that of its body, which an answer to HEAD has not."""
        self.has_answered()
        if self.site.closes:
            self.persistent = False
        lines = [
            f"{version.decode()} {status} {HTTPStatus(status).phrase}",
            f"Date: {self.site.date()}",
            f"Content-Type: {content_type}",
            f"Content-Length: {length}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        if not self.persistent:
            lines.append("Connection: close")
        Writer(self.transport).write("\r\n".join((*lines, "", "")).encode("ascii") + body)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.site.lost(self)

    def hand_over(self, factory: IProtocolFactory, head: bytes) -> None:
        """Replace this protocol by one of the factory, and pass on the head and all that follows."""
        self._is_refused = True
        rest = self.clearLineBuffer()
        self.setTimeout(None)
        self.may_wait()
        self.site.lost(self)
        self.requests.clear()
        self._networkProducer.unregisterProducer()  # type: ignore[attr-defined]
        protocol: Any = factory.buildProtocol(self.transport.getPeer())
        replace_protocol(self.transport, protocol)
        protocol.makeConnection(self.transport)
        protocol.dataReceived(head + rest)

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
