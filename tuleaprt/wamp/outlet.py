"""The port through which a session reaches its client, and why a connection ends."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from autobahn.wamp.message import Message


class End(StrEnum):
    """Why a connection ended. Up to FLOOD it is the session that says so."""

    GOODBYE = "goodbye"
    EXPIRED = "ticket expired"
    KILLED = "killed"
    REPLACED = "replaced"
    REVOKED = "ticket revoked"
    REFUSED = "refused"
    VIOLATION = "protocol violation"
    SILENT = "open timeout"
    FLOOD = "too many requests"
    UNANSWERED = "ping timeout"
    SLOW = "slow reader"
    TOO_LONG = "message too long for the peer"
    SHUTDOWN = "shutdown"
    FAULT = "internal error"
    CLOSED = "closed by the peer"
    LOST = "connection lost"


MISBEHAVED = {End.REFUSED, End.VIOLATION, End.FLOOD, End.SLOW, End.TOO_LONG, End.FAULT}
"""The ends that an administrator may want to look into."""


class Outlet(Protocol):
    """What a session wants of its connection. Messages and the close leave in the order of the calls."""

    @property
    def description(self) -> Mapping[str, str]:
        """``{"type": "websocket", "protocol": "wamp.2.json", "peer": "tcp4:127.0.0.1:40312"}``"""
        ...

    @property
    def longest(self) -> int:
        """The most bytes of a message that the peer takes."""
        ...

    def send(self, message: Message, until: float = math.inf) -> None:
        """``until``: not from then on (seconds since the epoch), but drop it."""

    def close(self, end: End, detail: str = "") -> None:
        """``detail`` is for the log."""

    def wake_at(self, when: float) -> None:
        """Have the session woken then, in seconds since the epoch, and not before; infinity: never."""

    def pause(self, is_paused: bool) -> None:
        """Read nothing more from the client, or go on reading."""
