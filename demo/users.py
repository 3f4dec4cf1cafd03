"""The accounts of the substitute, their groups, and the tokens that Tuleap makes for them.

Groups are the texts that Tuleap puts into tokens and rights (contract 2.2). Tokens are those of 3.1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

TICKET_SECONDS = 1800

ADMIN = "@gpig_project_admin"
MEMBERS = "@gpig_project_members"
ACTIVE = "@site_active"
RESTRICTED = "@site_restricted"
TESTERS = "@ug_158"
SUPPLIERS = "@ug_159"

GROUP_NAMES = {
    ADMIN: "project administrators",
    MEMBERS: "project members",
    TESTERS: "testers",
    SUPPLIERS: "suppliers",
    ACTIVE: "active accounts",
    RESTRICTED: "restricted accounts",
}

_AVATAR = "avatar-3f5c0d4e9b7a4d0f8f1c2b6a5e4d3c2b1a0f9e8d7c6b5a493827160f5e4d3c2b.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. ``role`` is its name in the page; ``status`` is Tuleap's: A active, R restricted."""

    id: int
    username: str
    real_name: str
    role: str
    groups: tuple[str, ...]
    ldap_id: str = ""
    status: str = "A"

    def as_json(self) -> dict[str, Any]:
        """The 12 keys with which Tuleap represents a user, in Tuleap's order (contract 1.5)."""
        return {
            "id": self.id,
            "uri": f"users/{self.id}",
            "user_url": f"/users/{self.username}",
            "real_name": self.real_name,
            "display_name": f"{self.real_name} ({self.username})",
            "username": self.username,
            "ldap_id": self.ldap_id,
            "avatar_url": f"https://tuleap.example.com/users/{self.username}/{_AVATAR}",
            "is_anonymous": False,
            "has_avatar": True,
            "email": f"{self.username}@example.com",
            "status": self.status,
        }


EVERYBODY = (
    User(
        id=101,
        username="alice",
        real_name="Alice Martin",
        role="member",
        groups=(ACTIVE, MEMBERS, ADMIN),
    ),
    User(
        id=102,
        username="bob",
        real_name="Bob Durand",
        role="tester",
        groups=(ACTIVE, MEMBERS, TESTERS),
    ),
    User(
        id=140,
        username="jose",
        real_name="José Núñez",
        role="restricted",
        groups=(RESTRICTED, SUPPLIERS),
        ldap_id="jose.nunez",
        status="R",
    ),
    User(id=150, username="olga", real_name="Olga Weber", role="outsider", groups=(ACTIVE,)),
)


class Directory:
    """The accounts, and the groups that they are in now."""

    def __init__(self, users: Iterable[User] = EVERYBODY) -> None:
        self.users: Mapping[int, User] = {user.id: user for user in users}
        self._lost: dict[int, set[str]] = {id: set() for id in self.users}

    def groups(self, user_id: int) -> frozenset[str]:
        return frozenset(self.users[user_id].groups) - self._lost[user_id]

    def set_group(self, user_id: int, group: str, is_in: bool) -> None:
        """Take the user out of a group, or put the user back.

        Raises:
            KeyError: the user has never been in the group.
        """
        if group not in self.users[user_id].groups:
            raise KeyError(group)
        (self._lost[user_id].discard if is_in else self._lost[user_id].add)(group)

    def ticket(self, user_id: int, key: bytes, now: float, seconds: float = TICKET_SECONDS) -> str:
        """The token of ``GET /api/v1/jwt``: exp has microseconds, the text of the key is used unchanged."""
        groups = [group for group in self.users[user_id].groups if group in self.groups(user_id)]
        return _signed({"user_id": user_id, "user_rights": groups}, key, now + seconds)


def operator_ticket(key: bytes, now: float) -> str:
    """An operator's token, which Tuleap never makes; for the inspector."""
    return _signed({"user_id": 1, "user_rights": [], "role": "operator"}, key, now + TICKET_SECONDS)


def _signed(data: dict[str, Any], key: bytes, exp: float) -> str:
    return jwt.encode({"data": data, "exp": round(exp, 6)}, key, algorithm="HS512", sort_headers=False)
