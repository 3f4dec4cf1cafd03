"""Autobahn's WebSocket protocol, without what nobody reads.

Autobahn gives each connection a copy of thirty options, a description of its transport, two futures and a
queue, and keeps the whole handshake with it as long as it lasts; for each step it formats arguments for a log
that is off, and each message is fired at observers that nobody has registered. That was half of what a
handshake costs, and half of what an idle connection weighs (docs/performance.rst).

What Autobahn is for is left to it: the handshake, the frames, their masks, UTF-8, pings, and the close.
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


# What Autobahn formats for its log, whether or not it is on.
for _module, _names in ((core, ("pformat", "hltype", "hlval")), (adapter, ("hltype", "hlval"))):
    for _name in _names:
        setattr(_module, _name, _nothing)


class Quiet:
    """Stands in for Autobahn's logger: a connection has one line in the log, written by Connection."""

    def debug(self, *args: object, **kwargs: object) -> None: ...

    info = warn = error = debug


class Unheard:
    """Stands in for a future that nobody waits for."""

    def callback(self, result: object) -> None: ...


class ServerProtocol(adapter.WebSocketServerProtocol):
    """To be used as ``prepared`` makes it, with a factory for which it was prepared."""

    log = Quiet()
    is_open = is_closed = Unheard()
    transport: Any
    message_data: Any
    send_queue: Any = ()
    """Autobahn's, for what is sent in pieces; nothing is."""

    def __init__(self) -> None:
        # What Autobahn does here is for its futures and observers.
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
        self.message_data = None

    def _onOpen(self) -> None:
        """Called by Autobahn when the handshake is done; keeps no more than what differs from the class."""
        cls = type(self)
        self.__dict__ = {
            name: value
            for name, value in vars(self).items()
            if name not in _OF_THE_HANDSHAKE and getattr(cls, name, self) is not value
        }
        self.onOpen()


P = TypeVar("P", bound=ServerProtocol)


def prepared(protocol: type[P], factory: Any) -> type[P]:
    """A class whose attributes are what Autobahn would give to each new connection of this factory."""
    connection = protocol()
    connection.factory = factory
    core.WebSocketServerProtocol._connectionMade(connection)
    factory.countConnections -= 1
    state = vars(connection)
    del state["utf8validator"], state["send_queue"]
    # A function in a class would be a method.
    static = {name: staticmethod(it) if isfunction(it) else it for name, it in state.items()}
    return type(protocol.__name__, (protocol,), static)
