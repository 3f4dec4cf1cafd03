"""Direct writes over TLS: one frame, one record, one ``send()``.

Twisted gathers small writes for a turn of the reactor: a delayed call for each connection, and the way
through epoll. That is half the cost of an event over TLS. While nothing waits in any layer, a frame can be
encrypted and its record be sent at once. Records have numbers, so a record that was made is never dropped:
the rest of one that the socket has not taken goes through the TCP transport.

Where data waits is private state of Twisted, read only here and in ``outbound``. A check at import says
whether the installed Twisted keeps it there.
"""

from typing import Any

from OpenSSL.SSL import Error
from twisted.internet.tcp import Server
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol

LONGEST = 16_384
"""The most bytes in one record (RFC 8446, 5.1)."""

READ_BYTES = 32_768
"""More than one record, and what OpenSSL may put before it (an answer to a key update)."""

KNOWN = (
    {"_handshakeDone", "_lostTLSConnection", "disconnecting"} <= set(dir(TLSMemoryBIOProtocol))
    and {"_appSendBuffer", "_tlsConnection"} <= set(TLSMemoryBIOProtocol.makeConnection.__code__.co_names)
    and "_aggregator" in BufferingTLSTransport.__init__.__code__.co_names
)


def carries(transport: Any) -> bool:
    """Whether this is TLS over TCP as Twisted makes it."""
    return KNOWN and type(transport) is BufferingTLSTransport and type(transport.transport) is Server


def is_idle(transport: Any) -> bool:
    """Whether the handshake is done, the connection is not being closed, and nothing waits above TCP."""
    return (
        transport._handshakeDone
        and not transport.disconnecting
        and not transport._lostTLSConnection
        and not transport._appSendBuffer
        # The aggregator of a connection that is lost has none.
        and not getattr(transport._aggregator, "_buffer", True)
    )


def send(transport: Any, data: bytes) -> tuple[bytes, bytes]:
    """Encrypt and send. The TCP transport must have nothing buffered, either.

    Returns what was not encrypted, for the TLS transport, and what was not sent of the records, for the TCP
    transport. An error is not reported here: the rest goes to the transport, whose own write meets the same
    error.
    """
    connection = transport._tlsConnection
    encrypted = 0
    try:
        encrypted = connection.send(data)
        records = connection.bio_read(READ_BYTES)
    except Error:
        return data[encrypted:], b""
    try:
        taken = transport.transport.socket.send(records)
    except OSError:
        taken = 0
    return data[encrypted:], records[taken:]
