"""One WAMP session, from HELLO to its end, as a state table.

::

    client          HELLO      AUTHENTICATE      SUBSCRIBE …        GOODBYE
    CONNECTED ──────────▶ CHALLENGED ──────▶ JOINED ──────────────────────▶ ENDED
    router        CHALLENGE         WELCOME   │  SUBSCRIBED …  GOODBYE        ▲
        │                 │                   │ the ticket expires            │ GOODBYE, or
        │ ABORT           │ ABORT             ▼                               │ no answer
        └─────────────────┴──────▶ ENDED   LEAVING ───────────────────────────┘
                                             router GOODBYE

What is not in the table is a protocol violation: ABORT, and the connection is closed (WAMP: Sessions,
Protocol Violations). ``receive``, ``wake`` and ``lost`` are all that the outside does to a session; what it
wants of the outside is its Outlet. Times are in seconds since the epoch.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from autobahn.wamp import message as wamp
from autobahn.wamp.role import RoleBrokerFeatures

from tuleaprt import errors
from tuleaprt.wamp.auth import Authenticator, Identity, Role
from tuleaprt.wamp.messages import name, parse
from tuleaprt.wamp.outlet import End, Outlet
from tuleaprt.wamp.realm import Realm

MAX_WINDOW_LENGTH = 128


class State(Enum):
    CONNECTED = "before HELLO"
    CHALLENGED = "before AUTHENTICATE"
    JOINED = "joined"
    LEAVING = "after the router's GOODBYE"
    ENDED = "ended"


_URIS: dict[type[errors.TuleaprtError], str] = {
    errors.InvalidUri: "wamp.error.invalid_uri",
    errors.NotAuthorized: "wamp.error.not_authorized",
    errors.NoSuchSubscription: "wamp.error.no_such_subscription",
    errors.NoSuchRegistration: "wamp.error.no_such_registration",
    errors.NoSuchProcedure: "wamp.error.no_such_procedure",
    errors.OptionNotAllowed: "wamp.error.option_not_allowed",
    errors.LimitExceeded: "org.tuleap.error.limit_exceeded",
    errors.TicketExpired: "org.tuleap.error.token_expired",
    errors.TicketRefused: "wamp.error.authentication_denied",
    errors.ProtocolViolation: "wamp.error.protocol_violation",
}
"""The only translation of errors into WAMP URIs; what HELLO is refused for has its URI on the spot."""


class Session:
    """The router's side of one connection. ``identity`` is there from WELCOME on."""

    __slots__ = (
        "_authenticator",
        "_goodbye_timeout",
        "_realm",
        "deadline",
        "id",
        "identity",
        "outlet",
        "state",
        "subscriptions",
        "window",
    )
    identity: Identity

    def __init__(
        self,
        realm: Realm,
        authenticator: Authenticator,
        outlet: Outlet,
        *,
        opened: float,
        open_timeout: float,
        goodbye_timeout: float,
    ) -> None:
        self.id = 0
        self.window: str | None = None
        self.subscriptions: set[int] = set()
        self.outlet = outlet
        self.state = State.CONNECTED
        self.deadline = opened + open_timeout
        """When ``wake`` is to be called; it changes with the state."""
        self._realm = realm
        self._authenticator = authenticator
        self._goodbye_timeout = goodbye_timeout

    def receive(self, raw: object, now: float) -> None:
        """Take a decoded message of the client."""
        if self.state is State.ENDED:
            return
        try:
            message = parse(raw)
            action = _TABLE.get((self.state, type(message)))
            if action is not None:
                action(self, message, now)
            elif self.state is not State.LEAVING:
                raise errors.ProtocolViolation(f"{name(type(message))} {self.state.value}")
        except errors.RequestError as error:
            # Only requests fail so, and theirs is the shape [type, request id, options or id, …].
            assert isinstance(raw, list)
            self._fail(raw, error)
        except errors.ProtocolViolation as violation:
            self.violate(violation)

    def violate(self, violation: errors.ProtocolViolation) -> None:
        """End the session because its client does not keep to the protocol."""
        if self.state is not State.ENDED:
            self._abort(_URIS[type(violation)], str(violation))
            self.outlet.close(End.VIOLATION, violation.what)

    def wake(self, now: float) -> None:
        """Do what is due at ``deadline``."""
        if now < self.deadline:
            return
        if self.state is State.JOINED:
            self._leave(State.LEAVING)
            self.deadline = now + self._goodbye_timeout
            self.outlet.send(
                wamp.Goodbye(_URIS[errors.TicketExpired], message="the ticket of this session has expired")
            )
        elif self.state is not State.ENDED:
            self.outlet.close(End.EXPIRED if self.state is State.LEAVING else End.SILENT)
            self.state = State.ENDED

    def lost(self) -> None:
        """The connection is gone."""
        self._leave(State.ENDED)

    def _on_hello(self, hello: wamp.Hello, now: float) -> None:
        window = (hello.authextra or {}).get("uuid")
        if hello.realm != self._realm.name:
            self._refuse("wamp.error.no_such_realm", "there is no such realm")
        elif "ticket" not in (hello.authmethods or ()):
            self._refuse("wamp.error.no_matching_auth_method", "the only authmethod here is ticket")
        elif window is not None and not (isinstance(window, str) and len(window) <= MAX_WINDOW_LENGTH):
            text = f"authextra.uuid must be a text of at most {MAX_WINDOW_LENGTH} characters"
            self._refuse("wamp.error.invalid_argument", text)
        else:
            self.window = window or None
            self.state = State.CHALLENGED
            self.outlet.send(wamp.Challenge("ticket"))

    def _on_authenticate(self, authenticate: wamp.Authenticate, now: float) -> None:
        try:
            self.identity = self._authenticator.authenticate(authenticate.signature, now)
        except errors.TicketExpired as error:
            self._refuse(_URIS[type(error)], "the ticket has expired", str(error))
        except errors.TicketRefused as error:
            self._refuse(_URIS[type(error)], None, str(error))
        else:
            self._realm.join(self)
            self.state = State.JOINED
            self.deadline = self.identity.expires_at
            self.outlet.send(
                wamp.Welcome(
                    self.id,
                    {"broker": RoleBrokerFeatures()},
                    realm=self._realm.name,
                    authid=self.identity.authid,
                    authrole=self.identity.role.value,
                    authmethod="ticket",
                    authextra={"expires_at": self.identity.expires_at},
                )
            )

    def _on_subscribe(self, subscribe: wamp.Subscribe, now: float) -> None:
        if subscribe.match != wamp.Subscribe.MATCH_EXACT:
            if self.identity.role is Role.USER:
                raise errors.NotAuthorized("a user subscribes to exact topics")
            raise errors.OptionNotAllowed("this router matches exact topics only")
        subscription = self._realm.subscribe(self, subscribe.topic)
        self.outlet.send(wamp.Subscribed(subscribe.request, subscription))

    def _on_unsubscribe(self, unsubscribe: wamp.Unsubscribe, now: float) -> None:
        self._realm.unsubscribe(self, unsubscribe.subscription)
        self.outlet.send(wamp.Unsubscribed(unsubscribe.request))

    def _on_publish(self, publish: wamp.Publish, now: float) -> None:
        raise errors.NotAuthorized("this session may not publish")

    def _on_call(self, call: wamp.Call, now: float) -> None:
        raise errors.NoSuchProcedure("there is no such procedure")

    def _on_cancel(self, cancel: wamp.Cancel, now: float) -> None:
        """Every call has been answered before its CANCEL can come."""

    def _on_register(self, register: wamp.Register, now: float) -> None:
        raise errors.NotAuthorized("this router has its own procedures only")

    def _on_unregister(self, unregister: wamp.Unregister, now: float) -> None:
        raise errors.NoSuchRegistration("there is no such registration")

    def _on_goodbye(self, goodbye: wamp.Goodbye, now: float) -> None:
        self._leave(State.ENDED)
        self.outlet.send(wamp.Goodbye("wamp.close.goodbye_and_out"))
        self.outlet.close(End.GOODBYE)

    def _on_goodbye_echo(self, goodbye: wamp.Goodbye, now: float) -> None:
        self.state = State.ENDED
        self.outlet.close(End.EXPIRED)

    def _on_abort(self, abort: wamp.Abort, now: float) -> None:
        self._leave(State.ENDED)
        self.outlet.close(End.GOODBYE, "the client aborted")

    def _fail(self, request: list[Any], error: errors.RequestError) -> None:
        if self.state is State.JOINED:
            # A client does not expect an answer to a PUBLISH that it did not want acknowledged.
            if request[0] != wamp.Publish.MESSAGE_TYPE or request[2].get("acknowledge"):
                uri = _URIS[type(error)]
                self.outlet.send(wamp.Error(request[0], request[1], uri, args=[str(error)]))
        elif self.state is not State.LEAVING:
            self.violate(errors.ProtocolViolation(f"a request {self.state.value}"))

    def _refuse(self, uri: str, text: str | None, detail: str = "") -> None:
        self._abort(uri, text)
        self.outlet.close(End.REFUSED, detail or text or "")

    def _abort(self, uri: str, text: str | None) -> None:
        self._leave(State.ENDED)
        self.outlet.send(wamp.Abort(uri, message=text))

    def _leave(self, state: State) -> None:
        self.state = state
        self._realm.leave(self)


_TABLE: dict[tuple[State, type[wamp.Message]], Callable[[Session, Any, float], None]] = {
    (State.CONNECTED, wamp.Hello): Session._on_hello,
    (State.CONNECTED, wamp.Abort): Session._on_abort,
    (State.CHALLENGED, wamp.Authenticate): Session._on_authenticate,
    (State.CHALLENGED, wamp.Abort): Session._on_abort,
    (State.JOINED, wamp.Subscribe): Session._on_subscribe,
    (State.JOINED, wamp.Unsubscribe): Session._on_unsubscribe,
    (State.JOINED, wamp.Publish): Session._on_publish,
    (State.JOINED, wamp.Call): Session._on_call,
    (State.JOINED, wamp.Cancel): Session._on_cancel,
    (State.JOINED, wamp.Register): Session._on_register,
    (State.JOINED, wamp.Unregister): Session._on_unregister,
    (State.JOINED, wamp.Goodbye): Session._on_goodbye,
    (State.JOINED, wamp.Abort): Session._on_abort,
    (State.LEAVING, wamp.Goodbye): Session._on_goodbye_echo,
}
