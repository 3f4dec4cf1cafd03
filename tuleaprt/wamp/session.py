"""One WAMP session, from HELLO to its end, as a table of states.

::

    client          HELLO      AUTHENTICATE      SUBSCRIBE …        GOODBYE
    CONNECTED ──────────▶ CHALLENGED ──────▶ JOINED ──────────────────────▶ ENDED
    router        CHALLENGE         WELCOME   │  SUBSCRIBED …  GOODBYE        ▲
        │                 │                   │ expired, killed, replaced     │ GOODBYE, or
        │ ABORT           │ ABORT             ▼                               │ no answer
        └─────────────────┴──────▶ ENDED   LEAVING ───────────────────────────┘
                                             router GOODBYE

Where no token is needed, HELLO leads from CONNECTED to JOINED. A message that is not in the table is a
protocol violation: the session sends ABORT and closes (WAMP: Sessions, Protocol Violations). The connection
calls ``receive``, ``wake`` and ``lost``. The session sends and closes through its Outlet, so it works the
same over every transport. Times are in seconds since the epoch.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from autobahn.wamp import message as wamp

from tuleaprt import errors
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.handshake import Refused, authenticate, hello, welcome
from tuleaprt.wamp.identifiers import uri_of
from tuleaprt.wamp.messages import name, parse
from tuleaprt.wamp.outlet import End, Outlet
from tuleaprt.wamp.rate import RateLimit, Verdict
from tuleaprt.wamp.requests import REQUESTS, refusal, wants_an_answer
from tuleaprt.wamp.router import Router

BYTES_PER_TOKEN = 4096
"""A message counts once more for the rate limit for each 4096 bytes."""


class State(Enum):
    CONNECTED = "before HELLO"
    CHALLENGED = "before AUTHENTICATE"
    JOINED = "joined"
    LEAVING = "after the router's GOODBYE"
    ENDED = "ended"


class Session:
    """The router's side of one connection. ``identity`` exists from WELCOME on."""

    __slots__ = (
        "_deadline",
        "_leaving",
        "_limit",
        "authmethod",
        "can_be_revoked",
        "id",
        "identity",
        "outlet",
        "router",
        "state",
        "subscriptions",
        "window",
    )
    identity: Identity

    def __init__(self, router: Router, outlet: Outlet, *, opened: float) -> None:
        self.id = 0
        self.authmethod = ""
        self.window: str | None = None
        self.subscriptions: set[int] = set()
        self.router = router
        self.outlet = outlet
        self.state = State.CONNECTED
        self._deadline = opened + router.open_timeout
        self._limit = RateLimit(router.requests_per_second, opened)
        self.can_be_revoked = False
        self._leaving = End.GOODBYE
        self._schedule()

    @property
    def is_joined(self) -> bool:
        return self.state is State.JOINED

    @property
    def parting(self) -> End | None:
        """Why the router has sent GOODBYE, until the client answers it."""
        return self._leaving if self.state is State.LEAVING else None

    # Called by the connection.

    def receive(self, raw: object, now: float, size: int = 0) -> None:
        """Handle a decoded message of the client; ``size`` is its length in bytes."""
        if now >= self._deadline:
            self.wake(now)
        if self.state is not State.JOINED:
            self._take(raw, now)
            return
        verdict = self._limit.admit(raw, now, 1 + size // BYTES_PER_TOKEN)
        if verdict is Verdict.NOW:
            self._take(raw, now)
        elif verdict is Verdict.LATER:
            self.outlet.pause(True)
            self._schedule()
        elif verdict is Verdict.REFUSED:
            self._take(raw, now, is_too_fast=True)
        else:
            error = errors.RateExceeded("this session sends requests too fast and does not stop")
            self.dismiss(End.FLOOD, uri_of(error), str(error), now)
            self._close(End.FLOOD)

    def violate(self, violation: errors.ProtocolViolation) -> None:
        """End the session because the client has violated the protocol."""
        if self.state is not State.ENDED:
            self._abort(uri_of(violation), str(violation))
            self._close(End.VIOLATION, violation.what)

    def wake(self, now: float) -> None:
        """Do everything that is due."""
        if now >= self._deadline:
            if self.state is State.JOINED:
                error = errors.TicketExpired("the token of this session has expired")
                self.dismiss(End.EXPIRED, uri_of(error), str(error), now)
            elif self.state is not State.ENDED:
                self._close(self._leaving if self.state is State.LEAVING else End.SILENT)
        elif self.state is State.JOINED:
            for raw in self._limit.due(now):
                self._take(raw, now)
            if self._limit.next_at() is None:
                self.outlet.pause(False)
        if self.state is not State.ENDED:
            self._schedule()

    def lost(self) -> None:
        """The connection is closed."""
        self._leave(State.ENDED)

    # Called by the handshake and the requests.

    def challenge(self) -> None:
        """Ask for the token."""
        self.state = State.CHALLENGED
        self.outlet.send(wamp.Challenge("ticket"))

    def join(self, identity: Identity, now: float) -> None:
        """Join the realm, and send WELCOME."""
        self.identity = identity
        self.router.realm.join(self, now)
        self.state = State.JOINED
        self.outlet.send(welcome(self.id, self.router.realm.name, identity, self.authmethod))

    def charge(self, cost: float) -> None:
        """Count ``cost`` further messages for the rate limit."""
        self._limit.charge(cost)

    # Called by the realm and its procedures.

    def dismiss(self, end: End, reason: str, message: str | None, now: float) -> None:
        """Leave the realm, send GOODBYE and wait for the client's GOODBYE. Only the first call counts."""
        if self.state is not State.JOINED:
            return
        self._leave(State.LEAVING)
        self._leaving = end
        self._deadline = now + self.router.goodbye_timeout
        self._schedule()
        self.outlet.send(wamp.Goodbye(reason, message=message))

    def revoked(self, subscription: int, reason: str) -> None:
        """Send UNSUBSCRIBED, if the client has announced that it understands subscription revocation."""
        if self.can_be_revoked:
            self.outlet.send(wamp.Unsubscribed(0, subscription=subscription, reason=reason))

    def assume(self, identity: Identity) -> None:
        """Apply the identity from the user's newest token, and revoke the subscriptions that it does not
        cover.
        """
        self.identity = identity
        self._deadline = identity.expires_at
        self._schedule()
        self.router.realm.revoke_what_is_lost(self)

    # Internal.

    def _take(self, raw: object, now: float, *, is_too_fast: bool = False) -> None:
        """Handle a message. When the client is too fast, requests are refused, and other messages are
        handled.
        """
        if self.state is State.ENDED:
            return
        try:
            message = parse(raw)
            if is_too_fast and type(message) in REQUESTS:
                raise errors.RateExceeded("this session sends requests too fast")
            action = _TABLE.get((self.state, type(message)))
            if action is not None:
                action(self, message, now)
            elif self.state is not State.LEAVING:
                raise errors.ProtocolViolation(f"{name(type(message))} {self.state.value}")
        except Refused as refused:
            self._abort(refused.uri, refused.text)
            self._close(End.REFUSED, refused.detail)
        except errors.RequestError as error:
            self._fail(raw, error)
        except errors.ProtocolViolation as violation:
            self.violate(violation)

    def _on_goodbye(self, goodbye: wamp.Goodbye, now: float) -> None:
        self._leave(State.ENDED)
        self.outlet.send(wamp.Goodbye("wamp.close.goodbye_and_out"))
        self.outlet.close(End.GOODBYE)

    def _on_goodbye_echo(self, goodbye: wamp.Goodbye | wamp.Abort, now: float) -> None:
        self._close(self._leaving)

    def _on_abort(self, abort: wamp.Abort, now: float) -> None:
        self._leave(State.ENDED)
        self.outlet.close(End.GOODBYE, "the client aborted")

    def _fail(self, raw: object, error: errors.RequestError) -> None:
        # Only requests fail like this. Their shape is [type, request id, options or id, …].
        assert isinstance(raw, list)
        if self.state is State.JOINED:
            if wants_an_answer(raw):
                self.outlet.send(refusal(raw[0], raw[1], error))
        elif self.state is not State.LEAVING:
            self.violate(errors.ProtocolViolation(f"a request {self.state.value}"))

    def _abort(self, uri: str, text: str | None) -> None:
        self._leave(State.ENDED)
        self.outlet.send(wamp.Abort(uri, message=text))

    def _close(self, end: End, detail: str = "") -> None:
        self.state = State.ENDED
        self.outlet.close(end, detail)

    def _leave(self, state: State) -> None:
        self.state = state
        self._limit.clear()
        self.outlet.pause(False)
        self.router.realm.leave(self)

    def _schedule(self) -> None:
        """Have ``wake`` called at the next deadline."""
        next_at = self._limit.next_at()
        self.outlet.wake_at(self._deadline if next_at is None else min(self._deadline, next_at))


_TABLE: dict[tuple[State, type[wamp.Message]], Callable[[Any, Any, float], None]] = {
    (State.CONNECTED, wamp.Hello): hello,
    (State.CONNECTED, wamp.Abort): Session._on_abort,
    (State.CHALLENGED, wamp.Authenticate): authenticate,
    (State.CHALLENGED, wamp.Abort): Session._on_abort,
    (State.JOINED, wamp.Goodbye): Session._on_goodbye,
    (State.JOINED, wamp.Abort): Session._on_abort,
    (State.LEAVING, wamp.Goodbye): Session._on_goodbye_echo,
    (State.LEAVING, wamp.Abort): Session._on_goodbye_echo,
    **{(State.JOINED, request): action for request, action in REQUESTS.items()},
}
