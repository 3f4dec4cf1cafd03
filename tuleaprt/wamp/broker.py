"""Who receives what of a publication."""

from collections.abc import Iterable, Iterator
from typing import Any

from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.publication import Kwargs, Publication
from tuleaprt.wamp.subscriptions import Subscriber, Subscription, SubscriptionMap

OPERATOR = Role.OPERATOR


def payload_for(publication: Publication, subscriber: Subscriber) -> Kwargs | None:
    """What this subscriber gets of it; None: nothing."""
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
    """What one kind of receiver gets of a publication; all who get the same share it.

    ``frames`` is for whoever encodes it: the bytes of each wire format, made once.
    """

    __slots__ = ("frames", "kwargs")

    def __init__(self, kwargs: Kwargs) -> None:
        self.kwargs = kwargs
        self.frames: dict[Any, bytes] = {}


class Dispatch:
    """One publication on its way to the receivers of one subscription.

    ``receivers`` are those of the moment of publication; ``answers`` is asked at the moment of sending.
    ``is_counted`` is False for what is no traffic but the server's way to see how it is.
    """

    __slots__ = (
        "_answers",
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
        self._answers: dict[frozenset[str], Answer | None] = {}
        # By the identity of the payload, which its Answer keeps alive.
        self._payloads: dict[int, Answer] = {}

    def answers(
        self, receivers: Iterable[Subscriber], now: float
    ) -> Iterator[tuple[Subscriber, Answer | None]]:
        """What each of these receivers gets; None: nothing.

        The groups of nearly all receivers decide alone, so those are the quick way. While this is being read
        nobody may leave who is still to come.
        """
        subscription, publication = self.subscription, self.publication
        known, singled_out, audience = self._answers, self._singled_out, publication.audience
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
                yield receiver, known[groups] if groups in known else self._ask(groups)

    def _ask(self, groups: frozenset[str]) -> Answer | None:
        """Ask the view, once for equal groups."""
        answer = self._answers[groups] = self._shared(self.publication.view(groups, None))
        return answer

    def _shared(self, kwargs: Kwargs | None) -> Answer | None:
        """One Answer for each payload: what is the same object is encoded once."""
        if kwargs is None:
            return None
        answer = self._payloads.get(id(kwargs))
        if answer is None:
            answer = self._payloads[id(kwargs)] = Answer(kwargs)
        return answer


class Broker:
    """Finds the subscriptions of each publication."""

    def __init__(self) -> None:
        self.subscriptions = SubscriptionMap()

    def dispatch(self, publication: Publication) -> list[Dispatch]:
        """One dispatch for each matching subscription, so whoever has several gets an EVENT of each."""
        if publication.kwargs is None:
            return []
        return [Dispatch(publication, it) for it in self.subscriptions.match(publication.topic)]
