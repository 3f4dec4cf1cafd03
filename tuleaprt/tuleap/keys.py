"""The keys that tickets may be signed with: Tuleap writes a new one at every deploy of a site.

A page holds a ticket of the key before the change until it ends, so that key stays good for as long.
"""

from collections.abc import Iterator

FORMER_KEYS = 4
"""How many are kept: a ticket with a wrong signature is tried with each."""


class KeyRing:
    """The newest key and the former ones that are still good. A value; times are in seconds."""

    __slots__ = ("_former", "newest")

    def __init__(self, newest: bytes, former: tuple[tuple[bytes, float], ...] = ()) -> None:
        self.newest = newest
        self._former = former

    def changed(self, key: bytes, now: float, seconds: float) -> "KeyRing":
        """The ring after a change at this time, with the key before good for so long; itself, if none."""
        if key == self.newest:
            return self
        kept = [(it, until) for it, until in self._former if until > now and it != key]
        return KeyRing(key, ((self.newest, now + seconds), *kept)[:FORMER_KEYS])

    def former(self, now: float) -> Iterator[bytes]:
        """Those that are good at this time, the last one first."""
        return (key for key, until in self._former if until > now)

    def __repr__(self) -> str:
        return f"<KeyRing of {1 + len(self._former)}>"
