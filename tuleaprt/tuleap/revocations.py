"""Revoked tickets: those that a user held when an administrator revoked them.

A ticket with ``iat`` says when it was made. A ticket without one says only when it ends, so it is taken
to have been made one longest lifetime before that, as Tuleap's are. The clock that made the ticket may
differ from the clock that recorded the revocation by ``MAX_CLOCK_SKEW`` in either direction, and each
comparison allows for it to the side of refusing:

* with ``iat``, a ticket is refused if ``iat <= revoked_at + MAX_CLOCK_SKEW``;
* without, it is refused if ``exp <= revoked_at + max_lifetime + MAX_CLOCK_SKEW``, and while it ends further
  away than a ticket of the longest lifetime can: then ``exp`` does not say how old it is.

A revocation is remembered for the longest lifetime and the skew: by then each of Tuleap's tickets that
it meant has ended.
"""

MAX_CLOCK_SKEW = 60
"""The largest difference, in seconds, between the clock that makes tickets and the server's clock."""


class Revocations:
    """Times are in seconds since the epoch, by the clock of the records."""

    def __init__(self, max_lifetime: float) -> None:
        self._longest = max_lifetime + MAX_CLOCK_SKEW
        self._revoked_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._revoked_at)

    def revoke(self, user_id: int, at: float) -> None:
        """Refuse the tickets that this user has."""
        self._revoked_at = {user: it for user, it in self._revoked_at.items() if it + self._longest > at}
        self._revoked_at[user_id] = max(at, self._revoked_at.get(user_id, at))

    def refuse(self, user_id: int, exp: float, now: float, iat: float | None = None) -> bool:
        """Whether a ticket of this user with this ``exp``, and this ``iat`` if it has one, is refused."""
        revoked_at = self._revoked_at.get(user_id)
        if revoked_at is None or now >= revoked_at + self._longest:
            return False
        if iat is not None:
            return iat <= revoked_at + MAX_CLOCK_SKEW
        return exp <= revoked_at + self._longest or exp > now + self._longest
