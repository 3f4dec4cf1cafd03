"""One Engine.IO session: its heartbeat, and the packets that wait for the next poll.

::

    server   ping (2) ──▶  … ping_timeout …   ping (2) ──▶
    client            ◀── pong (3)  … ping_interval …

Source: Engine.IO protocol 4, "Heartbeat" and "HTTP long-polling". Times are in seconds.
"""

from collections.abc import Iterable
from enum import Enum

from tuleaprt.socketio.packets import SEPARATOR


class Beat(Enum):
    """What is due."""

    NOTHING = "nothing"
    PING = "a ping must be sent"
    DEAD = "the last ping was not answered in time"


class Heartbeat:
    """Decides when to ping, and when the client is taken for lost. ``next_at`` is the next time of either."""

    __slots__ = ("_interval", "_is_waiting", "_timeout", "next_at")

    def __init__(self, interval: float, timeout: float, now: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._is_waiting = False
        self.next_at = now + interval

    def pong(self, now: float) -> None:
        """The client has answered. A pong that no ping has asked for changes nothing."""
        if self._is_waiting:
            self._is_waiting = False
            self.next_at = now + self._interval

    def beat(self, now: float) -> Beat:
        if now < self.next_at:
            return Beat.NOTHING
        if self._is_waiting:
            return Beat.DEAD
        self._is_waiting = True
        self.next_at = now + self._timeout
        return Beat.PING


class PollQueue:
    """Packets that wait for the next GET. Each has the id of the publication that it hands over, or 0.
    ``size`` is in bytes, with separators.
    """

    __slots__ = ("_packets", "size")

    def __init__(self) -> None:
        self._packets: list[tuple[bytes, int]] = []
        self.size = 0

    def put(self, packet: bytes, publication: int = 0) -> None:
        self._packets.append((packet, publication))
        self.size += len(packet) + len(SEPARATOR)

    @property
    def first(self) -> int:
        """The id of the first publication in the queue; 0: there is none."""
        return next((publication for _, publication in self._packets if publication), 0)

    @property
    def last(self) -> int:
        """The id of the last publication in the queue; 0: there is none."""
        return last_of(self._packets)

    def take(self) -> list[tuple[bytes, int]]:
        """Remove all packets."""
        packets, self._packets, self.size = self._packets, [], 0
        return packets

    def unmark(self) -> None:
        """The publications in the queue do not count any more: the page has subscribed anew."""
        self._packets = [(packet, 0) for packet, _ in self._packets]


def body_of(taken: Iterable[tuple[bytes, int]]) -> bytes:
    """The body of an answer with these packets (Engine.IO protocol 4, "Packet encoding")."""
    return SEPARATOR.join(packet for packet, _ in taken)


def last_of(taken: Iterable[tuple[bytes, int]]) -> int:
    """The id of the last publication among these packets; 0: there is none."""
    return next((publication for _, publication in reversed(list(taken)) if publication), 0)
