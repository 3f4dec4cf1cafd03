"""The way out to one client: what its session and the fan-out send goes through here."""

import math
import sys
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

from autobahn.wamp.message import Message
from twisted.internet.interfaces import IReactorTime

from tuleaprt.transport.direct import Writer
from tuleaprt.transport.frames import WireFormat
from tuleaprt.transport.outboxes import Outboxes
from tuleaprt.wamp.outlet import End


class Queue(Protocol):
    """The fan-out, to a connection that replies."""

    def then(self, do: Callable[[], None], session: Hashable | None = None) -> None:
        """Call ``do`` after everything that is queued for the session now."""


class Shared(Protocol):
    """What all connections share, to the outbound half of one (``Hub``)."""

    clock: IReactorTime
    outboxes: Outboxes
    max_outbox: int

    @property
    def fanout(self) -> Queue: ...


class Owner(Protocol):
    """A connection, to its outbound half (``Connection``)."""

    transport: Any
    kind: str
    peer: str

    @property
    def hub(self) -> Shared: ...

    @property
    def session(self) -> Hashable | None: ...

    def end(self, end: End, detail: str = "") -> None: ...

    def cut(self, end: End) -> None: ...

    def wake_at(self, when: float) -> None: ...

    def pause(self, is_paused: bool) -> None: ...


class Line(Writer):
    """The Outlet of a session, and a Receiver of the fan-out.

    Apart from its Connection, and slotted, because of the fan-out: what it touches of each receiver must be
    small. The connection is to ``shut`` it: no frame may follow the close frame (RFC 6455, 5.5.1).
    """

    __slots__ = ("_connection", "format")

    longest = sys.maxsize

    def __init__(self, connection: Owner, format: WireFormat) -> None:
        super().__init__(connection.transport)
        self.format = format
        self._connection = connection

    @property
    def description(self) -> Mapping[str, str]:
        return {
            "type": self._connection.kind,
            "protocol": f"wamp.2.{self.format.serializer.name}",
            "peer": self._connection.peer,
        }

    def send(self, message: Message, until: float = math.inf) -> None:
        frame = self.format.frame(message.marshal())
        self._connection.hub.fanout.then(lambda: self._write(frame, until), self._connection.session)

    def _write(self, frame: bytes, until: float) -> None:
        if until == math.inf or self._connection.hub.clock.seconds() < until:
            self.write(frame)

    def close(self, end: End, detail: str = "") -> None:
        connection = self._connection
        connection.hub.fanout.then(lambda: connection.end(end, detail), connection.session)

    def wake_at(self, when: float) -> None:
        self._connection.wake_at(when)

    def pause(self, is_paused: bool) -> None:
        self._connection.pause(is_paused)

    def queue(self, data: bytes) -> None:
        """Cut the reader off when too much was waiting for him before this."""
        if self.is_behind():
            self._connection.end(End.SLOW)
        else:
            self.wait(data)

    def wait(self, data: bytes) -> None:
        super().wait(data)
        hub = self._connection.hub
        hub.outboxes.note(self, hub.clock.seconds())

    def cut(self) -> None:
        """Cut the reader off, and what waits for him with him."""
        # Twisted ends the connection in a later turn; until then others would be cut off for these bytes.
        self._connection.hub.outboxes.forget(self)
        self._connection.cut(End.SLOW)

    def is_behind(self) -> bool:
        """Whether more waits for this reader than may."""
        return self.waiting() > self._connection.hub.max_outbox


class LimitedLine(Line):
    """A line to a peer that has said how long a message it takes; ``header`` octets are not the message's."""

    __slots__ = ("_header", "longest")

    def __init__(self, connection: Owner, format: WireFormat, *, longest: int, header: int) -> None:
        super().__init__(connection, format)
        self.longest = longest
        self._header = header

    def write(self, data: bytes) -> None:
        """Send the whole frame, or end the connection: what is cut can be read by nobody."""
        if len(data) - self._header > self.longest:
            self._connection.end(End.TOO_LONG)
        else:
            super().write(data)
