"""Identities, the ports through which the router asks for permission, and the user groups of each user.

Of all tokens that a user has shown, the one that expires last gives the groups of all sessions of that user,
until it expires, even when the session that showed it has ended. Of two tokens that expire together, the one
that was shown later counts. Operators' tokens take no part: each counts for its own session only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tuleaprt.wamp.identifiers import Match

AUTHPROVIDER = "tuleaprt"
"""WELCOME.Details.authprovider: what has verified the token."""


class Role(StrEnum):
    """WELCOME.Details.authrole."""

    USER = "user"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The identity that a token proves.

    ``topics`` are the only topics that may be subscribed to; None: the token does not restrict them (an empty
    set forbids all). Times are in seconds since the epoch. ``exp`` is the end of the token, capped at the
    longest lifetime. Nothing is sent at or after ``expires_at``, which is ``exp`` or a little earlier.
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
"""The identity of a client without a token, at an endpoint that asks for none."""


class Authenticator(Protocol):
    """Turns a token into an identity."""

    def authenticate(self, ticket: str, now: float) -> Identity:
        """
        Raises:
            TicketExpired: the token is good but for its end.
            TicketRefused: the token is not good.
        """
        ...


class Policy(Protocol):
    """Decides what a session may subscribe to."""

    def may_subscribe(self, identity: Identity, topic: str, match: Match) -> bool: ...


Groups = frozenset[str]

FEW = 1000
"""Below this number of users, the table is not searched for expired tokens."""


class Credentials:
    """The groups of each user by the newest token. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[float, Groups]] = {}
        self._enough = FEW

    def __len__(self) -> int:
        return len(self._latest)

    def groups_of(self, user_id: int) -> Groups | None:
        """The groups of the user's sessions; None: the user has shown no token, or all have expired."""
        latest = self._latest.get(user_id)
        return None if latest is None else latest[1]

    def state(self) -> dict[int, tuple[float, Groups]]:
        """The end of the newest token of each user, and its groups."""
        return dict(self._latest)

    def restore(self, latest: Mapping[int, tuple[float, Groups]]) -> None:
        """Take over a snapshot."""
        self._latest = dict(latest)

    def learn(self, user_id: int, exp: float, groups: Groups) -> bool:
        """The user has shown a token elsewhere or before. Returns whether it is the newest one."""
        is_newest = exp >= self._latest.get(user_id, (0.0, groups))[0]
        if is_newest:
            self._latest[user_id] = exp, groups
        return is_newest

    def newest(self, user_id: int) -> tuple[float, Groups] | None:
        """The end of the user's newest token, and its groups; None: the user has shown none."""
        return self._latest.get(user_id)

    def show(self, identity: Identity, now: float) -> Groups:
        """Note a token that has just been shown, and return the groups that its user has now."""
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
        """Forget the user's tokens, because they have been revoked."""
        self._latest.pop(user_id, None)

    def _forget_the_ended(self, now: float) -> None:
        self._latest = {user: it for user, it in self._latest.items() if it[0] > now}
        self._enough = max(FEW, 2 * len(self._latest))
