"""A page over socket.io, on either transport of Engine.IO: its wire formats and its connection.

An event is encoded once for each payload, namespace and transport::

    WebSocket   a text frame with 42["kanban_item:create",{…}]
    polling     the packet alone, in the body of the next answer
"""

import secrets
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.logger import LogLevel

from tuleaprt.socketio.events import NAMESPACES, event_packet
from tuleaprt.socketio.pages import Page
from tuleaprt.socketio.router import PageRouter
from tuleaprt.transport.connection import Connection
from tuleaprt.transport.outbound import Outbound
from tuleaprt.transport.serializers import websocket_frame
from tuleaprt.wamp.broker import Answer, Dispatch

SID_BYTES = 15
"""The random octets in the id of a session or socket: 20 characters."""


def new_sid() -> str:
    return secrets.token_urlsafe(SID_BYTES)


def text_frame(packet: bytes) -> bytes:
    return websocket_frame(packet, False)


@dataclass(frozen=True, slots=True, eq=False)
class PageFormat:
    """The format of events in one namespace (a Format of the fan-out). An event that pages do not know is
    empty.
    """

    namespace: str
    wrap: Callable[[bytes], bytes]

    def event(self, dispatch: Dispatch, answer: Answer) -> bytes:
        packet = event_packet(self.namespace, answer.kwargs)
        return self.wrap(packet) if packet else b""


FRAMES = {namespace: PageFormat(namespace, text_frame) for namespace in NAMESPACES}
PACKETS = {namespace: PageFormat(namespace, bytes) for namespace in NAMESPACES}


class PageOutbound(Outbound):
    """What both transports share as the Outlet of a page."""

    __slots__ = ("fanout",)

    _connection: "PageConnection"

    def __init__(self, connection: "PageConnection") -> None:
        super().__init__(connection)
        self.fanout = connection.connections.fanout

    @property
    def description(self) -> Mapping[str, str]:
        connection = self._connection
        return {
            "type": connection.kind,
            "protocol": f"engine.io.4.{connection.transport_name}",
            "peer": connection.peer,
        }

    def then(self, do: Callable[[], None], session: Hashable) -> None:
        self.fanout.then(do, session)

    def note(self, text: str) -> None:
        self._connection.note(text)


class PageConnection(Connection):
    """The connection of a page. ``transport_name`` is that of Engine.IO."""

    kind = "socketio"
    transport_name: str
    pages: PageRouter
    session: Page | None = None

    def begin(self, outbound: Any) -> Page:
        return Page(self.pages, outbound, sid=new_sid(), opened=self.opened_at)

    def take(self, payload: bytes) -> None:
        assert self.session is not None
        self.session.receive(payload, self.connections.clock.seconds())

    def note(self, text: str) -> None:
        self.connection_log.emit(
            LogLevel.warn, "{peer} {reason}", event="page.refused", peer=self.peer, reason=text
        )
