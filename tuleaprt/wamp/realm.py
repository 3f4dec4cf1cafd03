"""A realm: its sessions, its subscriptions, and the one place through which publications pass."""

from collections.abc import Callable
from typing import Protocol

from tuleaprt.errors import InvalidUri, LimitExceeded, NoSuchSubscription, NotAuthorized
from tuleaprt.wamp.auth import Policy
from tuleaprt.wamp.broker import Broker, Dispatch, Publication
from tuleaprt.wamp.identifiers import is_uri
from tuleaprt.wamp.subscriptions import Subscriber


class Member(Subscriber, Protocol):
    """A session as its realm sees it."""

    id: int
    subscriptions: set[int]


class Realm:
    """Synchronous: whatever one call does is done before the next one begins."""

    def __init__(
        self, name: str, *, policy: Policy, new_id: Callable[[], int], max_subscriptions: int
    ) -> None:
        self.name = name
        self.sessions: dict[int, Member] = {}
        self.broker = Broker()
        self._policy = policy
        self._new_id = new_id
        self._max_subscriptions = max_subscriptions

    def join(self, session: Member) -> None:
        """Take the session in and give it an id that no other session has."""
        session.id = self._new_id()
        while session.id in self.sessions:
            session.id = self._new_id()
        self.sessions[session.id] = session

    def leave(self, session: Member) -> None:
        """Forget the session and its subscriptions; harmless when it is not here."""
        if self.sessions.pop(session.id, None) is None:
            return
        for subscription in session.subscriptions:
            self.broker.subscriptions.remove(subscription, session)
        session.subscriptions.clear()

    def subscribe(self, session: Member, topic: str) -> int:
        """
        Raises:
            InvalidUri, NotAuthorized, LimitExceeded.
        """
        if not is_uri(topic):
            raise InvalidUri("the topic is not a URI")
        if not self._policy.may_subscribe(session.identity, topic):
            raise NotAuthorized("this session may not subscribe to this topic")
        known = self.broker.subscriptions.match(topic)
        if not (known and known[0].id in session.subscriptions) and (
            len(session.subscriptions) >= self._max_subscriptions
        ):
            raise LimitExceeded(f"a session has at most {self._max_subscriptions} subscriptions")
        subscription = self.broker.subscriptions.add(topic, session)
        session.subscriptions.add(subscription.id)
        return subscription.id

    def unsubscribe(self, session: Member, subscription: int) -> None:
        """
        Raises:
            NoSuchSubscription: unknown, or not this session's.
        """
        if self.broker.subscriptions.remove(subscription, session) is None:
            raise NoSuchSubscription("this session has no such subscription")
        session.subscriptions.discard(subscription)

    def publish(self, publication: Publication) -> list[Dispatch]:
        """The dispatches of one publication, for whoever sends them."""
        return self.broker.dispatch(publication)
