"""The two sites: the private one that Tuleap posts to, and the public one that browsers connect to."""

import re
from collections.abc import Collection, Mapping, Sequence
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from tuleaprt.faults import Faults
from tuleaprt.web.resource import HttpError, Refusal, internal_error, not_found

# Bytes: a header need not be text, and twisted.web raises when it decodes one that is not.
_HOST = re.compile(rb"(?P<name>\[[^\]]*\]|[^:]*)(?::\d*)?")


class _Nowhere(BytesIO):
    """Where a body goes that is too long to be kept."""

    def write(self, data: object) -> int:
        return 0


class BoundedRequest(Request):
    """A request whose body is in memory, or was thrown away because it is too long."""

    content: BytesIO
    channel: Any
    length: int | None = None

    def gotLength(self, length: int | None) -> None:
        """Called by twisted.web when it has read the headers; None: the length was not announced."""
        self.length = length
        kept = length is not None and length <= self.channel.site.max_body
        self.content = BytesIO() if kept else _Nowhere()

    def process(self) -> None:
        """Called by twisted.web when the request is complete; ``OPTIONS *`` is a path like any other."""
        if self.path == b"*":
            self.path = b"/*"
        if self.channel.site.closes:
            self.channel.persistent = False
            self.setHeader(b"Connection", b"close")
        super().process()

    def processingFailed(self, reason: Failure) -> Failure:
        """Called by twisted.web, from inside ``except``, when no resource could be asked."""
        self.channel.site.faults.record("finding a resource")
        Refusal(internal_error()).render(self)
        return reason

    def body(self) -> bytes:
        """
        Raises:
            HttpError: 411 or 413.
        """
        if self.length is None:
            raise HttpError(411, "length_required", "the body's length must be announced")
        if self.length > self.channel.site.max_body:
            raise HttpError(413, "too_large", f"a body has at most {self.channel.site.max_body} bytes")
        return self.content.read()


class BoundedSite(Site):
    """A site without an access log and without forms.

    ``closes``: one request on each connection. What a connection wants is seen at its first request
    (transport/entrance.py), and a proxy must not send a WebSocket's over one that it has kept.
    """

    noisy = False

    def __init__(
        self,
        root: IResource,
        *,
        clock: IReactorTime,
        timeout: float | None,
        max_body: int,
        faults: Faults,
        closes: bool = False,
    ) -> None:
        super().__init__(root, BoundedRequest, timeout=timeout, reactor=clock, parsePOSTFormSubmission=False)
        self.closes = closes
        self.max_body = max_body
        self.faults = faults

    def log(self, request: object) -> None:
        """twisted.web would format a line that nobody reads."""


class PrivateSite(BoundedSite):
    """Answers to its own names only, and to no browser: a page that was lured here sends its Origin."""

    def __init__(
        self,
        root: IResource,
        *,
        hosts: Collection[str],
        clock: IReactorTime,
        timeout: float,
        max_body: int,
        faults: Faults,
    ) -> None:
        super().__init__(root, clock=clock, timeout=timeout, max_body=max_body, faults=faults)
        self._hosts = frozenset(host.lower().encode() for host in hosts)

    def getResourceFor(self, request: Request) -> IResource:
        if request.requestHeaders.hasHeader(b"Origin"):
            return Refusal(HttpError(403, "origin", "browsers have no business here"))
        if not self._is_own(request.requestHeaders.getRawHeaders(b"Host", [])):
            return Refusal(HttpError(403, "host", "this site does not answer to that host"))
        resource: IResource = super().getResourceFor(request)
        return resource

    def _is_own(self, hosts: Sequence[bytes]) -> bool:
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        return match is not None and match["name"].lower() in self._hosts


def root(children: Mapping[str, Resource]) -> Resource:
    """A root with these children; every other path is 404."""
    root = _Root()
    for path, child in children.items():
        root.putChild(path.encode(), child)
    return root


class _Root(Resource):
    def getChild(self, path: bytes, request: Request) -> Resource:
        return Refusal(not_found())
