"""The outbound half of a connection: direct writes, the outbound queue, and back-pressure over all queues.

*Direct writes.* ``transport.write`` puts bytes into a buffer and asks epoll when the socket can take
them: two system calls and one more turn of the reactor, more than half the cost of a fan-out. An idle
plain TCP connection is therefore written to directly, here or by the fan-out, and one over TLS by
``tls_records``. Everything else (Unix sockets, buffered data, closing connections) goes through
``transport.write``. Whether data is buffered is private state of Twisted that is read only here. A check at
import says whether the installed Twisted keeps it there; if not, everything goes through
``transport.write``, and ``waiting`` returns 0.

*Back-pressure.* The outbound queues of all connections together have a limit. Their sizes are added up as
they were at the last write, and measured again when the total is too large. At half of the limit the
fan-out waits for room, and a connection whose client reads nothing for some seconds meanwhile is closed.
At the limit the largest queues are closed.
"""

import math
import sys
from collections.abc import Callable, Hashable, Mapping
from socket import socket
from typing import Any, Protocol

from autobahn.wamp.message import Message
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.tcp import Server

from tuleaprt.transport import tls_records
from tuleaprt.transport.serializers import Format, WireFormat
from tuleaprt.wamp.outlet import End

KNOWN = (
    FileDescriptor.dataBuffer == b""
    and FileDescriptor.offset == 0
    and {"_tempDataBuffer", "_tempDataLen"} <= set(FileDescriptor.__init__.__code__.co_names)
)
"""Whether the installed Twisted keeps its buffers where this module reads them."""


class Writer:
    """Writes to one transport in order. It has slots, because the fan-out uses thousands of them.

    While ``socket`` is set, the transport holds no buffered data, so the fan-out writes to the socket itself.
    It passes to ``follow`` what the socket does not take. Code that writes to the transport by another way
    calls ``recheck``; code that closes it calls ``shut`` before.
    """

    __slots__ = ("_is_tls", "_tcp", "is_open", "socket", "transport")

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.is_open = True
        self._is_tls = tls_records.carries(transport)
        tcp = transport.transport if self._is_tls else transport
        self._tcp = tcp if KNOWN and type(tcp) is Server and not tcp.TLS else None
        self.socket: socket | None = None

    def write(self, data: bytes) -> None:
        """Write to the socket if no data is buffered, and the rest to the transport."""
        if self.socket is None:
            self._look_and_write(data)
            return
        try:
            taken = self.socket.send(data)
        except OSError:
            # It would block, or is broken.
            taken = 0
        if taken < len(data):
            self.follow(data[taken:])

    def follow(self, rest: bytes) -> None:
        """Write what the socket has not taken. If it is broken, transport.write finds out."""
        if self.is_open:
            self.socket = None
            self.wait(rest)

    def recheck(self) -> None:
        """The transport may hold buffered data: check before the next direct write."""
        self.socket = None

    def shut(self) -> None:
        self.is_open = False
        self.socket = None

    def _look_and_write(self, data: bytes) -> None:
        if not self.is_open:
            return
        tcp = self._tcp
        if tcp is None or tcp._tempDataBuffer or tcp.dataBuffer:
            self.queue(data)
        elif not self._is_tls:
            self.socket = tcp.socket
            Writer.write(self, data)
        elif len(data) <= tls_records.LONGEST and tls_records.is_idle(self.transport):
            plain, records = tls_records.send(self.transport, data)
            if records:
                self.wait(records, tcp)
            if plain:
                self.wait(plain)
        else:
            self.queue(data)

    def wait(self, data: bytes, tcp: Any = None) -> None:
        """Write to the transport's buffer. With ``tcp``, write records that are already encrypted to the TCP
        transport below TLS.
        """
        (tcp or self.transport).write(data)

    def queue(self, data: bytes) -> None:
        """Write behind the buffered data."""
        self.wait(data)

    def waiting(self) -> int:
        """The number of buffered bytes; for TLS of the ciphertext."""
        connection = getattr(self.transport, "transport", self.transport)
        if not KNOWN or not isinstance(connection, FileDescriptor):
            return 0
        return len(connection.dataBuffer) - connection.offset + connection._tempDataLen


PATIENCE = 5
"""How many seconds a client may read nothing while the fan-out waits for it."""


class OutboundQueue(Protocol):
    """The outbound queue of a connection, to ``Backpressure``."""

    def waiting(self) -> int:
        """Its size in bytes."""

    def cut(self) -> None:
        """Close the connection, and ``forget`` the queue."""


class Backpressure:
    """The limit ``most`` (bytes) of all outbound queues together. Times are in seconds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: dict[OutboundQueue, tuple[int, float]] = {}
        """The size of each queue, and since when it has not become smaller."""
        self.total = 0
        self.is_full = False
        """Whether the fan-out has to wait until ``has_room``."""

    def note(self, outbox: OutboundQueue, now: float) -> None:
        """The queue has become longer."""
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
        """The queue is gone."""
        self.total -= self._known.pop(outbox, (0, 0))[0]

    def has_room(self, now: float) -> bool:
        """Whether the fan-out may continue. Connections that have held it up too long are closed."""
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
        """Close the largest queues down to seven eighths of the limit, so that the next write does not
        exceed it again.
        """
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
    """The outbound half of a connection: a Receiver of the fan-out.

    It is separate from the Connection and has slots, so that the fan-out touches little memory for each
    subscriber. The connection calls ``shut`` before it closes: no frame may follow the close frame (RFC
    6455, 5.5.1).
    """

    __slots__ = ("_connection", "format", "handed")

    longest = longest_frame = sys.maxsize
    format: Format
    handed: int
    """The id of the last publication whose event was written; 0: none."""

    def __init__(self, connection: Owner) -> None:
        super().__init__(connection.transport)
        self._connection = connection
        self.handed = 0

    def close(self, end: End, detail: str = "") -> None:
        connection = self._connection
        connection.connections.fanout.then(lambda: connection.end(end, detail), connection.session)

    def wake_at(self, when: float) -> None:
        self._connection.wake_at(when)

    def pause(self, is_paused: bool) -> None:
        self._connection.pause(is_paused)

    def queue(self, data: bytes) -> None:
        """Queue the data, or close the connection if the queue was too long already."""
        if self.is_behind():
            self._connection.end(End.SLOW)
        else:
            self.wait(data)

    def wait(self, data: bytes, tcp: Any = None) -> None:
        super().wait(data, tcp)
        connections = self._connection.connections
        connections.backpressure.note(self, connections.clock.seconds())

    def cut(self) -> None:
        """Close the connection as too slow, and drop its queue."""
        # Twisted closes in a later turn. Until then these bytes must not count against other connections.
        self._connection.connections.backpressure.forget(self)
        self._connection.cut(End.SLOW)

    def is_behind(self) -> bool:
        """Whether the outbound queue exceeds the limit of one connection."""
        return self.waiting() > self._connection.connections.max_outbox


class WampOutbound(Outbound):
    """The outbound half of a connection that speaks WAMP: the Outlet of its session."""

    __slots__ = ()

    format: WireFormat

    def __init__(self, connection: Owner, format: WireFormat) -> None:
        super().__init__(connection)
        self.format = format

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


class LimitedOutbound(WampOutbound):
    """The outbound half for a peer that has announced the longest message it accepts. ``header`` octets of a
    frame do not count.
    """

    __slots__ = ("longest", "longest_frame")

    def __init__(self, connection: Owner, format: WireFormat, *, longest: int, header: int) -> None:
        super().__init__(connection, format)
        self.longest = longest
        self.longest_frame = longest + header

    def write(self, data: bytes) -> None:
        """Write the whole frame, or close the connection if it is too long for the peer."""
        if len(data) > self.longest_frame:
            self._connection.end(End.TOO_LONG)
        else:
            super().write(data)
