"""A client that speaks to a session, without a wire."""

from typing import Any

from tests.fakes import RecordingOutlet, Sent, Tickets, identity, new_realm, new_router
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import Session

OPENED = 1000.0
EXPIRES_AT = 1600.0

SUBSCRIBER = {"subscriber": {}}
REVOCABLE = {"subscriber": {"features": {"subscription_revocation": True}}}
HELLO = [1, "tuleap", {"roles": SUBSCRIBER, "authmethods": ["ticket"], "authid": "somebody"}]
AUTHENTICATE = [5, "good", {}]
GOODBYE = [6, {}, "wamp.close.close_realm"]


def known_tickets() -> Tickets:
    """Of the users 102 and 103, and of the operators 1 and 2."""
    return Tickets(
        good=identity(102, expires_at=EXPIRES_AT),
        other=identity(103, expires_at=EXPIRES_AT),
        operator=identity(1, role=Role.OPERATOR, expires_at=EXPIRES_AT),
        colleague=identity(2, role=Role.OPERATOR, expires_at=EXPIRES_AT),
    )


def open_router(
    sent: Sent | None = None, *, max_subscriptions: int = 9, max_sessions_per_user: int = 100, **changes: Any
) -> Router:
    """A router that knows these tokens. The ids in its realm are 5000, 5001 …"""
    realm = new_realm(sent, max_subscriptions=max_subscriptions, max_sessions_per_user=max_sessions_per_user)
    return new_router(realm, known_tickets(), **changes)


class Client:
    """Speaks to a session and reads what it answers. Requests that it numbers itself have the id 9."""

    def __init__(self, router: Router, opened: float = OPENED) -> None:
        self.now = opened
        self.outlet = RecordingOutlet()
        self.session = Session(router, self.outlet, opened=opened)

    def take(self) -> list[Any]:
        """Messages that answer no request."""
        return self.outlet.take()

    def say(self, raw: object) -> list[Any]:
        self.session.receive(raw, self.now)
        return self.outlet.take()

    def wake(self, now: float) -> list[Any]:
        self.now = now
        self.session.wake(now)
        return self.outlet.take()

    def join(self, ticket: str = "good", roles: object = SUBSCRIBER, **extra: object) -> list[Any]:
        return self.say(hello(roles=roles, authextra=extra)) + self.say([5, ticket, {}])

    def subscribe(self, topic: str, match: str = "exact") -> int:
        """The id of the subscription."""
        ((code, _, subscription),) = self.say([32, 9, {"match": match}, topic])
        assert code == 33
        return subscription

    def call(self, procedure: str, *args: object, **kwargs: object) -> list[Any]:
        """The positional results."""
        ((code, _, _, *results),) = self.say([48, 9, {}, procedure, list(args), kwargs])
        assert code == 50
        return results[0] if results else []

    def refused(self, raw: list[Any]) -> str:
        """The URI of the ERROR that answers a request, and nothing else does."""
        ((code, request_type, request, _, uri, _),) = self.say(raw)
        assert (code, request_type, request) == (8, raw[0], raw[1])
        return uri

    def refused_call(self, procedure: str, *args: object, **kwargs: object) -> str:
        return self.refused([48, 9, {}, procedure, list(args), kwargs])


def hello(realm: object = "tuleap", **details: object) -> list[Any]:
    """HELLO with some details replaced, or left out where they are None."""
    changed = {**HELLO[2], **details}  # type: ignore[dict-item]
    return [1, realm, {name: value for name, value in changed.items() if value is not None}]


def joined(router: Router, ticket: str = "good", **of_join: Any) -> Client:
    client = Client(router)
    client.join(ticket, **of_join)
    assert client.session.is_joined
    return client
