"""Errors as HTTP: the only translation.

An error is answered by its status and::

    {"error": {"code": "invalid_rights", "message": "Expected `object`, got `array`", "path": "$.rights"}}
"""

from collections.abc import Mapping

import msgspec

from tuleaprt.errors import InvalidMessage, JournalUnavailable, RefusedMessage, TuleaprtError

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
