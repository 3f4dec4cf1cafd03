"""Subscriptions: who listens to which topic."""

from itertools import count
from typing import Protocol

from tuleaprt.wamp.auth import Identity


class Subscriber(Protocol):
    """What the broker must know of a session; ``window`` is the page that it speaks for, if it named one."""

    @property
    def identity(self) -> Identity: ...

    @property
    def window(self) -> str | None: ...


class Subscription:
    """One topic and those who listen to it, in the order in which they came."""

    __slots__ = ("departures", "id", "subscribers", "topic")

    def __init__(self, id: int, topic: str) -> None:
        self.id = id
        self.topic = topic
        self.subscribers: dict[Subscriber, None] = {}
        self.departures = 0
        """How many have left: while it stands still, whoever listened still does."""


class SubscriptionMap:
    """The subscriptions of a realm: one for each topic, kept as long as somebody listens."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._by_topic: dict[str, Subscription] = {}
        self._by_id: dict[int, Subscription] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, topic: str, subscriber: Subscriber) -> Subscription:
        """Subscribe; doing so again changes nothing and gives the same subscription."""
        subscription = self._by_topic.get(topic)
        if subscription is None:
            subscription = Subscription(next(self._ids), topic)
            self._by_topic[topic] = self._by_id[subscription.id] = subscription
        subscription.subscribers[subscriber] = None
        return subscription

    def remove(self, id: int, subscriber: Subscriber) -> Subscription | None:
        """End it for this subscriber; None when he does not have it."""
        subscription = self._by_id.get(id)
        if subscription is None or subscriber not in subscription.subscribers:
            return None
        del subscription.subscribers[subscriber]
        subscription.departures += 1
        if not subscription.subscribers:
            del self._by_id[id], self._by_topic[subscription.topic]
        return subscription

    def match(self, topic: str) -> tuple[Subscription, ...]:
        """The subscriptions that an event of this topic concerns."""
        subscription = self._by_topic.get(topic)
        return () if subscription is None else (subscription,)
