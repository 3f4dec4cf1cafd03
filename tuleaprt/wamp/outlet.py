"""The port through which a session reaches its client, and why a connection ends."""

from enum import StrEnum
from typing import Protocol

from autobahn.wamp.message import Message


class End(StrEnum):
    """Why a connection ended. Up to SILENT it is the session that says so."""

    GOODBYE = "goodbye"
    EXPIRED = "ticket expired"
    REFUSED = "refused"
    VIOLATION = "protocol violation"
    SILENT = "open timeout"
    UNANSWERED = "ping timeout"
    SLOW = "slow reader"
    SHUTDOWN = "shutdown"
    FAULT = "internal error"
    CLOSED = "closed by the peer"
    LOST = "connection lost"


class Outlet(Protocol):
    """What a session wants of its connection. Messages and the close leave in the order of the calls."""

    def send(self, message: Message) -> None: ...

    def close(self, end: End, detail: str = "") -> None:
        """``detail`` is for the log."""
