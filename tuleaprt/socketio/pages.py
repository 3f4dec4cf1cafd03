"""One socket of a Tuleap page: the events of the page become a session of the realm, and the other way round.

::

    page     CONNECT      subscription      token            (the token ends)      subscription
    OPEN ───────▶ CONNECTED ──────▶ a session in the realm ───────▶ CONNECTED ──────▶ …
    server   CONNECT              presences, events …       error-jwt

A page that says nothing after CONNECT is sent ``error-jwt``, once: it has lost its former socket, and only
this makes it subscribe again. Nothing about rights, presence or history is decided here. Sources: contract
4.1 to 4.5 and 6; docs/socketio.rst. Times are in seconds since the epoch.
"""

import math
from enum import Enum
from typing import Any

from tuleaprt import errors
from tuleaprt.socketio import events, packets
from tuleaprt.socketio.engine import Beat, Heartbeat
from tuleaprt.socketio.packets import Packet, Type
from tuleaprt.socketio.router import Outlet, PageRouter, Place, reached
from tuleaprt.socketio.session import PageSession
from tuleaprt.tuleap.topics import Family
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.calls import Arguments
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Window
from tuleaprt.wamp.rate import BURST_SECONDS, Bucket
from tuleaprt.wamp.replay import missed
from tuleaprt.wamp.session import BYTES_PER_TOKEN

ASKED_AGAIN, ASKED_AGAIN_SECONDS = 3, 60
"""How often a page is asked for another token in so many seconds. It answers each time with a REST call."""


class State(Enum):
    OPEN = "before CONNECT"
    CONNECTED = "in a namespace"
    ENDED = "ended"


class Page:
    """The socket. ``sid`` names it to the client. ``session`` exists between a subscription and its end, and
    ``latest`` stays, for the log. ``ending`` is why the server or the client has ended it, and the detail.
    """

    __slots__ = (
        "_asked",
        "_bucket",
        "_deadline",
        "_heartbeat",
        "_is_reminded",
        "_left",
        "ending",
        "latest",
        "namespace",
        "outlet",
        "router",
        "session",
        "sid",
        "state",
    )

    def __init__(self, router: PageRouter, outlet: Outlet, *, sid: str, opened: float) -> None:
        self.router = router
        self.outlet = outlet
        self.sid = sid
        self.state = State.OPEN
        self.namespace = ""
        self.session: PageSession | None = None
        self.latest: PageSession | None = None
        self.ending: tuple[End, str] | None = None
        self._asked: list[float] = []
        rate = router.requests_per_second
        self._bucket = Bucket(rate, BURST_SECONDS * rate, opened)
        self._deadline = opened + router.open_timeout
        self._heartbeat = Heartbeat(router.ping_interval, router.ping_timeout, opened)
        self._is_reminded = False
        self._left: tuple[Place, int] | None = None
        self.schedule()

    # Called by the connection.

    @property
    def is_joined(self) -> bool:
        return self.session is not None

    @property
    def id(self) -> int:
        """The id of the newest session; 0: there was none."""
        return 0 if self.latest is None else self.latest.id

    @property
    def identity(self) -> Identity:
        """The identity of the newest session. There must have been one."""
        assert self.latest is not None
        return self.latest.identity

    @property
    def parting(self) -> End | None:
        return None  # The server closes at once.

    def violate(self, violation: errors.ProtocolViolation) -> None:
        """The transport has found an error of the client."""
        self.finish(End.VIOLATION, violation.what, farewell=False)

    def receive(self, packet: bytes, now: float) -> None:
        """Handle an Engine.IO packet of the client."""
        if self.session is not None and now >= self.session.identity.expires_at:
            self.wake(now)
        if self.state is State.ENDED:
            return
        type, data = packet[:1], packet[1:]
        if not self._bucket.take(now, 1 + len(packet) // BYTES_PER_TOKEN):
            self.finish(End.FLOOD, farewell=False)
        elif type == packets.MESSAGE:
            try:
                self._on_message(packets.decode(data), now)
            except errors.MalformedPacket as error:
                self.violate(errors.ProtocolViolation(str(error)))
        elif type == packets.PONG and not data:
            self._heartbeat.pong(now)
            self.schedule()
        elif type == packets.CLOSE:
            self.finish(End.GOODBYE, farewell=False)
        else:
            self.violate(errors.ProtocolViolation("a packet of Engine.IO that has no place here"))

    def wake(self, now: float) -> None:
        """Do everything that is due."""
        if self.state is State.ENDED:
            return
        beat = self._heartbeat.beat(now)
        if beat is Beat.DEAD:
            self.finish(End.UNANSWERED, farewell=False)
            return
        if beat is Beat.PING:
            self.outlet.put(packets.PING)
        if self.session is not None:
            if now >= self.session.identity.expires_at:
                self.outlet.commit()
                self._leave()
                self._ask_for_a_token(now)
        elif now >= self._deadline:
            self.finish(End.SILENT)
        elif now >= self._remind_at():
            self._ask_for_a_token(now)
        self.schedule()

    def move(self, outlet: Outlet) -> None:
        """The client has upgraded to another transport."""
        outlet.handed = self.outlet.handed
        if self.namespace:
            outlet.enter(self.namespace)
        self.outlet = outlet
        if self.session is not None:
            self.session.outlet = outlet
        self.schedule()

    def lost(self) -> None:
        """The connection is closed."""
        self.state = State.ENDED
        self._leave()

    def taken_late(self, publication: int) -> None:
        """The client has got its last packets after the end, with this publication among them."""
        if self._left is not None:
            self.router.positions.advance(*self._left, publication)

    # Called by the session.

    def finish(self, end: End, detail: str = "", *, farewell: bool = True) -> None:
        """End the socket. ``farewell``: send DISCONNECT, so that the client does not connect again."""
        if self.state is State.ENDED:
            return
        self._leave()
        if farewell and self.state is State.CONNECTED:
            self._send(packets.message(Type.DISCONNECT, self.namespace))
        self.state = State.ENDED
        self.ending = (end, detail)
        self.outlet.wake_at(math.inf)
        self.outlet.close(end, detail)

    def schedule(self) -> None:
        """Have ``wake`` called at the next deadline."""
        if self.state is State.ENDED:
            return
        if self.session is not None:
            due = self.session.identity.expires_at
        else:
            due = min(self._deadline, self._remind_at())
        self.outlet.wake_at(min(due, self._heartbeat.next_at))

    # Packets of the client.

    def _on_message(self, packet: Packet, now: float) -> None:
        if self.state is State.OPEN and packet.type is Type.CONNECT:
            self._connect(packet.namespace, now)
        elif self.state is State.OPEN or packet.namespace != self.namespace or packet.type is Type.CONNECT:
            raise errors.MalformedPacket(f"{packet.type.name} {self.state.value}")
        elif packet.type is Type.DISCONNECT:
            self._leave_the_room()
            self.finish(End.GOODBYE, farewell=False)
        elif packet.type is Type.EVENT:
            name, *arguments = packet.payload
            if name == events.SUBSCRIPTION:
                self._subscribe(arguments, now)
            elif name == events.TOKEN:
                self._refresh(arguments, now)

    def _connect(self, namespace: str, now: float) -> None:
        if namespace not in events.NAMESPACES:
            error = {"message": "Invalid namespace"}
            self._send(packets.message(Type.CONNECT_ERROR, namespace, error))
            return
        self.namespace = namespace
        self.outlet.enter(namespace)
        self.state = State.CONNECTED
        self._deadline = now + self.router.reminder + self.router.open_timeout
        self._send(packets.message(Type.CONNECT, namespace, {"sid": self.sid}))
        self.schedule()

    def _subscribe(self, arguments: list[Any], now: float) -> None:
        try:
            wanted = events.read_subscription(arguments, events.NAMESPACES[self.namespace])
            identity = self.router.authenticator.authenticate(wanted.token, now)
            if not self.router.realm.policy.may_subscribe(identity, wanted.topic, Match.EXACT):
                raise errors.RefusedMessage("not_authorized", "the token does not cover the room")
        except errors.TicketExpired:
            self._ask_for_a_token(now)
        except (errors.RefusedMessage, errors.TicketRefused) as error:
            self.finish(End.REFUSED, str(error))
        else:
            self._enter(wanted, identity, now)

    def _enter(self, wanted: events.Wanted, identity: Identity, now: float) -> None:
        """Join the realm and subscribe, or apply the newer token if the page is in this room."""
        realm, former = self.router.realm, self.session
        here = Place(Window(identity.user_id, wanted.uuid), wanted.topic)
        if former is not None and former.place == here and former.identity.role is identity.role:
            if identity.exp >= former.identity.exp:
                realm.show(former, identity, now)
        else:
            self._leave_the_room()
            session = self.session = self.latest = PageSession(self, identity, wanted)
            try:
                realm.join(session, now)
                realm.subscribe(session, wanted.topic, Match.EXACT, now, lambda id: None)
            except errors.RequestError as error:
                self.finish(End.REFUSED, str(error))
                return
            self._replay(session, now)
        self._send_presences()
        self.schedule()

    def _replay(self, session: PageSession, now: float) -> None:
        """Send what the window has missed since it lost its socket."""
        realm = self.router.realm
        [id] = session.subscriptions
        subscription = realm.subscription_of(session, id)
        after = self.router.positions.take(session.place)
        self.outlet.handed = realm.history.position(subscription)
        if after is None:
            return
        try:
            chosen = missed(realm, session, subscription, after, now)
            if sum(publication.size for _, publication, _ in chosen) > self.router.max_replay:
                raise errors.PositionLost("there is more than fits into an outbound queue")
        except errors.PositionLost as error:
            self.router.replayed("position_lost")
            self.outlet.note(f"events that this page has missed are lost: {error}")
            return
        self.router.replayed("complete")
        self.outlet.handed, session.is_replayed = after, False
        for slot, _, kwargs in chosen:
            if packet := events.event_packet(self.namespace, kwargs):
                self._send(packet, session, publication=slot.id)
        self.outlet.then(session.replayed, session)

    def _send_presences(self) -> None:
        session = self.session
        if session is not None and events.NAMESPACES[self.namespace] is Family.TESTMANAGEMENT:
            seen = self.router.presences(session.topic, session.identity)
            viewers = {str(execution): users for execution, users in seen.items()}
            self._send(packets.event(self.namespace, events.PRESENCES, viewers), session)

    def _refresh(self, arguments: list[Any], now: float) -> None:
        """Apply a newer token. A token that is not good changes nothing."""
        if self.session is None:
            return
        try:
            self.router.refresh(self.session, Arguments([events.read_token(arguments)], {}), now)
        except errors.RequestError as error:
            self.outlet.note(f"token refused: {error}")

    def _ask_for_a_token(self, now: float) -> None:
        """Send ``error-jwt``: the page fetches a token, and subscribes again."""
        self._asked = [it for it in self._asked if it > now - ASKED_AGAIN_SECONDS]
        if len(self._asked) >= ASKED_AGAIN:
            self.finish(
                End.EXPIRED,
                f"{ASKED_AGAIN} times in {ASKED_AGAIN_SECONDS} s without a good token: compare the clocks of"
                " Tuleap and of this server",
            )
            return
        self._asked.append(now)
        self._is_reminded = True
        self._deadline = now + self.router.open_timeout
        self._send(packets.event(self.namespace, events.ERROR_JWT, events.EXPIRED))
        self.schedule()

    # Internal.

    def _remind_at(self) -> float:
        """When a page that has connected and says nothing is asked for a token."""
        if self.state is not State.CONNECTED or self._is_reminded:
            return math.inf
        return self._deadline - self.router.open_timeout

    def _leave(self) -> None:
        """Leave the realm. If the page subscribes again, it gets what it has missed."""
        session, self.session = self.session, None
        if session is None:
            return
        realm = self.router.realm
        for id in session.subscriptions:
            subscription = realm.subscription_of(session, id)
            handed = reached(realm.history, subscription, self.outlet, is_replayed=session.is_replayed)
            self.router.positions.keep(session.place, handed)
            self._left = session.place, handed
        realm.leave(session)

    def _leave_the_room(self) -> None:
        """The page has left: it is not on an execution any more, and loads everything when it comes back."""
        session, self.session = self.session, None
        if session is not None:
            for id in list(session.subscriptions):
                self.router.realm.unsubscribe(session, id)
            self.router.realm.leave(session)

    def _send(self, packet: bytes, session: PageSession | None = None, publication: int = 0) -> None:
        """Send behind the events that are queued. What is for a session is not sent after its end."""

        def put() -> None:
            if session is None or session is self.session:
                self.outlet.put(packet, publication)

        self.outlet.then(put, session or self.session or self)
