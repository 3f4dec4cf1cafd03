"""The resources of the private site.

``POST /message``: Tuleap's posts. The answer is ``{"publication": id}``.

Administration, with an operator's token as bearer::

    PUT    /campaigns/<id>/executions   the results of a campaign (tuleap/inputs.py)  →  {"publication": id}
    DELETE /sessions/<user id>          end a user's sessions, revoke their tokens    →  {"user_id": 101}

``GET /health/live`` and ``GET /health/ready``::

    200 {"status": "live"}
    200 {"status": "ready"}
    503 {"status": "not ready", "problems": ["the probe has not returned for 12 s"]}

``GET /metrics`` for Prometheus.
"""

from collections.abc import Awaitable, Callable, Sequence
from hmac import compare_digest
from typing import Protocol

import msgspec
from twisted.internet.interfaces import IReactorTime

from tuleaprt.errors import TicketError
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import Metrics, PrometheusMetrics
from tuleaprt.tuleap.inputs import CampaignSeeded, decode_seed
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.tuleap.topics import campaign_topic, parse_id
from tuleaprt.wamp.auth import Authenticator, Identity, Role
from tuleaprt.web.resource import HttpError, Leaf, Page, Request, json_body, no_body, not_found


class MessageResource(Leaf):
    """Answers ``{"publication": id}`` when the journal has the message, before any subscriber receives it."""

    method = "POST"
    name = "post"
    has_known_heads = True

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
        return await self.answer_body(json_body(request))

    async def answer_body(self, body: bytes) -> bytes:
        return msgspec.json.encode({"publication": await self._accept(decode(body))})

    def answered(self, error: HttpError | None, seconds: float) -> None:
        super().answered(error, seconds)
        self._metrics.answered(seconds)
        self._metrics.message("200" if error is None else str(error.status))

    def _check_secret(self, request: Request) -> None:
        given = request.header(b"Authorization") or b""
        if self.secret and not compare_digest(given, b"Bearer " + self.secret):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HttpError(401, "unauthorized", "the post's secret is missing or wrong", headers=challenge)


BEARER = b"Bearer "


class Audit(Protocol):
    """Logs what an operator did."""

    def __call__(self, session: None, identity: Identity, deed: str, what: str) -> None: ...


class OperatorGate:
    """Admits operators, and logs what they do."""

    def __init__(self, authenticator: Authenticator, *, clock: IReactorTime, audit: Audit) -> None:
        self._authenticator = authenticator
        self._clock = clock
        self.audit = audit

    def operator(self, request: Request) -> Identity:
        """
        Raises:
            HttpError: 401 without a good token, 403 if it is not an operator's.
        """
        given = request.header(b"Authorization") or b""
        try:
            ticket = given.removeprefix(BEARER).decode("ascii") if given.startswith(BEARER) else ""
            identity = self._authenticator.authenticate(ticket, self._clock.seconds())
        except (TicketError, UnicodeDecodeError):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HttpError(
                401, "unauthorized", "an operator's token is needed as bearer", headers=challenge
            ) from None
        if identity.role is not Role.OPERATOR:
            raise HttpError(403, "not_operator", "this is a user's token; an operator's is needed")
        return identity


class ExecutionsResource(Leaf):
    """``PUT /campaigns/<id>/executions``"""

    method = "PUT"
    name = "seed"
    below = (None, b"executions")

    def __init__(
        self, seed: Callable[[CampaignSeeded], Awaitable[int]], gate: OperatorGate, faults: Faults
    ) -> None:
        super().__init__(faults)
        self._seed = seed
        self._gate = gate

    async def answer(self, request: Request) -> bytes:
        operator = self._gate.operator(request)
        topic = campaign_topic(_id(request, "campaign"))
        results, users = decode_seed(json_body(request, must_be_typed=False))
        publication = await self._seed(CampaignSeeded(topic=topic, results=results, users=users))
        self._gate.audit(None, operator, "seed", f"{topic}: {len(results)} executions")
        return msgspec.json.encode({"publication": publication})


class SessionsResource(Leaf):
    """``DELETE /sessions/<user id>``"""

    method = "DELETE"
    name = "revocation"
    below = (None,)

    def __init__(self, revoke: Callable[[int], Awaitable[None]], gate: OperatorGate, faults: Faults) -> None:
        super().__init__(faults)
        self._revoke = revoke
        self._gate = gate

    async def answer(self, request: Request) -> bytes:
        operator = self._gate.operator(request)
        no_body(request)
        user_id = _id(request, "user")
        await self._revoke(user_id)
        self._gate.audit(None, operator, "revoke", f"user {user_id}")
        return msgspec.json.encode({"user_id": user_id})


def _id(request: Request, what: str) -> int:
    """The id in the path below the resource."""
    id = parse_id(request.below[0].decode("latin-1"))
    if id is None:
        raise HttpError(400, "invalid_id", f"the id of a {what} is a whole number from 1 to 2^53-1")
    return id


class NotReady(HttpError):
    """The server is starting, stopping, or its probe has failed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(503, "not_ready", "; ".join(problems))
        self._problems = list(problems)

    @property
    def body(self) -> bytes:
        return msgspec.json.encode({"status": "not ready", "problems": self._problems})


class HealthResource(Leaf):
    """``problems`` returns the reasons why the server is not ready."""

    method = "GET"
    name = "health"
    below = (None,)
    # HAProxy sends HTTP/1.0 without Host. Browsers always send Host, so the protection against them stays.
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
        """Not logged: health checks come every few seconds, and a failing probe is logged once elsewhere."""
        if not isinstance(error, NotReady):
            super().answered(error, seconds)


class MetricsResource(Leaf):
    """The metrics of this process."""

    method = "GET"
    name = "metrics"

    def __init__(self, metrics: PrometheusMetrics, faults: Faults) -> None:
        super().__init__(faults)
        self._metrics = metrics

    async def answer(self, request: Request) -> Page:
        accept = (request.header(b"Accept") or b"").decode("latin-1")
        body, content_type = self._metrics.negotiated(accept)
        return Page(body, content_type, {"Vary": "Accept"})
