"""Pages over HTTP long-polling (Engine.IO protocol 4, "HTTP long-polling"): one connection per session,
however many TCP connections its requests use.

A GET is held until there is a packet. A second GET, and a GET that the client cancels, end the session. While
a WebSocket of the session is being tested, a GET is answered soon, with a NOOP if there is nothing else, so
that the client can stop polling.
"""

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

from tuleaprt.configuration.options import WebSocket
from tuleaprt.errors import MalformedPacket, ProtocolViolation
from tuleaprt.socketio import packets
from tuleaprt.socketio.engine import PollQueue, body_of, last_of
from tuleaprt.socketio.pages import Page
from tuleaprt.socketio.router import PageRouter
from tuleaprt.transport.connection import LINGER_SECONDS
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.page import PACKETS, PageConnection, PageOutbound, new_sid
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.outlet import End

NOOP_SECONDS = 0.1
"""How long a GET is held while a WebSocket is being tested."""


class Poll(Protocol):
    """A GET that can be answered later."""

    def answer(self, body: bytes) -> None:
        """Send the packets. Nothing happens if the client has closed the connection."""


class Probe(Protocol):
    """A WebSocket that is being tested."""

    def drop(self) -> None: ...


class PollOutbound(PageOutbound):
    """Queues packets for the next GET."""

    __slots__ = ("_handed", "_queue")

    _connection: "PollingConnection"

    def __init__(self, connection: "PollingConnection") -> None:
        self._queue = PollQueue()
        super().__init__(connection)

    @property
    def handed(self) -> int:
        """What the client has asked for and got."""
        return self._handed

    @handed.setter
    def handed(self, publication: int) -> None:
        self._handed = publication
        self._queue.unmark()

    def first_missing(self, subscription: Subscription) -> int:
        return self._queue.first or self.fanout.first_of(subscription)

    def commit(self) -> None:
        self.handed = self._queue.last or self._handed

    def enter(self, namespace: str) -> None:
        self.format = PACKETS[namespace]

    def write(self, data: bytes) -> None:
        if data:
            self.put(data, self.fanout.publication)

    def put(self, packet: bytes, publication: int = 0) -> None:
        """Queue the packet, or close the connection if the queue was too long already."""
        if not self.is_open:
            return
        if self.is_behind():
            self._connection.end(End.SLOW)
            return
        self._queue.put(packet, publication)
        connections = self._connection.connections
        connections.backpressure.note(self, connections.clock.seconds())
        self._connection.flush()

    def put_last(self, packet: bytes) -> None:
        """Queue a packet behind which there is nothing."""
        self._queue.put(packet)

    def waiting(self) -> int:
        return self._queue.size

    def take(self) -> bytes:
        """The body of an answer."""
        taken = self.take_packets()
        last = last_of(taken)
        self._handed = last or self._handed
        if last and not self.is_open and self._connection.session is not None:
            self._connection.session.taken_late(last)
        return body_of(taken)

    def take_packets(self) -> list[tuple[bytes, int]]:
        """All packets, for another transport."""
        return self._queue.take()


class PollingConnection(PageConnection):
    """A session over polling. ``sid`` is its secret name."""

    transport_name = "polling"
    transport: Any = None
    outbound: PollOutbound | None = None
    _held: Poll | None = None
    _probe: Probe | None = None
    _noop: IDelayedCall | None = None

    def __init__(self, polls: "Polls", peer: str) -> None:
        self.polls = polls
        self.connections = polls.connections
        self.pages = polls.pages
        self.peer = peer
        self.sid = new_sid()
        self.opened_at = self.connections.clock.seconds()

    def get(self, poll: Poll) -> bool:
        """Answer a GET now or later. False: the former one is not answered yet, and the session has ended."""
        if self._held is not None:
            self.violated(ProtocolViolation("two polls at once"))
            return False
        self._held = poll
        self.flush()
        if self._held is not None and self._probe is not None:
            self._noop = self.connections.clock.callLater(NOOP_SECONDS, self._answer_with_a_noop)
        return True

    def cancelled(self, poll: Poll) -> None:
        """The client has closed the connection of a GET that is not answered."""
        if poll is self._held:
            self._held = None
            self.cut(End.LOST)

    def post(self, body: bytes) -> bool:
        """Handle the packets of a POST. False: they break the protocol, and the session has ended.

        A page that is refused for another reason must not see an error: the client would connect again, and
        not read the DISCONNECT that waits for its GET.
        """
        try:
            received = packets.split(body)
        except MalformedPacket as error:
            self.violated(ProtocolViolation(str(error)))
            return False
        for packet in received:
            self.received(packet)
        return self._end is None or self._end[0] not in (End.VIOLATION, End.FLOOD, End.FAULT)

    def flush(self) -> None:
        """Answer the GET, if there is one and a packet for it."""
        outbound = self.outbound
        if self._held is not None and outbound is not None and outbound.waiting():
            body = outbound.take()
            self.connections.backpressure.forget(outbound)
            self._answer(body)
        if self._end is not None and outbound is not None and not outbound.is_open and not outbound.waiting():
            self.closed(*self._end)

    # The upgrade to a WebSocket.

    def begin_probe(self, probe: Probe) -> bool:
        """A WebSocket of this session is being tested. False: another one is."""
        if self._probe is not None or self._end is not None:
            return False
        self._probe = probe
        return True

    def end_probe(self, probe: Probe) -> None:
        """The test has failed. The session goes on."""
        if self._probe is probe:
            self._probe = None

    def let_go(self) -> None:
        """The WebSocket has passed the test: let the client stop polling."""
        if self._held is not None:
            self._answer(packets.NOOP)

    def hand_over(self) -> tuple[Page, list[tuple[bytes, int]], tuple[End, str] | None]:
        """The page, the packets that it has not got yet, and why it has ended, if it has. This connection is
        gone.
        """
        assert self.session is not None and self.outbound is not None
        self.let_go()
        self.disarm()
        self.leave_the_limit()
        self.polls.remove(self)
        page, left = self.session, self.outbound.take_packets()
        self.connections.backpressure.forget(self.outbound)
        self.session = self.outbound = self._probe = None
        return page, left, self._end or page.ending

    # Called by Connection.

    def close_now(self, end: End) -> None:
        """Let the client have its packets and a CLOSE, if it asks in time."""
        self.shut()
        if self.outbound is not None:
            self.outbound.put_last(packets.NOOP if end is End.GOODBYE else packets.CLOSE)
            self.linger()
            self.flush()

    def drop(self) -> None:
        """End the session now."""
        if self._held is not None:
            self._answer(packets.CLOSE)
        self.closed(End.LOST)

    def pause(self, is_paused: bool) -> None:
        """Does nothing: a request has been read when it arrives."""

    def linger(self) -> None:
        self.disarm()
        self._call = self.connections.clock.callLater(LINGER_SECONDS, self._give_up)

    def closed(self, how: End, detail: str = "") -> None:
        if not self.polls.remove(self):
            return
        if self._probe is not None:
            probe, self._probe = self._probe, None
            probe.drop()
        super().closed(how, detail)

    # Internal.

    def _give_up(self) -> None:
        self._call = None
        self.drop()

    def _answer(self, body: bytes) -> None:
        poll, self._held = self._held, None
        if self._noop is not None:
            self._noop.cancel()
            self._noop = None
        if poll is not None:
            poll.answer(body)

    def _answer_with_a_noop(self) -> None:
        self._noop = None
        self._answer(packets.NOOP)


class Polls:
    """The sessions over polling, by id."""

    def __init__(
        self,
        connections: Connections,
        pages: PageRouter,
        options: WebSocket,
        unauthenticated: UnauthenticatedLimit,
    ) -> None:
        self.connections = connections
        self.pages = pages
        self.unauthenticated = unauthenticated
        self._by_sid: dict[str, PollingConnection] = {}
        self._options = options

    def __len__(self) -> int:
        return len(self._by_sid)

    def get(self, sid: str) -> PollingConnection | None:
        return self._by_sid.get(sid)

    def open(self, peer: str, network: str) -> PollingConnection:
        """A new session, whose first packets wait. ``network`` is the address that it counts for."""
        connection = PollingConnection(self, peer)
        self._by_sid[connection.sid] = connection
        connection.count_as(self.unauthenticated.enter(network, lambda why: None))
        connection.open(PollOutbound(connection))
        if connection.outbound is not None:
            connection.outbound.put(opening(self._options, self.connections, connection.sid, ["websocket"]))
        return connection

    def remove(self, connection: PollingConnection) -> bool:
        """Forget the session, and return whether it was known."""
        return self._by_sid.pop(connection.sid, None) is not None


def opening(options: WebSocket, connections: Connections, sid: str, upgrades: list[str]) -> bytes:
    """The first packet of a session."""
    return packets.opening(
        sid,
        upgrades=upgrades,
        interval=options.ping_interval,
        timeout=options.ping_timeout,
        longest=connections.max_message_size,
    )
