"""The edge between twisted.web and coroutines, and the only translation of errors into HTTP.

An error is answered by its status and::

    {"error": {"code": "invalid_rights", "message": "Expected `object`, got `array`", "path": "$.rights"}}
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

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


class Refusal(Resource):
    """Answers every request with the same error."""

    isLeaf = True

    def __init__(self, error: HttpError) -> None:
        super().__init__()
        self._error = error

    def render(self, request: Request) -> int:
        _respond(request, self._error.status, self._error.body, JSON, self._error.headers)
        return NOT_DONE_YET


class Leaf(Resource):
    """One path with one method, answered by a coroutine.

    ``below`` is what follows its name in the path, segment by segment; None stands for any one.
    """

    isLeaf = True
    log = Logger()
    method: ClassVar[str]
    name: ClassVar[str]
    """What is asked for, in the log."""
    below: ClassVar[Sequence[bytes | None]] = ()
    content_type: str = JSON

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    async def answer(self, request: Request) -> bytes:
        """The body of a 200."""
        raise NotImplementedError

    def answered(self, error: HttpError | None) -> None:
        """Called after each answer; None: it was a 200."""
        if error is not None:
            self.log.warn(  # noqa: G010 (Twisted's name)
                "{name} refused: {status} {code}{path}: {text}",
                name=self.name,
                status=error.status,
                code=error.code,
                path=f" at {error.path}" if error.path else "",
                text=str(error),
            )

    def render(self, request: Request) -> int:
        ensureDeferred(self._serve(request))
        return NOT_DONE_YET

    async def _serve(self, request: Request) -> None:
        """Never fails: whatever goes wrong is an answer, or a fault and a constant answer."""
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        try:
            error = None
            try:
                body = await self._answer(request)
            except Exception as raised:
                error = translate(raised)
                if error is None:
                    self._faults.record(f"answering {self.method}")
                    error = internal_error()
            if not gone:
                if error is None:
                    _respond(request, 200, body, self.content_type, {})
                else:
                    _respond(request, error.status, error.body, JSON, error.headers)
            self.answered(error)
        except Exception:
            self._faults.record(f"answering {self.method}")

    async def _answer(self, request: Request) -> bytes:
        path = request.postpath or []
        if len(path) != len(self.below) or any(
            wanted not in (None, found) for wanted, found in zip(self.below, path, strict=True)
        ):
            raise not_found()
        if request.method != self.method.encode():
            raise HttpError(
                405, "method", f"only {self.method} is allowed here", headers={"Allow": self.method}
            )
        return await self.answer(request)


def _respond(
    request: Request, status: int, body: bytes, content_type: str, headers: Mapping[str, str]
) -> None:
    request.setResponseCode(status)
    # twisted.web names itself and its version.
    request.responseHeaders.removeHeader(b"Server")
    request.setHeader(b"Content-Type", content_type.encode())
    request.setHeader(b"Content-Length", b"%d" % len(body))
    for name, value in headers.items():
        request.setHeader(name.encode(), value.encode())
    request.write(body)
    request.finish()
