"""Subscriptions: who listens to which topic (WAMP: Pattern-based Subscriptions)."""

from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import count
from typing import Any, Protocol

from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.identifiers import Match


class Subscriber(Protocol):
    """What the broker must know of a session; ``window`` is the page that it speaks for, if it named one."""

    id: int

    @property
    def identity(self) -> Identity: ...

    @property
    def window(self) -> str | None: ...


class Subscription:
    """One topic or pattern and those who listen to it, in the order in which they came.

    ``created`` is in seconds since the epoch.
    """

    __slots__ = ("created", "departures", "id", "match", "subscribers", "topic")

    def __init__(self, id: int, topic: str, match: Match, created: float) -> None:
        self.id = id
        self.topic = topic
        self.match = match
        self.created = created
        self.subscribers: dict[Subscriber, None] = {}
        self.departures = 0
        """How many have left: while it stands still, whoever listened still does."""

    def covers(self, topic: str) -> bool:
        """Whether an event of this topic concerns it."""
        if self.match is Match.PREFIX:
            return topic.startswith(self.topic)
        if self.match is Match.WILDCARD:
            wanted, found = self.topic.split("."), topic.split(".")
            return len(wanted) == len(found) and all(
                mine in ("", its) for mine, its in zip(wanted, found, strict=True)
            )
        return topic == self.topic


class SubscriptionMap:
    """The subscriptions of a realm: one for each topic and way to match, as long as somebody listens.

    Patterns are found by their shape, not one after the other: a prefix by its length, a wildcard by which
    of how many components it names.
    """

    def __init__(self) -> None:
        self._ids = count(1)
        self._by_key: dict[tuple[Match, str], Subscription] = {}
        self._by_id: dict[int, Subscription] = {}
        self._prefix_lengths: Counter[int] = Counter()
        self._wildcard_shapes: Counter[tuple[bool, ...]] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._by_id.values())

    @property
    def subscribers(self) -> int:
        """How many sessions are subscribed to all of them together; each counts for each."""
        return sum(len(it.subscribers) for it in self)

    def get(self, id: int) -> Subscription | None:
        return self._by_id.get(id)

    def lookup(self, topic: str, match: Match) -> Subscription | None:
        return self._by_key.get((match, topic))

    def add(self, topic: str, match: Match, subscriber: Subscriber, now: float) -> Subscription:
        """Subscribe; doing so again changes nothing and gives the same subscription."""
        subscription = self._by_key.get((match, topic))
        if subscription is None:
            subscription = Subscription(next(self._ids), topic, match, now)
            self._by_key[match, topic] = self._by_id[subscription.id] = subscription
            self._count_shape(subscription, 1)
        subscription.subscribers[subscriber] = None
        return subscription

    def remove(self, id: int, subscriber: Subscriber) -> None:
        """End it for this subscriber; harmless when he does not have it."""
        subscription = self._by_id.get(id)
        if subscription is None or subscriber not in subscription.subscribers:
            return
        del subscription.subscribers[subscriber]
        subscription.departures += 1
        if not subscription.subscribers:
            del self._by_id[id], self._by_key[subscription.match, subscription.topic]
            self._count_shape(subscription, -1)

    def match(self, topic: str) -> list[Subscription]:
        """The subscriptions that an event of this topic concerns: exact, then prefixes, then wildcards."""
        found = []
        by_key = self._by_key
        if (subscription := by_key.get((Match.EXACT, topic))) is not None:
            found.append(subscription)
        for length in self._prefix_lengths:
            if length <= len(topic) and (subscription := by_key.get((Match.PREFIX, topic[:length]))):
                found.append(subscription)
        if self._wildcard_shapes:
            components = topic.split(".")
            for shape in self._wildcard_shapes:
                if len(shape) == len(components):
                    pattern = ".".join(
                        component if named else "" for component, named in zip(components, shape, strict=True)
                    )
                    if (subscription := by_key.get((Match.WILDCARD, pattern))) is not None:
                        found.append(subscription)
        return found

    def _count_shape(self, subscription: Subscription, change: int) -> None:
        if subscription.match is Match.PREFIX:
            _add(self._prefix_lengths, len(subscription.topic), change)
        elif subscription.match is Match.WILDCARD:
            _add(self._wildcard_shapes, tuple(map(bool, subscription.topic.split("."))), change)


def _add(shapes: Counter[Any], shape: Hashable, change: int) -> None:
    shapes[shape] += change
    if not shapes[shape]:
        del shapes[shape]
