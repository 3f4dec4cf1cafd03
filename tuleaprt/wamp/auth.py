"""The groups of each user: those of the ticket of his that ends last, in all his sessions.

Of two that end together it is the one that was shown later. It gives the groups until its end, even when the
session that has shown it ends before. Operators' tickets take no part: each is its session's own.

Who a session is, and the seams through which the router asks what it may do.
"""

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


Groups = frozenset[str]

FEW = 1000
"""So many are kept without looking whether they have ended."""


class Credentials:
    """What users have shown. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[float, Groups]] = {}
        self._enough = FEW

    def __len__(self) -> int:
        return len(self._latest)

    def groups_of(self, user_id: int) -> Groups | None:
        """What the sessions of a user have; None: he has shown nothing yet, or too long ago."""
        latest = self._latest.get(user_id)
        return None if latest is None else latest[1]

    def show(self, identity: Identity, now: float) -> Groups:
        """The groups of whoever has just shown the ticket of this identity."""
        if identity.role is not Role.USER:
            return identity.groups
        exp, groups = self._latest.get(identity.user_id, (now, frozenset()))
        if identity.exp < exp:
            return groups
        self._latest[identity.user_id] = identity.exp, identity.groups
        if len(self._latest) > self._enough:
            self._forget_the_ended(now)
        return identity.groups

    def forget(self, user_id: int) -> None:
        """The tickets of this user are good no more."""
        self._latest.pop(user_id, None)

    def _forget_the_ended(self, now: float) -> None:
        self._latest = {user: it for user, it in self._latest.items() if it[0] > now}
        self._enough = max(FEW, 2 * len(self._latest))
