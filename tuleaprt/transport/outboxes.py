"""What waits for slow readers, all of them together: it has a bound, however many they are.

The bytes of one outbox are counted by its line (line.py). Here they are added up, as they were when
something was last put there: that an outbox has got smaller since is seen at the next look. At half of the
bound the fan-out waits for room; who takes nothing for a while then is cut off. At the bound itself the
largest outboxes go.
"""

from typing import Protocol

PATIENCE = 5
"""How many seconds a reader may take nothing while others wait for him."""


class Outbox(Protocol):
    """A line, to this."""

    def waiting(self) -> int:
        """In bytes."""

    def cut(self) -> None:
        """Cut the reader off, and ``forget`` his outbox."""


class Outboxes:
    """``most``: the bound, in bytes. Times are in seconds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: dict[Outbox, tuple[int, float]] = {}
        """The bytes that wait, and since when there have not been fewer."""
        self.total = 0
        self.is_full = False
        """Whether the fan-out is to wait until there ``has_room``."""

    def note(self, outbox: Outbox, now: float) -> None:
        """Something was put there."""
        before, since = self._known.get(outbox, (0, now))
        waiting = outbox.waiting()
        self._known[outbox] = (waiting, since)
        self.total += waiting - before
        if self.total > self.most // 2:
            self.is_full = True
        if self.total > self.most:
            self._look(now)
            self._make_room()

    def forget(self, outbox: Outbox) -> None:
        """It is gone, if it was there."""
        self.total -= self._known.pop(outbox, (0, 0))[0]

    def has_room(self, now: float) -> bool:
        """Whether the fan-out may go on; who holds it up too long is cut off."""
        self._look(now)
        for outbox, (_, since) in list(self._known.items()):
            if self.total > self.most // 2 and now - since >= PATIENCE:
                outbox.cut()
        self.is_full = self.total > self.most // 2
        return not self.is_full

    def _look(self, now: float) -> None:
        for outbox, (before, since) in list(self._known.items()):
            waiting = outbox.waiting()
            if not waiting:
                del self._known[outbox]
            else:
                self._known[outbox] = (waiting, now if waiting < before else since)
        self.total = sum(waiting for waiting, _ in self._known.values())

    def _make_room(self) -> None:
        """Down to seven eighths, so that it is not to be done again at once."""
        for outbox, _ in sorted(self._known.items(), key=lambda it: -it[1][0]):
            if self.total <= self.most // 8 * 7:
                break
            outbox.cut()
