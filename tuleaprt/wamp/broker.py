"""The broker: subscriptions by topic and pattern (WAMP: Pattern-based Subscriptions), and what each
subscriber receives of a publication.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from itertools import count
from typing import Any, Protocol

from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Kwargs, Publication


class Subscriber(Protocol):
    """A session, to the broker; ``window`` is the uuid of its window, if the client named one."""

    id: int

    @property
    def identity(self) -> Identity: ...

    @property
    def window(self) -> str | None: ...


class Subscription:
    """One topic or pattern and its subscribers, in the order in which they subscribed.

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
        """How many subscribers have left. While it does not change, every former subscriber is still
        subscribed.
        """

    def covers(self, topic: str) -> bool:
        """Whether an event of this topic matches the subscription."""
        if self.match is Match.PREFIX:
            return topic.startswith(self.topic)
        if self.match is Match.WILDCARD:
            wanted, found = self.topic.split("."), topic.split(".")
            return len(wanted) == len(found) and all(
                mine in ("", its) for mine, its in zip(wanted, found, strict=True)
            )
        return topic == self.topic


class SubscriptionMap:
    """The subscriptions of a realm: one for each topic and match policy, as long as it has subscribers.

    Patterns are found by their shape and not by search: prefixes by their length, wildcards by the set of
    components that they name.
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
        """The number of subscribers of all subscriptions. A session counts once for each subscription."""
        return sum(len(it.subscribers) for it in self)

    def get(self, id: int) -> Subscription | None:
        return self._by_id.get(id)

    def lookup(self, topic: str, match: Match) -> Subscription | None:
        return self._by_key.get((match, topic))

    def add(self, topic: str, match: Match, subscriber: Subscriber, now: float) -> Subscription:
        """Add the subscriber and return the subscription. Adding it again changes nothing."""
        subscription = self._by_key.get((match, topic))
        if subscription is None:
            subscription = Subscription(next(self._ids), topic, match, now)
            self._by_key[match, topic] = self._by_id[subscription.id] = subscription
            self._count_shape(subscription, 1)
        subscription.subscribers[subscriber] = None
        return subscription

    def remove(self, id: int, subscriber: Subscriber) -> None:
        """Remove the subscriber. Nothing happens if it is not subscribed."""
        subscription = self._by_id.get(id)
        if subscription is None or subscriber not in subscription.subscribers:
            return
        del subscription.subscribers[subscriber]
        subscription.departures += 1
        if not subscription.subscribers:
            del self._by_id[id], self._by_key[subscription.match, subscription.topic]
            self._count_shape(subscription, -1)

    def match(self, topic: str) -> list[Subscription]:
        """The subscriptions that match this topic: exact ones, then prefixes, then wildcards."""
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


OPERATOR = Role.OPERATOR


def payload_for(publication: Publication, subscriber: Subscriber) -> Kwargs | None:
    """The payload that this subscriber receives of the publication; None: it receives nothing."""
    identity = subscriber.identity
    audience = publication.audience
    if publication.kwargs is None or (audience and not audience.admits(subscriber.id, identity)):
        return None
    if identity.role is OPERATOR:
        return publication.kwargs
    if publication.sender == (identity.user_id, subscriber.window):
        return None
    return publication.view(identity.groups, identity.user_id)


class Answer:
    """A payload that several subscribers receive.

    ``frames`` holds the encoded frame of each wire format. The transport fills it, once per format.
    """

    __slots__ = ("frames", "kwargs")

    def __init__(self, kwargs: Kwargs) -> None:
        self.kwargs = kwargs
        self.frames: dict[Any, bytes] = {}


class Dispatch:
    """One publication on its way to the subscribers of one subscription.

    ``receivers`` are the subscribers at the moment of publication. ``answers`` decides at the moment of
    sending. ``is_counted`` is False for the health probe, which is not traffic.
    """

    __slots__ = (
        "_departures",
        "_payloads",
        "_singled_out",
        "is_counted",
        "publication",
        "receivers",
        "subscription",
    )

    def __init__(
        self, publication: Publication, subscription: Subscription, *, is_counted: bool = True
    ) -> None:
        self.is_counted = is_counted
        self.publication = publication
        self.subscription = subscription
        self.receivers = tuple(subscription.subscribers)
        self._departures = subscription.departures
        sender = publication.sender
        self._singled_out = publication.submitters | ({sender.user_id} if sender else set())
        # The key is the id() of the payload. The Answer keeps the payload alive, so the id stays unique.
        self._payloads: dict[int, Answer] = {}

    def answers(
        self, receivers: Iterable[Subscriber], now: float
    ) -> Iterator[tuple[Subscriber, Answer | None]]:
        """What each of these subscribers receives; None: nothing.

        For nearly all subscribers the groups decide alone, and equal groups share one answer. Each call asks
        the view again, because rights may have changed since the former call. A subscriber must not leave
        between its turn being prepared and its answer being used.
        """
        subscription, publication = self.subscription, self.publication
        singled_out, audience = self._singled_out, publication.audience
        known: dict[frozenset[str], Answer | None] = {}
        some_have_left = subscription.departures != self._departures
        for receiver in receivers:
            identity = receiver.identity
            if (
                identity.expires_at <= now
                or (some_have_left and receiver not in subscription.subscribers)
                or (audience is not None and not audience.admits(receiver.id, identity))
            ):
                yield receiver, None
            elif identity.user_id in singled_out or identity.role is OPERATOR:
                yield receiver, self._shared(payload_for(publication, receiver))
            else:
                groups = identity.groups
                if groups not in known:
                    known[groups] = self._shared(publication.view(groups, None))
                yield receiver, known[groups]

    def _shared(self, kwargs: Kwargs | None) -> Answer | None:
        """The Answer of this payload object. Equal objects would be encoded twice; the same object is encoded
        once.
        """
        if kwargs is None:
            return None
        answer = self._payloads.get(id(kwargs))
        if answer is None:
            answer = self._payloads[id(kwargs)] = Answer(kwargs)
        return answer


class Broker:
    """Finds the subscriptions that match a publication."""

    def __init__(self) -> None:
        self.subscriptions = SubscriptionMap()

    def dispatch(self, publication: Publication) -> list[Dispatch]:
        """One dispatch for each matching subscription. A session with several of them receives an EVENT for
        each.
        """
        if publication.kwargs is None:
            return []
        return [Dispatch(publication, it) for it in self.subscriptions.match(publication.topic)]
