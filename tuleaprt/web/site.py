"""The private site, to which Tuleap posts, and the public site, to which browsers connect.

They use the HTTP/1.1 of twisted.web.http, which reads requests and keeps connections open. They do not
use twisted.web.server, which looks up addresses, cookies, encodings and sessions and sorts headers at
each request: a third of the cost of a post (docs/performance.rst).
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import HTTPFactory, datetimeToString

from tuleaprt.operations.logs import Faults
from tuleaprt.transport.request_headers import Host
from tuleaprt.web.channel import BoundedRequest, Channel
from tuleaprt.web.known_heads import KnownHeads
from tuleaprt.web.resource import HttpError, Leaf, not_found

LONGEST_KNOWN_PATH = 100


def _segments(path: bytes) -> Sequence[bytes]:
    """The segments of a path, unquoted, at least one. Each request asks three times, and most have the same
    short path.
    """
    return _known_segments(path) if len(path) <= LONGEST_KNOWN_PATH else _split(path)


def _split(path: bytes) -> Sequence[bytes]:
    _, *segments = path.split(b"/") if path.startswith(b"/") else (b"", b"")
    return tuple(unquote_to_bytes(segment) for segment in segments)


_known_segments = lru_cache(maxsize=16)(_split)


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
        self.known = KnownHeads()
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
        name, *request.below = _segments(request.path)
        if name not in self._leaves:
            raise not_found()
        return self._leaves[name]

    def leaf_of(self, uri: bytes) -> Leaf | None:
        """The resource of a path, with or without a query; None: there is none."""
        return self._leaves.get(_segments(uri.partition(b"?")[0])[0])

    def max_body_of(self, uri: bytes) -> int:
        """The longest body of a request for this path."""
        leaf = self.leaf_of(uri)
        return self.max_body if leaf is None or leaf.max_body is None else leaf.max_body

    def date(self) -> str:
        """The Date of an answer (RFC 9110, 6.6.1)."""
        now = int(self._clock.seconds())
        if now != self._date[0]:
            self._date = now, datetimeToString(now).decode()
        return self._date[1]


class PrivateSite(BoundedSite):
    """Answers only to its own host names, and to no browser: requests of web pages have an Origin header.

    A resource for browsers checks Host and Origin itself: Tuleap's nginx passes browsers on to this site.
    """

    def __init__(self, leaves: Mapping[str, Leaf], *, hosts: Collection[str], **options: Any) -> None:
        super().__init__(leaves, **options)
        self._hosts = frozenset(host.lower().encode() for host in hosts)

    def admit(self, request: BoundedRequest, host: Host | None) -> None:
        leaf = self.leaf_of(request.uri)
        if leaf is not None and leaf.is_for_browsers:
            return
        if request.requestHeaders.hasHeader(b"Origin"):
            raise HttpError(403, "origin", "browsers are not served here")
        if not self._is_own(host) and (host is not None or self.find(request).needs_host):
            raise HttpError(403, "host", "this site does not answer to that host")

    def _is_own(self, host: Host | None) -> bool:
        return host is not None and host.name in self._hosts
