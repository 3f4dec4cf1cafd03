"""What is at one path of a site, answered by a coroutine."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import ClassVar, NamedTuple, Protocol

from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger

from tuleaprt.faults import Faults
from tuleaprt.web.errors import HttpError, internal_error, not_found, translate
from tuleaprt.web.metadata import WithBody, check_request

JSON = "application/json"


class Request(WithBody, Protocol):
    """A request whose body is here (site.py)."""

    @property
    def below(self) -> Sequence[bytes]:
        """What follows the leaf's name in the path, segment by segment, unquoted."""
        ...

    def refuse(self, error: HttpError) -> None:
        """Send the error as the answer."""

    def respond(
        self, status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the answer; to nobody, if the peer has gone."""


class Page(NamedTuple):
    """The content of a 200 that is not JSON, or that has headers of its own."""

    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] | None = None


class Leaf:
    """One path with one method, answered by a coroutine; where that is GET, HEAD is answered too.

    ``below`` is what follows its name in the path, segment by segment; None stands for any one.
    """

    log = Logger()
    method: ClassVar[str]
    name: ClassVar[str]
    """What is asked for, in the log."""
    below: ClassVar[Sequence[bytes | None]] = ()
    needs_host: ClassVar[bool] = True
    """Whether the private site refuses a request of HTTP/1.0 without Host."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def answer(self, request: Request) -> bytes | Page:
        """The content of a 200; bytes are JSON."""
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
                content = await self._answer(request)
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
