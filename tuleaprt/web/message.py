"""``POST /message``: where Tuleap announces each change."""

from collections.abc import Awaitable, Callable
from hmac import compare_digest

import msgspec

from tuleaprt.faults import Faults
from tuleaprt.metrics import Metrics
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.web.errors import HttpError
from tuleaprt.web.metadata import json_body
from tuleaprt.web.resource import Leaf, Request


class MessageResource(Leaf):
    """Answers ``{"publication": id}`` when the journal has the message, before anybody receives it."""

    method = "POST"
    name = "post"

    def __init__(
        self,
        accept: Callable[[Message], Awaitable[int]],
        *,
        secret: bytes,
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        super().__init__(faults)
        self._accept = accept
        self.secret = secret
        self._metrics = metrics

    async def answer(self, request: Request) -> bytes:
        self._check_secret(request)
        message = decode(json_body(request))
        return msgspec.json.encode({"publication": await self._accept(message)})

    def answered(self, error: HttpError | None, seconds: float) -> None:
        super().answered(error, seconds)
        self._metrics.answered(seconds)
        self._metrics.message("200" if error is None else str(error.status))

    def _check_secret(self, request: Request) -> None:
        given = request.header(b"Authorization") or b""
        if self.secret and not compare_digest(given, b"Bearer " + self.secret):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HttpError(401, "unauthorized", "the post's secret is missing or wrong", headers=challenge)
