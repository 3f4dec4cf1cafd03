"""What is published, and who receives what of it.

A publication carries no list of receivers but a *view*: asked with somebody's groups (and his user id, if
the publication names him as a submitter), it answers with the kwargs that he gets, or None. So it is asked
once for each distinct pair, however many sessions share it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.subscriptions import Subscriber, Subscription, SubscriptionMap

OPERATOR = Role.OPERATOR

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
    """

    __slots__ = (
        "_answers",
        "_departures",
        "_operators",
        "_payloads",
        "_singled_out",
        "publication",
        "receivers",
        "subscription",
    )

    def __init__(self, publication: Publication, subscription: Subscription) -> None:
        self.publication = publication
        self.subscription = subscription
        self.receivers = tuple(subscription.subscribers)
        self._departures = subscription.departures
        sender = publication.sender
        self._singled_out = publication.submitters | ({sender.user_id} if sender else set())
        self._answers: dict[frozenset[str] | tuple[frozenset[str], int], Answer | None] = {}
        # By the identity of the payload, which its Answer keeps alive.
        self._payloads: dict[int, Answer] = {}
        self._operators = self._shared(publication.kwargs)

    def answers(
        self, receivers: Iterable[Subscriber], now: float
    ) -> Iterator[tuple[Subscriber, Answer | None]]:
        """What each of these receivers gets; None: nothing.

        The groups of nearly all receivers decide alone, so those are the quick way. Nobody may leave while
        this is being read.
        """
        subscription, known, singled_out = self.subscription, self._answers, self._singled_out
        some_have_left = subscription.departures != self._departures
        for receiver in receivers:
            identity = receiver.identity
            if identity.expires_at <= now or (some_have_left and receiver not in subscription.subscribers):
                yield receiver, None
            elif identity.user_id in singled_out or identity.role is OPERATOR:
                yield receiver, self._answer_one(identity, receiver.window)
            else:
                groups = identity.groups
                yield receiver, known[groups] if groups in known else self._ask(groups, None)

    def _answer_one(self, identity: Identity, window: str | None) -> Answer | None:
        """The answer to an operator, to a submitter, or to a window of the sender's user."""
        if identity.role is OPERATOR:
            return self._operators
        if self.publication.sender == (identity.user_id, window):
            return None
        is_submitter = identity.user_id in self.publication.submitters
        return self._ask(identity.groups, identity.user_id if is_submitter else None)

    def _ask(self, groups: frozenset[str], submitter: int | None) -> Answer | None:
        """Ask the view, once for each distinct question."""
        key = groups if submitter is None else (groups, submitter)
        if key not in self._answers:
            self._answers[key] = self._shared(self.publication.view(groups, submitter))
        return self._answers[key]

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
        if publication.kwargs is None:
            return []
        return [Dispatch(publication, it) for it in self.subscriptions.match(publication.topic)]
