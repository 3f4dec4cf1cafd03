"""Autobahn's WebSocket server protocol without unused state for each connection.

Autobahn gives each connection a copy of thirty options, a description of its transport, two futures and a
queue, and keeps the whole handshake. For each step it formats arguments for a log that is off, and each
message is passed to observers that nothing has registered. That was half the cost of a handshake and half
the memory of an idle connection (docs/performance.rst). This class leaves these out. Autobahn still does
the handshake, frames, masks, UTF-8, pings and the close.
"""

from inspect import isfunction
from typing import Any, TypeVar

import autobahn.twisted.websocket as adapter
import autobahn.websocket.protocol as core
from autobahn.twisted.util import peer2str
from autobahn.websocket.utf8validator import Utf8Validator

from tuleaprt.transport.outbound import Writer

_OF_THE_HANDSHAKE = frozenset(
    {
        "_wskey",
        "http_headers",
        "http_request_data",
        "http_request_host",
        "http_request_params",
        "http_request_path",
        "http_request_uri",
        "http_response_data",
        "http_status_line",
        "websocket_extensions",
        "websocket_extensions_in_use",
        "websocket_origin",
        "websocket_protocols",
    }
)


def _nothing(*args: object, **kwargs: object) -> str:
    return ""


# Autobahn formats these for its log, even when the log is off.
for _module, _names in ((core, ("pformat", "hltype", "hlval")), (adapter, ("hltype", "hlval"))):
    for _name in _names:
        setattr(_module, _name, _nothing)


class Quiet:
    """Replaces Autobahn's logger. Connection writes one line for each connection."""

    def debug(self, *args: object, **kwargs: object) -> None: ...

    info = warn = error = debug


class Unheard:
    """Replaces futures that nothing waits for."""

    def callback(self, result: object) -> None: ...


class ServerProtocol(adapter.WebSocketServerProtocol):
    """The protocol. It is used only as the class that ``prepared`` returns for its factory."""

    log = Quiet()
    is_open = is_closed = Unheard()
    transport: Any
    message_data: Any
    current_frame_masker: Any
    send_queue: Any = ()
    """Autobahn's queue for chopped frames, which are not used."""

    def __init__(self) -> None:
        # Autobahn's constructor makes futures and observers.
        pass

    def connectionMade(self) -> None:
        self.peer = peer2str(self.transport)
        self.utf8validator = Utf8Validator()
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self.factory.countConnections += 1

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        Writer(self.transport).write(data)

    def onMessageEnd(self) -> None:
        if not self.failedByMe:
            self.onMessage(b"".join(self.message_data), self.message_is_binary)
        # Each frame gets a masker of its own, and the last one would stay.
        self.message_data = self.current_frame_masker = None

    def _onOpen(self) -> None:
        """Called by Autobahn after the handshake. Keeps only the attributes that differ from the class."""
        cls = type(self)
        self.__dict__ = {
            name: value
            for name, value in vars(self).items()
            if name not in _OF_THE_HANDSHAKE and getattr(cls, name, self) is not value
        }
        self.onOpen()


P = TypeVar("P", bound=ServerProtocol)


def prepared(protocol: type[P], factory: Any) -> type[P]:
    """A subclass whose class attributes are the state that Autobahn would give to each connection of this
    factory.
    """
    connection = protocol()
    connection.factory = factory
    core.WebSocketServerProtocol._connectionMade(connection)
    factory.countConnections -= 1
    state = vars(connection)
    del state["utf8validator"], state["send_queue"]
    # A function as a class attribute would become a method.
    static = {name: staticmethod(it) if isfunction(it) else it for name, it in state.items()}
    return type(protocol.__name__, (protocol,), static | {"__module__": protocol.__module__})
