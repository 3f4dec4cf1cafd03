"""What is at one path of a site, answered by a coroutine, and the only translation of errors into HTTP.

An error is answered by its status and::

    {"error": {"code": "invalid_rights", "message": "Expected `object`, got `array`", "path": "$.rights"}}
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import ClassVar, Protocol

import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger

from tuleaprt.errors import InvalidMessage, JournalUnavailable, RefusedMessage, TuleaprtError
from tuleaprt.faults import Faults

JSON = "application/json"
RETRY_AFTER_SECONDS = 5


class HttpError(TuleaprtError):
    """A request that is answered by a status, before or beside what it is about."""

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
    return HttpError(404, "not_found", "there is nothing here")


def internal_error() -> HttpError:
    return HttpError(500, "internal_error", "an internal error; it has been logged")


def translate(error: Exception) -> HttpError | None:
    """The answer to an error; None: it should not have happened."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, InvalidMessage):
        status = 422 if isinstance(error, RefusedMessage) else 400
        return HttpError(status, error.code, error.message, path=error.path)
    if isinstance(error, JournalUnavailable):
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return HttpError(503, "unavailable", "nothing was published; try again", headers=retry)
    return None


class Request(Protocol):
    """A request whose body is here (site.py)."""

    @property
    def method(self) -> bytes: ...

    @property
    def below(self) -> Sequence[bytes]:
        """What follows the leaf's name in the path, segment by segment, unquoted."""
        ...

    def getHeader(self, key: bytes) -> bytes | None:
        """The last of this name (twisted.web's)."""

    def body(self) -> bytes:
        """
        Raises:
            HttpError: 411 or 413.
        """
        ...

    def refuse(self, error: "HttpError") -> None:
        """Send the error as the answer."""

    def respond(
        self, status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the answer; to nobody, if the peer has gone."""


class Leaf:
    """One path with one method, answered by a coroutine.

    ``below`` is what follows its name in the path, segment by segment; None stands for any one.
    """

    log = Logger()
    method: ClassVar[str]
    name: ClassVar[str]
    """What is asked for, in the log."""
    below: ClassVar[Sequence[bytes | None]] = ()
    content_type: str = JSON

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def answer(self, request: Request) -> bytes:
        """The body of a 200."""
        raise NotImplementedError

    def answered(self, error: HttpError | None, seconds: float) -> None:
        """Called after each answer, that took so long; None: it was a 200."""
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

    def serve(self, request: Request) -> None:
        """Answer it, now or later."""
        ensureDeferred(self._serve(request))

    async def _serve(self, request: Request) -> None:
        """Never fails: whatever goes wrong is an answer, or a fault and a constant answer."""
        began = perf_counter()
        try:
            error = None
            try:
                body = await self._answer(request)
            except Exception as raised:
                error = translate(raised)
                if error is None:
                    self._faults.record(f"answering {self.method}")
                    error = internal_error()
            if error is None:
                request.respond(200, body, self.content_type)
            else:
                request.refuse(error)
            self.answered(error, perf_counter() - began)
        except Exception:
            self._faults.record(f"answering {self.method}")

    async def _answer(self, request: Request) -> bytes:
        if len(request.below) != len(self.below) or any(
            wanted not in (None, found) for wanted, found in zip(self.below, request.below, strict=True)
        ):
            raise not_found()
        if request.method != self.method.encode():
            raise HttpError(
                405, "method", f"only {self.method} is allowed here", headers={"Allow": self.method}
            )
        return await self.answer(request)
