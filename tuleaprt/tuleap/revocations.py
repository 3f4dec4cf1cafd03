"""Users whose tickets an administrator has revoked.

A ticket says when it ends, not when it was made: one that ends no later than the longest lifetime after the
revocation may be older than it, and is refused; what Tuleap makes afterwards ends later, and is good. One
that ends further away than Tuleap's do may be of any age, and is refused as long as the revocation is
remembered, which is that same lifetime: then all that were meant have ended.
"""

MAX_CLOCK_SKEW = 60
"""By how many seconds the clock of Tuleap may be ahead."""


class Revocations:
    """Times are in seconds since the epoch, of the records."""

    def __init__(self, max_lifetime: float) -> None:
        self._max_lifetime = max_lifetime
        self._until: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def revoke(self, user_id: int, at: float) -> None:
        """Refuse the tickets that this user has."""
        self._until = {user: until for user, until in self._until.items() if until > at}
        self._until[user_id] = at + self._max_lifetime

    def refuse(self, user_id: int, exp: float, now: float) -> bool:
        """Whether a ticket of this user that ends then is refused."""
        until = self._until.get(user_id)
        if until is None or now >= until:
            return False
        return exp <= until or exp > now + self._max_lifetime + MAX_CLOCK_SKEW
