"""Opening a session: checks HELLO and AUTHENTICATE, and builds WELCOME (WAMP: Session Establishment)."""

from collections.abc import Mapping
from typing import Any, Protocol

from autobahn.wamp import message as wamp
from autobahn.wamp.role import RoleBrokerFeatures, RoleDealerFeatures

from tuleaprt.errors import LimitExceeded, TicketExpired, TicketRefused
from tuleaprt.wamp.auth import AUTHPROVIDER, Authenticator, Identity
from tuleaprt.wamp.identifiers import uri_of
from tuleaprt.wamp.publication import MAX_UUID_LENGTH
from tuleaprt.wamp.router import Router

_ROLES = {
    "broker": RoleBrokerFeatures(
        event_history=True,
        pattern_based_subscription=True,
        publisher_exclusion=True,
        session_meta_api=True,
        subscriber_blackwhite_listing=True,
        subscription_meta_api=True,
        subscription_revocation=True,
    ),
    "dealer": RoleDealerFeatures(session_meta_api=True),
}
"""The features that this router has, and no others."""


class Opening(Protocol):
    """A session, to the handshake."""

    router: Router
    authmethod: str
    window: str | None
    can_be_revoked: bool

    def challenge(self) -> None: ...

    def join(self, identity: Identity, now: float) -> None: ...


class Refused(Exception):
    """The session is not opened. ``uri`` and ``text`` go into ABORT, ``detail`` into the log."""

    def __init__(self, uri: str, text: str | None, detail: str = "") -> None:
        super().__init__(text)
        self.uri = uri
        self.text = text
        self.detail = detail or text or ""


def hello(session: Opening, message: wamp.Hello, now: float) -> None:
    router = session.router
    session.authmethod, session.window = check_hello(
        message, router.realm.name, anonymous_may=router.anonymous is not None
    )
    session.can_be_revoked = can_be_revoked(message)
    if session.authmethod == "ticket":
        session.challenge()
    else:
        assert router.anonymous is not None
        session.join(router.anonymous, now)


def authenticate(session: Opening, message: wamp.Authenticate, now: float) -> None:
    identity = check_ticket(session.router.authenticator, message.signature, now)
    try:
        session.join(identity, now)
    except LimitExceeded as error:
        raise Refused(uri_of(error), str(error)) from None


def check_hello(hello: wamp.Hello, realm: str, *, anonymous_may: bool) -> tuple[str, str | None]:
    """The authentication method to continue with, and the uuid of the client's window, if HELLO names one.

    Raises:
        Refused
    """
    if hello.realm != realm:
        raise Refused("wamp.error.no_such_realm", "there is no such realm")
    window = (hello.authextra or {}).get("uuid")
    if window is not None and not (isinstance(window, str) and len(window) <= MAX_UUID_LENGTH):
        raise Refused(
            "wamp.error.invalid_argument",
            f"authextra.uuid must be a text of at most {MAX_UUID_LENGTH} characters",
        )
    # A client that names no method has no token to show.
    offered = hello.authmethods or ["anonymous"]
    accepted = ("ticket", "anonymous") if anonymous_may else ("ticket",)
    method = next((it for it in offered if it in accepted), None)
    if method is None:
        raise Refused("wamp.error.no_matching_auth_method", f"the authmethods here are {', '.join(accepted)}")
    return method, window or None


def check_ticket(authenticator: Authenticator, ticket: str, now: float) -> Identity:
    """The identity that the token proves.

    Raises:
        Refused
    """
    try:
        return authenticator.authenticate(ticket, now)
    except TicketExpired as error:
        raise Refused(uri_of(error), "the token has expired", str(error)) from None
    except TicketRefused as error:
        raise Refused(uri_of(error), None, str(error)) from None


def can_be_revoked(hello: wamp.Hello) -> bool:
    """Whether the client understands an UNSUBSCRIBED that the router sends by itself."""
    subscriber = hello.roles.get("subscriber")
    return bool(subscriber is not None and subscriber.subscription_revocation)


def welcome(session: int, realm: str, identity: Identity, authmethod: str) -> wamp.Welcome:
    """WELCOME with the identity from the token. The authid in HELLO does not count."""
    extra: Mapping[str, Any] = {}
    if identity.expires_at != float("inf"):
        extra = {"expires_at": identity.expires_at}
    return wamp.Welcome(
        session,
        _ROLES,
        realm=realm,
        authid=identity.authid,
        authrole=identity.role.value,
        authmethod=authmethod,
        authprovider=AUTHPROVIDER,
        authextra=extra,
    )
