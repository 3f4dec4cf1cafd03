"""A resource of a site, what its request says about itself, and errors as HTTP statuses.

Each header that changes the meaning of a request is honoured or refused:

====================================  =====================================================================
``Expect``                            417 for all but ``100-continue`` (RFC 9110, 10.1.1)
``If-Match``, ``If-None-Match``,      412: no resource has an entity tag or a date, so a condition on a
``If-Unmodified-Since``               change cannot be met; of a GET, only ``If-Match`` (RFC 9110, 13.1)
``Content-Range``                     400: a part of a body cannot be processed (RFC 9110, 14.5)
``Content-Encoding``                  415 for all but ``identity`` (RFC 9110, 15.5.16)
``Content-Type``                      415 for all but ``application/json``, in UTF-8
====================================  =====================================================================

An error is answered by its status and::

    {"error": {"code": "invalid_rights", "message": "Expected `object`, got `array`", "path": "$.rights"}}
"""

import re
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from time import perf_counter
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from tuleaprt.errors import InvalidMessage, JournalUnavailable, RefusedMessage, TuleaprtError
from tuleaprt.operations.logs import Faults

RETRY_AFTER_SECONDS = 5


class HttpError(TuleaprtError):
    """An error that is answered by an HTTP status."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        path: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.path = path
        self.headers = headers or {}

    @property
    def body(self) -> bytes:
        error = {"code": self.code, "message": str(self)} | ({"path": self.path} if self.path else {})
        return msgspec.json.encode({"error": error})


def not_found() -> HttpError:
    return HttpError(404, "not_found", "there is no such resource")


def internal_error() -> HttpError:
    return HttpError(500, "internal_error", "an internal error; it has been logged")


def translate(error: Exception) -> HttpError | None:
    """The HTTP answer to an error; None: the error is a fault of the server."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, InvalidMessage):
        status = 422 if isinstance(error, RefusedMessage) else 400
        return HttpError(status, error.code, error.message, path=error.path)
    if isinstance(error, JournalUnavailable):
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        outcome = (
            "it is not known whether this was published" if error.is_unknown else "nothing was published"
        )
        return HttpError(503, "unavailable", f"{outcome}; try again", headers=retry)
    return None


SAFE = (b"GET", b"HEAD")
_CONDITIONS_OF_A_CHANGE = (b"If-Match", b"If-None-Match", b"If-Unmodified-Since")
# Possessive quantifiers: white space between two semicolons must not be matched in several ways.
_JSON = re.compile(rb'application/json(?:[ \t]*+;[ \t]*+(?:charset=(?:utf-8|"utf-8"))?)*', re.IGNORECASE)


class Headers(Protocol):
    """The headers of a request."""

    @property
    def method(self) -> bytes: ...

    def header(self, name: bytes) -> bytes | None:
        """All lines of this header as one list (RFC 9110, 5.3); None: the header is absent."""


class WithBody(Headers, Protocol):
    """A request that has been read."""

    @property
    def length(self) -> int | None:
        """The length of the body in bytes; None: it was not announced."""

    def body(self) -> bytes:
        """
        Raises:
            HttpError: 411 or 413.
        """
        ...


def check_request(request: Headers) -> None:
    """
    Raises:
        HttpError: 400, 412 or 417: a header asks for something that the server does not do.
    """
    if any(it != b"100-continue" for it in _elements(request.header(b"Expect"))):
        raise HttpError(417, "expect", "Expect: only 100-continue is understood here")
    if request.method in SAFE:
        is_conditional = request.header(b"If-Match") not in (None, b"*")
    else:
        is_conditional = any(request.header(name) is not None for name in _CONDITIONS_OF_A_CHANGE)
    if is_conditional:
        raise HttpError(
            412, "condition", "a condition cannot be met: nothing here has an entity tag or a date"
        )
    if request.header(b"Content-Range") is not None:
        raise HttpError(400, "content_range", "Content-Range: a body must be whole")


def json_body(request: WithBody, *, must_be_typed: bool = True) -> bytes:
    """The body of a request that must have one. ``must_be_typed``: Content-Type is required.

    A web page can send a body without a type, or of some simple types, to any site without a preflight
    request.

    Raises:
        HttpError: 411, 413 or 415.
    """
    _check_content(request, must_be_typed)
    return request.body()


def no_body(request: WithBody) -> None:
    """
    Raises:
        HttpError: 400 or 415: there is a body, or headers that describe one.
    """
    _check_content(request, must_be_typed=False)
    if request.length != 0:
        raise HttpError(400, "unexpected_body", "this request has no body")


def _check_content(request: Headers, must_be_typed: bool) -> None:
    if any(it != b"identity" for it in _elements(request.header(b"Content-Encoding"))):
        accepted = {"Accept-Encoding": "identity"}
        raise HttpError(
            415, "content_encoding", "Content-Encoding: a body is not encoded here", headers=accepted
        )
    content_type = request.header(b"Content-Type")
    is_wrong = must_be_typed if content_type is None else not _JSON.fullmatch(content_type)
    if is_wrong:
        raise HttpError(415, "content_type", "Content-Type: a body is application/json, in UTF-8")


def _elements(header: bytes | None) -> list[bytes]:
    """The elements of a list (RFC 9110, 5.6.1), in lower case, without empty ones."""
    return [it for part in (header or b"").split(b",") if (it := part.strip(b" \t").lower())]


JSON = "application/json"


class Answerable(Protocol):
    """A request that waits for its answer."""

    def refuse(self, error: HttpError) -> None:
        """Answer with the error."""

    def respond(
        self, status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the answer. Nothing happens if the peer has closed the connection."""


class Request(Answerable, WithBody, Protocol):
    """A request with its body in memory (channel.py)."""

    @property
    def below(self) -> Sequence[bytes]:
        """The segments of the path below the resource's name, unquoted."""
        ...


class Page(NamedTuple):
    """The content of a 200 that is not JSON, or that has headers of its own."""

    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] | None = None


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that does not raise. Most need not wait, and then no Deferred is made."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return
    ensureDeferred(_rest(coroutine, awaited))


async def _rest(coroutine: Coroutine[Any, Any, None], awaited: Deferred[Any]) -> None:
    try:
        while True:
            try:
                await awaited
            except Exception as error:
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(None)
    except StopIteration:
        pass


class Leaf:
    """A resource: one path with one method, answered by a coroutine. GET answers HEAD, too.

    ``below`` are the segments of the path below its name; None stands for any segment.
    """

    log = Logger()
    method: ClassVar[str]
    name: ClassVar[str]
    """The name of the resource in the log."""
    below: ClassVar[Sequence[bytes | None]] = ()
    needs_host: ClassVar[bool] = True
    """Whether the private site refuses HTTP/1.0 without Host."""
    has_known_heads: ClassVar[bool] = False
    """Whether it answers a request by its body alone, if the head is known."""
    secret = b""
    """What the head of a request must show; empty: nothing."""
    is_for_browsers: ClassVar[bool] = False
    """Whether the private site lets requests with an Origin or a foreign Host pass."""

    @property
    def max_body(self) -> int | None:
        """The longest body that is kept; None: the limit of the site."""
        return None

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def answer(self, request: Request) -> bytes | Page:
        """The content of a 200. Bytes are JSON."""
        raise NotImplementedError

    def answered(self, error: HttpError | None, seconds: float) -> None:
        """Called after each answer with the seconds that it took; ``error`` None: it was a 200."""
        if error is not None:
            self.log.warn(  # noqa: G010 (Twisted's name)
                "{name} refused: {status} {code}{path}: {text}",
                event="request.refused",
                reason=f"{self.name} {error.code}",
                name=self.name,
                status=error.status,
                code=error.code,
                path=f" at {error.path}" if error.path else "",
                text=str(error),
            )

    async def answer_body(self, body: bytes) -> bytes | Page:
        """The content of a 200 to a request with a known head (known_heads.py)."""
        raise NotImplementedError

    def serve(self, request: Request) -> None:
        """Answer the request, now or later."""
        run(self._serve(request, self._answer(request)))

    def serve_body(self, request: Answerable, body: bytes) -> None:
        """The same for a request with a known head."""
        run(self._serve(request, self.answer_body(body)))

    async def _serve(self, request: Answerable, answer: Awaitable[bytes | Page]) -> None:
        """It never raises: each exception becomes an answer, and an unexpected one is recorded as a fault."""
        began = perf_counter()
        try:
            error = None
            try:
                content = await answer
            except Exception as raised:
                error = translate(raised)
                if error is None:
                    self._faults.record(f"answering {self.method}")
                    error = internal_error()
            if error is None:
                request.respond(200, *(content if isinstance(content, Page) else Page(content)))
            else:
                request.refuse(error)
            self.answered(error, perf_counter() - began)
        except Exception:
            self._faults.record(f"answering {self.method}")

    async def _answer(self, request: Request) -> bytes | Page:
        if len(request.below) != len(self.below) or any(
            wanted not in (None, found) for wanted, found in zip(self.below, request.below, strict=True)
        ):
            raise not_found()
        allowed = "GET, HEAD" if self.method == "GET" else self.method
        if request.method not in allowed.encode().split(b", "):
            raise HttpError(405, "method", f"only {allowed} is allowed here", headers={"Allow": allowed})
        check_request(request)
        return await self.answer(request)
