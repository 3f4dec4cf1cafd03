"""From Tuleap's inputs, and operators', through the journal into the realm."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuleaprt.errors import (
    InvalidArgument,
    InvalidMessage,
    JournalUnavailable,
    NotAuthorized,
    RequestError,
    Unavailable,
)
from tuleaprt.faults import Faults
from tuleaprt.journal.journal import Journal, Record
from tuleaprt.metrics import Metrics
from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.operators import message_of
from tuleaprt.tuleap.publications import publications_for
from tuleaprt.wamp.identifiers import publication_id
from tuleaprt.wamp.publication import Audience
from tuleaprt.wamp.realm import Realm


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The record of a ``POST /message``."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPublish:
    """The record of an operator's PUBLISH."""

    message: Message
    audience: Audience


Input = Post | OperatorPublish


class Relay:
    """Follows the journal: what it reads there is what happens, on this node and on any other.

    ``run`` runs a coroutine to its end, in its own time.
    """

    def __init__(
        self,
        realm: Realm,
        journal: Journal[Input],
        *,
        run: Callable[[Coroutine[Any, Any, None]], object],
        seconds: Callable[[], float],
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        self._realm = realm
        self._journal = journal
        self._run = run
        self._seconds = seconds
        self._metrics = metrics
        self._faults = faults
        journal.follow(self.apply)

    async def accept(self, message: Message) -> int:
        """Journal a message and return the id of its publication.

        Raises:
            JournalUnavailable: nothing was published.
        """
        return await self._append(Post(message=message))

    def publish(
        self,
        topic: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        audience: Audience,
        answer: Callable[[int | RequestError], None],
    ) -> None:
        """The same for an operator (a Publisher of the router)."""
        try:
            message = message_of(topic, args, kwargs)
        except InvalidMessage as error:
            answer(InvalidArgument(f"{error.path}: {error.message}"))
            return
        if message is None:
            answer(NotAuthorized("operators publish on the topics of kanbans and campaigns only"))
        else:
            self._run(self._publish(OperatorPublish(message=message, audience=audience), answer))

    def apply(self, record: Record[Input]) -> None:
        """Publish what follows from a record. Total: a fault is recorded and the journal goes on."""

        def new_id(index: int) -> int:
            return publication_id(self._journal.epoch, record.position, index)

        try:
            input = record.input
            audience = input.audience if isinstance(input, OperatorPublish) else None
            for publication in publications_for(input.message, new_id, audience):
                self._metrics.published(input.message.family)
                self._realm.publish(publication, record.at)
        except Exception:
            self._faults.record("applying a record")

    async def _append(self, input: Input) -> int:
        position = await self._journal.append(input, at=self._seconds())
        return publication_id(self._journal.epoch, position, 0)

    async def _publish(self, input: OperatorPublish, answer: Callable[[int | RequestError], None]) -> None:
        try:
            result: int | RequestError = await self._append(input)
        except JournalUnavailable:
            result = Unavailable("the journal does not take it now; nothing was published")
        except Exception:
            self._faults.record("journalling a publication")
            result = Unavailable("something failed that should not be able to")
        try:
            answer(result)
        except Exception:
            self._faults.record("answering a publication")
