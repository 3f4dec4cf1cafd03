"""The way out to one browser: what its session and the fan-out send goes through here."""

from typing import TYPE_CHECKING

from autobahn.wamp.message import Message

from tuleaprt.transport.direct import Writer
from tuleaprt.transport.frames import WireFormat
from tuleaprt.wamp.outlet import End

if TYPE_CHECKING:
    from tuleaprt.transport.connection import Connection


class Line(Writer):
    """The Outlet of a session, and a Receiver of the fan-out.

    Apart from its Connection, and slotted, because of the fan-out: what it touches of each receiver must be
    small. ``is_open`` is the connection's to set: no frame may follow the close frame (RFC 6455, 5.5.1).
    """

    __slots__ = ("_connection", "_max_outbox", "format")

    def __init__(self, connection: "Connection", format: WireFormat) -> None:
        super().__init__(connection.transport)
        self.format = format
        self._connection = connection
        self._max_outbox = connection.factory.max_outbox

    def send(self, message: Message) -> None:
        frame = self.format.frame(message.marshal())
        self._connection.factory.fanout.then(lambda: self.write(frame))

    def close(self, end: End, detail: str = "") -> None:
        self._connection.factory.fanout.then(lambda: self._connection.end(end, detail))

    def queue(self, data: bytes) -> None:
        """Cut the reader off when too much was waiting for him before this."""
        if self.is_behind():
            self._connection.end(End.SLOW)
        else:
            self.transport.write(data)

    def is_behind(self) -> bool:
        """Whether more waits for this reader than may."""
        return self.waiting() > self._max_outbox
