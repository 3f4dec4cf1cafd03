"""The port through which a session sends to its client, and the reasons why a connection ends."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from autobahn.wamp.message import Message


class End(StrEnum):
    """Why a connection ended. The session decides those up to FLOOD, the transport the others."""

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
"""Ends that an administrator may want to look into. They are logged as warnings."""


class Peer(Protocol):
    """A connection, to the meta API and the procedures."""

    @property
    def description(self) -> Mapping[str, str]:
        """``{"type": "websocket", "protocol": "wamp.2.json", "peer": "tcp4:127.0.0.1:40312"}``"""
        ...

    @property
    def longest(self) -> int:
        """The longest message that the peer accepts, in bytes."""
        ...


class Outlet(Peer, Protocol):
    """A connection, to its session. Messages and the close are sent in the order of the calls."""

    def send(self, message: Message, until: float = math.inf) -> None:
        """Send the message. It is dropped if it would be sent at or after ``until`` (seconds since the
        epoch).
        """

    def close(self, end: End, detail: str = "") -> None:
        """Close the connection. ``detail`` is for the log."""

    def wake_at(self, when: float) -> None:
        """Call ``wake`` of the session at this time (seconds since the epoch), and not before; infinity:
        never.
        """

    def pause(self, is_paused: bool) -> None:
        """Stop or resume reading from the client."""
