"""``GET /health/live`` and ``GET /health/ready``, for whoever restarts it or sends it work.

::

    200 {"status": "live"}
    200 {"status": "ready"}
    503 {"status": "not ready", "problems": ["the probe has not come back for 12 s"]}
"""

from collections.abc import Callable, Sequence

import msgspec

from tuleaprt.faults import Faults
from tuleaprt.web.errors import HttpError, not_found
from tuleaprt.web.resource import Leaf, Request


class NotReady(HttpError):
    """It works on it, or is about to stop."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(503, "not_ready", "; ".join(problems))
        self._problems = list(problems)

    @property
    def body(self) -> bytes:
        return msgspec.json.encode({"status": "not ready", "problems": self._problems})


class HealthResource(Leaf):
    """``problems``: what is in the way of being ready."""

    method = "GET"
    name = "health"
    below = (None,)
    # HAProxy asks in HTTP/1.0 without Host. A browser always sends one, so nothing is lost.
    needs_host = False

    def __init__(self, problems: Callable[[], Sequence[str]], faults: Faults) -> None:
        super().__init__(faults)
        self._problems = problems

    async def answer(self, request: Request) -> bytes:
        (asked,) = request.below
        if asked == b"live":
            return msgspec.json.encode({"status": "live"})
        if asked != b"ready":
            raise not_found()
        if problems := self._problems():
            raise NotReady(problems)
        return msgspec.json.encode({"status": "ready"})

    def answered(self, error: HttpError | None, seconds: float) -> None:
        """Whoever asks does so every few seconds; that it is not ready has been logged once."""
        if not isinstance(error, NotReady):
            super().answered(error, seconds)
