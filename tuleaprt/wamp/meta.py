"""The meta events, and the details of sessions and subscriptions for operators (WAMP: Session Meta API,
Subscription Meta API).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from tuleaprt.wamp.auth import AUTHPROVIDER
from tuleaprt.wamp.broker import Broker, Dispatch, Subscriber, Subscription
from tuleaprt.wamp.outlet import Peer
from tuleaprt.wamp.publication import Kwargs, Publication


class Described(Subscriber, Protocol):
    """A session, to the meta API."""

    authmethod: str

    @property
    def outlet(self) -> Peer: ...


def session_details(session: Described) -> Mapping[str, Any]:
    """``wamp.session.get``. It shows nothing of the token but user id and role."""
    return {
        "session": session.id,
        "authid": session.identity.authid,
        "authrole": session.identity.role.value,
        "authmethod": session.authmethod,
        "authprovider": AUTHPROVIDER,
        "transport": dict(session.outlet.description),
    }


def subscription_details(subscription: Subscription) -> Mapping[str, Any]:
    """``wamp.subscription.get``"""
    return {
        "id": subscription.id,
        "created": timestamp(subscription.created),
        "uri": subscription.topic,
        "match": subscription.match.value,
    }


def timestamp(seconds: float) -> str:
    """RFC 3339, in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class MetaEvents:
    """Publishes meta events. Only operators may subscribe to them, and the view hides them from users."""

    def __init__(
        self, broker: Broker, deliver: Callable[[Dispatch], None], new_id: Callable[[], int]
    ) -> None:
        self._broker = broker
        self._deliver = deliver
        self._new_id = new_id
        self._is_silent = False

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Publish no meta events inside this block: ``wamp.session.kill_all`` causes none."""
        self._is_silent = True
        try:
            yield
        finally:
            self._is_silent = False

    def joined(self, session: Described) -> None:
        self._publish("wamp.session.on_join", lambda: [session_details(session)])

    def left(self, session: Described) -> None:
        identity = session.identity
        self._publish("wamp.session.on_leave", lambda: [session.id, identity.authid, identity.role.value])

    def subscribed(self, session: Described, subscription: Subscription, *, is_new: bool) -> None:
        if is_new:
            self._publish(
                "wamp.subscription.on_create", lambda: [session.id, subscription_details(subscription)]
            )
        self._publish("wamp.subscription.on_subscribe", lambda: [session.id, subscription.id])

    def unsubscribed(self, session: Described, subscription: Subscription) -> None:
        self._publish("wamp.subscription.on_unsubscribe", lambda: [session.id, subscription.id])
        if not subscription.subscribers:
            self._publish("wamp.subscription.on_delete", lambda: [session.id, subscription.id])

    def _publish(self, topic: str, args: Callable[[], list[Any]]) -> None:
        if self._is_silent or not self._broker.subscriptions.match(topic):
            return
        publication = Publication(
            id=self._new_id(), topic=topic, args=args(), kwargs={}, view=_nothing_for_users
        )
        for dispatch in self._broker.dispatch(publication):
            self._deliver(dispatch)


def _nothing_for_users(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
    return None
