"""What administrators ask of the private site, with an operator's ticket as bearer.

::

    PUT    /campaigns/<id>/executions   the results of a campaign (tuleap/seed.py)  →  {"publication": id}
    DELETE /sessions/<user id>          end a user's sessions, revoke his tickets   →  {"user_id": 101}
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from twisted.internet.interfaces import IReactorTime

from tuleaprt.errors import TicketError
from tuleaprt.faults import Faults
from tuleaprt.tuleap.inputs import CampaignSeeded
from tuleaprt.tuleap.seed import decode
from tuleaprt.tuleap.topics import campaign_topic, parse_id
from tuleaprt.wamp.auth import Authenticator, Identity, Role
from tuleaprt.web.errors import HttpError
from tuleaprt.web.metadata import json_body, no_body
from tuleaprt.web.resource import Leaf, Request

BEARER = b"Bearer "


class Audit(Protocol):
    """Notes what an operator did."""

    def __call__(self, session: None, identity: Identity, deed: str, what: str) -> None: ...


class OperatorGate:
    """Lets operators through, and notes what they do."""

    def __init__(self, authenticator: Authenticator, *, clock: IReactorTime, audit: Audit) -> None:
        self._authenticator = authenticator
        self._clock = clock
        self.audit = audit

    def operator(self, request: Request) -> Identity:
        """
        Raises:
            HttpError: 401, or 403 for somebody who is not an operator.
        """
        given = request.header(b"Authorization") or b""
        try:
            ticket = given.removeprefix(BEARER).decode("ascii") if given.startswith(BEARER) else ""
            identity = self._authenticator.authenticate(ticket, self._clock.seconds())
        except (TicketError, UnicodeDecodeError):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise HttpError(
                401, "unauthorized", "this needs an operator's ticket as bearer", headers=challenge
            ) from None
        if identity.role is not Role.OPERATOR:
            raise HttpError(403, "not_operator", "this is the ticket of a user; it needs an operator's")
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
        results, users = decode(json_body(request, must_be_typed=False))
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
    """The first segment below the resource, of which there is one."""
    id = parse_id(request.below[0].decode("latin-1"))
    if id is None:
        raise HttpError(400, "invalid_id", f"the id of a {what} is a whole number from 1 to 2^53-1")
    return id
