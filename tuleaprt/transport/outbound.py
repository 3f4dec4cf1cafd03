"""The way out to one client: what its session and the fan-out send goes through here.

Writing to a socket at once, when nothing waits before it.

``transport.write`` puts the bytes into a buffer and has epoll tell when the socket takes them: two calls of
epoll_ctl and one more turn of the reactor for bytes that the socket would have taken at once. In a fan-out
that is more than half of the cost, so an idle plain TCP connection is written to directly. Everything else
(TLS, Unix, something waiting, closing) goes through ``transport.write``.

Whether something waits is private to Twisted. It is read here and nowhere else; the check at import says
whether the installed Twisted still keeps it where it is looked for. If not, all goes through
``transport.write``, and ``waiting`` cannot tell.

What waits for slow readers, all of them together: it has a bound, however many they are.

The bytes of one outbox are counted by its line (line.py). Here they are added up, as they were when
something was last put there: that an outbox has got smaller since is seen at the next look. At half of the
bound the fan-out waits for room; who takes nothing for a while then is cut off. At the bound itself the
largest backpressure go.
"""

import math
import sys
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

from autobahn.wamp.message import Message
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.tcp import Server

from tuleaprt.transport.serializers import WireFormat
from tuleaprt.wamp.outlet import End

KNOWN = (
    FileDescriptor.dataBuffer == b""
    and FileDescriptor.offset == 0
    and {"_tempDataBuffer", "_tempDataLen"} <= set(FileDescriptor.__init__.__code__.co_names)
)
"""Whether the installed Twisted keeps its buffers where this module looks for them."""


class Writer:
    """Writes to one transport, in order; slotted, for a fan-out walks over thousands of these.

    While ``_send`` is there, nothing waits in the transport: so a fan-out need not touch the transport.
    Whoever writes to it by another way is to ``recheck``, and whoever tells it to close is to ``shut`` first.
    """

    __slots__ = ("_is_plain", "_send", "is_open", "transport")

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.is_open = True
        self._is_plain = KNOWN and type(transport) is Server and not transport.TLS
        self._send: Callable[[bytes], int] | None = None

    def write(self, data: bytes) -> None:
        """Write to the socket if nothing waits; what it does not take at once, to the transport."""
        send = self._send
        if send is None:
            self._look_and_write(data)
            return
        try:
            sent = send(data)
        except OSError:
            # It would block; or it is broken, which transport.write finds out in its own good order.
            sent = 0
        if sent < len(data):
            self._send = None
            self.wait(data[sent:])

    def recheck(self) -> None:
        """Something may wait in the transport."""
        self._send = None

    def shut(self) -> None:
        self.is_open = False
        self._send = None

    def _look_and_write(self, data: bytes) -> None:
        if not self.is_open:
            return
        transport = self.transport
        if self._is_plain and not transport._tempDataBuffer and not transport.dataBuffer:
            self._send = transport.socket.send
            self.write(data)
        else:
            self.queue(data)

    def wait(self, data: bytes) -> None:
        """Have the transport write it when it can."""
        self.transport.write(data)

    def queue(self, data: bytes) -> None:
        """Write behind what waits."""
        self.wait(data)

    def waiting(self) -> int:
        """How many bytes wait in the transport; of TLS the ciphertext."""
        connection = getattr(self.transport, "transport", self.transport)
        if not KNOWN or not isinstance(connection, FileDescriptor):
            return 0
        return len(connection.dataBuffer) - connection.offset + connection._tempDataLen


PATIENCE = 5
"""How many seconds a reader may take nothing while others wait for him."""


class OutboundQueue(Protocol):
    """A line, to this."""

    def waiting(self) -> int:
        """In bytes."""

    def cut(self) -> None:
        """Cut the reader off, and ``forget`` his outbox."""


class Backpressure:
    """``most``: the bound, in bytes. Times are in seconds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: dict[OutboundQueue, tuple[int, float]] = {}
        """The bytes that wait, and since when there have not been fewer."""
        self.total = 0
        self.is_full = False
        """Whether the fan-out is to wait until there ``has_room``."""

    def note(self, outbox: OutboundQueue, now: float) -> None:
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

    def forget(self, outbox: OutboundQueue) -> None:
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


class Queue(Protocol):
    """The fan-out, to a connection that replies."""

    def then(self, do: Callable[[], None], session: Hashable | None = None) -> None:
        """Call ``do`` after everything that is queued for the session now."""


class Shared(Protocol):
    """What all connections share, to the outbound half of one (``Connections``)."""

    clock: IReactorTime
    backpressure: Backpressure
    max_outbox: int

    @property
    def fanout(self) -> Queue: ...


class Owner(Protocol):
    """A connection, to its outbound half (``Connection``)."""

    transport: Any
    kind: str
    peer: str

    @property
    def connections(self) -> Shared: ...

    @property
    def session(self) -> Hashable | None: ...

    def end(self, end: End, detail: str = "") -> None: ...

    def cut(self, end: End) -> None: ...

    def wake_at(self, when: float) -> None: ...

    def pause(self, is_paused: bool) -> None: ...


class Outbound(Writer):
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
        self._connection.connections.fanout.then(lambda: self._write(frame, until), self._connection.session)

    def _write(self, frame: bytes, until: float) -> None:
        if until == math.inf or self._connection.connections.clock.seconds() < until:
            self.write(frame)

    def close(self, end: End, detail: str = "") -> None:
        connection = self._connection
        connection.connections.fanout.then(lambda: connection.end(end, detail), connection.session)

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
        connections = self._connection.connections
        connections.backpressure.note(self, connections.clock.seconds())

    def cut(self) -> None:
        """Cut the reader off, and what waits for him with him."""
        # Twisted ends the connection in a later turn; until then others would be cut off for these bytes.
        self._connection.connections.backpressure.forget(self)
        self._connection.cut(End.SLOW)

    def is_behind(self) -> bool:
        """Whether more waits for this reader than may."""
        return self.waiting() > self._connection.connections.max_outbox


class LimitedOutbound(Outbound):
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
