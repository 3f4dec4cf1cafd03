"""What is published, and who receives what of it.

A publication carries no list of receivers but a *view*: asked with somebody's groups (and his user id, if
the publication names him as a submitter), it answers with the kwargs that he gets, or None. So it is asked
once for each distinct pair, however many sessions share it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.subscriptions import Subscriber, Subscription, SubscriptionMap

Kwargs = Mapping[str, Any]
View = Callable[[frozenset[str], int | None], Kwargs | None]


class Window(NamedTuple):
    """One loaded page of one user."""

    user_id: int
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Publication:
    """One event before it has receivers.

    ``kwargs`` is the whole of it, which operators get; None: nobody gets anything, but it has its id.
    ``submitters`` are the user ids that ``view`` wants to know. ``sender``, where given, is left out.
    """

    id: int
    topic: str
    kwargs: Kwargs | None
    view: View
    submitters: frozenset[int]
    sender: Window | None


class Dispatch:
    """One publication on its way to the receivers of one subscription.

    ``receivers`` are those of the moment of publication; ``kwargs_for`` is asked at the moment of sending.
    """

    __slots__ = ("_answers", "publication", "receivers", "subscription")

    def __init__(self, publication: Publication, subscription: Subscription) -> None:
        self.publication = publication
        self.subscription = subscription
        self.receivers = tuple(subscription.subscribers)
        self._answers: dict[tuple[frozenset[str], int | None], Kwargs | None] = {}

    def kwargs_for(self, receiver: Subscriber, now: float) -> Kwargs | None:
        """What this receiver gets; None: nothing. Equal answers are the same object."""
        identity = receiver.identity
        if identity.expires_at <= now or receiver not in self.subscription.subscribers:
            return None
        publication = self.publication
        if identity.role is Role.OPERATOR:
            return publication.kwargs
        sender = publication.sender
        if sender is not None and receiver.window == sender.uuid and identity.user_id == sender.user_id:
            return None
        key = (identity.groups, identity.user_id if identity.user_id in publication.submitters else None)
        try:
            return self._answers[key]
        except KeyError:
            answer = self._answers[key] = publication.view(*key)
            return answer


class Broker:
    """Finds the subscriptions of each publication."""

    def __init__(self) -> None:
        self.subscriptions = SubscriptionMap()

    def dispatch(self, publication: Publication) -> list[Dispatch]:
        if publication.kwargs is None:
            return []
        return [Dispatch(publication, it) for it in self.subscriptions.match(publication.topic)]
