"""From Tuleap's inputs through the journal into the realm, and on to whoever sends."""

from collections.abc import Callable
from dataclasses import dataclass

from tuleaprt.faults import Faults
from tuleaprt.journal.journal import Journal, Record
from tuleaprt.metrics import Metrics
from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.publications import publications_for
from tuleaprt.wamp.broker import Dispatch
from tuleaprt.wamp.identifiers import publication_id
from tuleaprt.wamp.realm import Realm


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The record of a ``POST /message``."""

    message: Message


class Relay:
    """Follows the journal: what it reads there is what happens, on this node and on any other."""

    def __init__(
        self,
        realm: Realm,
        journal: Journal[Post],
        deliver: Callable[[Dispatch], None],
        *,
        seconds: Callable[[], float],
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        self._realm = realm
        self._journal = journal
        self._deliver = deliver
        self._seconds = seconds
        self._metrics = metrics
        self._faults = faults
        journal.follow(self.apply)

    async def accept(self, message: Message) -> int:
        """Journal a message and return the id of its publication.

        Raises:
            JournalUnavailable: nothing was published.
        """
        position = await self._journal.append(Post(message=message), at=self._seconds())
        return publication_id(self._journal.epoch, position, 0)

    def apply(self, record: Record[Post]) -> None:
        """Publish what follows from a record. Total: a fault is recorded and the journal goes on."""

        def new_id(index: int) -> int:
            return publication_id(self._journal.epoch, record.position, index)

        try:
            message = record.input.message
            for publication in publications_for(message, new_id):
                self._metrics.published(message.family)
                for dispatch in self._realm.publish(publication):
                    self._deliver(dispatch)
        except Exception:
            self._faults.record("applying a record")
