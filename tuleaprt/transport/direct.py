"""Writing to a socket at once, when nothing waits before it.

``transport.write`` puts the bytes into a buffer and has epoll tell when the socket takes them: two calls of
epoll_ctl and one more turn of the reactor for bytes that the socket would have taken at once. In a fan-out
that is more than half of the cost, so an idle plain TCP connection is written to directly. Everything else
(TLS, Unix, something waiting, closing) goes through ``transport.write``.

Whether something waits is private to Twisted. It is read here and nowhere else; the check at import says
whether the installed Twisted still keeps it where it is looked for. If not, all goes through
``transport.write``, and ``waiting`` cannot tell.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.tcp import Server

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
