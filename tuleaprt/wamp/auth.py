"""Who a session is, and the seams through which the router asks what it may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tuleaprt.wamp.identifiers import Match

AUTHPROVIDER = "tuleaprt"
"""WELCOME.Details.authprovider: who checked the ticket."""


class Role(StrEnum):
    """WELCOME.Details.authrole."""

    USER = "user"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a ticket proves.

    ``topics`` are the only ones that may be subscribed; None: the ticket does not say (not the same as none).
    Times are in seconds since the epoch: ``exp`` is the end of the ticket, as far as it counts, and nothing
    may be sent from ``expires_at`` on, which is then or a little before.
    """

    user_id: int
    role: Role
    groups: frozenset[str]
    topics: frozenset[str] | None
    exp: float
    expires_at: float

    @property
    def authid(self) -> str:
        return str(self.user_id) if self.user_id else "anonymous"


ANONYMOUS_OPERATOR = Identity(
    user_id=0, role=Role.OPERATOR, groups=frozenset(), topics=None, exp=float("inf"), expires_at=float("inf")
)
"""Whoever comes without a ticket where none is asked for."""


class Authenticator(Protocol):
    """Turns a ticket into an identity."""

    def authenticate(self, ticket: str, now: float) -> Identity:
        """
        Raises:
            TicketExpired: it was good once.
            TicketRefused: anything else.
        """
        ...


class Policy(Protocol):
    """Says what a session may do."""

    def may_subscribe(self, identity: Identity, topic: str, match: Match) -> bool: ...
