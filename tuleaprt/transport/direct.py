"""Writing to a socket at once, when nothing waits before it.

``transport.write`` puts the bytes into a buffer and has epoll tell when the socket takes them: two calls of
epoll_ctl and one more turn of the reactor for bytes that the socket would have taken at once. In a fan-out
that is more than half of the cost, so an idle plain TCP connection is written to directly. Everything else
(TLS, Unix, something waiting, closing) goes through ``transport.write``.

Whether something waits is private to Twisted. It is read here and nowhere else; the check at import says
whether the installed Twisted still keeps it where it is looked for. If not, all goes through
``transport.write``, and ``waiting`` cannot tell.
"""

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Server

KNOWN = (
    FileDescriptor.dataBuffer == b""
    and FileDescriptor.offset == 0
    and {"_tempDataBuffer", "_tempDataLen"} <= set(FileDescriptor.__init__.__code__.co_names)
)
"""Whether the installed Twisted keeps its buffers where this module looks for them."""


def waiting(transport: ITransport) -> int:
    """How many bytes wait in the transport; of TLS the ciphertext."""
    connection = getattr(transport, "transport", transport)
    if not KNOWN or not isinstance(connection, FileDescriptor):
        return 0
    return len(connection.dataBuffer) - connection.offset + connection._tempDataLen


def write(transport: ITransport, data: bytes) -> bool:
    """Write to the socket if it is idle and plain TCP; False: nothing was done, use ``transport.write``.

    What the socket does not take at once is left to ``transport.write``.
    """
    if (
        type(transport) is not Server
        or not KNOWN
        or transport._tempDataBuffer
        or transport.dataBuffer
        or transport.disconnecting
        or not transport.connected
        or transport._writeDisconnected
        or transport.TLS
    ):
        return False
    try:
        sent = transport.socket.send(data)
    except OSError:
        # It would block; or it is broken, which transport.write finds out in its own good order.
        sent = 0
    if sent < len(data):
        transport.write(data[sent:])
    return True
