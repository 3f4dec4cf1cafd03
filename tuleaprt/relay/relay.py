"""Puts inputs into the journal and applies the journal's records to the realm."""

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from tuleaprt.errors import (
    InvalidArgument,
    InvalidMessage,
    JournalUnavailable,
    NotAuthorized,
    RequestError,
    Unavailable,
)
from tuleaprt.journal.journal import Journal, Record
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import Metrics
from tuleaprt.relay.windows import RETRY_SECONDS, Call, Clock, Windows
from tuleaprt.tuleap import inputs
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import Viewing
from tuleaprt.tuleap.inputs import message_of
from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.publications import publications_for
from tuleaprt.tuleap.ticket import Revocations
from tuleaprt.tuleap.topics import family_of
from tuleaprt.wamp.identifiers import publication_id
from tuleaprt.wamp.publication import Audience, Publication, Window
from tuleaprt.wamp.realm import Member, Realm


class Relay:
    """Follows the journal. Everything that happens follows from its records, on this node and on any other.

    ``node`` is the name of this process among all that follow the journal. ``run`` starts a coroutine that
    nothing waits for. ``grace`` is in seconds.
    """

    def __init__(
        self,
        realm: Realm,
        journal: Journal[inputs.Input],
        *,
        node: str,
        campaigns: Campaigns,
        revocations: Revocations,
        grace: float,
        clock: Clock,
        run: Callable[[Coroutine[Any, Any, None]], object],
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        self._realm = realm
        self._journal = journal
        self._node = node
        self._campaigns = campaigns
        self._revocations = revocations
        self._clock = clock
        self._run = run
        self._metrics = metrics
        self._faults = faults
        self._echo: Callable[[str, int], None] = lambda token, id: None
        self._on_stop: Callable[[inputs.Positions], None] = lambda positions: None
        self._unsaved: deque[inputs.Input] = deque()
        """What became of windows and groups while the journal could not be written."""
        self._retry: Call | None = None
        self._is_stopped = False
        self._windows = Windows(
            campaigns.presence,
            clock,
            node=node,
            grace=grace,
            session_of=lambda window: _id(realm.sessions.windows.get(window)),
            note=lambda input: self._run(self._note(input)),
            shares_groups=journal.outlives_the_process,
            has_others=journal.is_shared,
            faults=faults,
        )
        realm.observe(self._windows)
        journal.follow(self.apply)

    async def accept(self, message: Message) -> int:
        """Append a message to the journal and return the id of its publication.

        Raises:
            JournalUnavailable: nothing was published.
        """
        return await self._append(inputs.Post(message=message))

    async def seed(self, seed: inputs.CampaignSeeded) -> int:
        """The same for a seed."""
        return await self._append(seed)

    async def revoke(self, user_id: int) -> None:
        """End the sessions of a user and refuse the user's tokens, on every node.

        Raises:
            JournalUnavailable: nothing was revoked.
        """
        await self._append(inputs.UserRevoked(user_id=user_id))

    async def probe(self, token: str) -> None:
        """Append a probe to the journal.

        Raises:
            JournalUnavailable
        """
        await self._append(inputs.Probed(token=token, node=self._node))

    async def stopped(self, positions: inputs.Positions) -> None:
        """Append the last record of this process.

        Raises:
            JournalUnavailable
        """
        await self._append(inputs.Stopped(positions=positions, node=self._node))

    def follow_probes(self, echo: Callable[[str, int], None]) -> None:
        """Call ``echo`` with each probe in the journal, of any node, and with the id of a publication."""
        self._echo = echo

    def follow_stops(self, on_stop: Callable[[inputs.Positions], None]) -> None:
        """Call ``on_stop`` with the positions of each other node that stops in order."""
        self._on_stop = on_stop

    def publish(
        self,
        topic: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        audience: Audience,
        answer: Callable[[int | RequestError], None],
    ) -> None:
        """Append an operator's publication (a Publisher of the router)."""
        try:
            message = message_of(topic, args, kwargs)
        except InvalidMessage as error:
            answer(InvalidArgument(f"{error.path}: {error.message}"))
            return
        if message is None:
            answer(NotAuthorized("operators publish on the topics of kanbans and campaigns only"))
        else:
            self._run(self._publish(inputs.OperatorPublish(message=message, audience=audience), answer))

    def apply(self, record: Record[inputs.Input]) -> None:
        """Apply a record. It never raises: an exception is recorded as a fault, and the journal continues."""

        try:
            input = record.input
            replaced = self._replaced(input)
            for publication in self._publications(record):
                self._metrics.published(family_of(publication.topic))
                self._realm.publish(publication, record.at)
            if replaced is not None:
                self._realm.replaced(*replaced, self._clock.seconds())
            self._tell_sessions(input, record)
        except Exception:
            self._faults.record("applying a record")

    def _replaced(self, input: inputs.Input) -> tuple[Window, int] | None:
        """The window that has opened a new session, and its session until now."""
        if not isinstance(input, inputs.WindowSeen) or not input.is_new:
            return None
        former = self._campaigns.presence.session(input.window)
        return None if former is None else (input.window, former)

    def _tell_sessions(self, input: inputs.Input, record: Record[inputs.Input]) -> None:
        now = self._clock.seconds()
        match input:
            case inputs.UserRevoked(user_id=user_id):
                self._revocations.revoke(user_id, record.at)
                self._realm.revoke(user_id, now)
            case inputs.GroupsShown(user_id=user_id, exp=exp, groups=groups):
                self._realm.learn(user_id, exp, groups)
            case inputs.SessionsKilled() if input.node != self._node:
                self._realm.kill(input.authid, input.authrole, input.reason, input.message, now)
            case inputs.Stopped(positions=positions) if input.node != self._node:
                self._on_stop(positions)
            case inputs.Probed(token=token):
                for lost in self._campaigns.presence.heard(input.node, record.at):
                    self._windows.concerned(lost)
                self._echo(token, publication_id(self._journal.epoch, record.position, 0))
            case _ if (window := _window(input)) is not None:
                self._windows.concerned(window)

    def rebuild(self, records: Iterable[Record[inputs.Input]]) -> None:
        """Apply records that were appended before the start. There are no sessions yet, and nothing is
        counted.
        """
        for record in records:
            for publication in self._publications(record):
                self._realm.publish(publication, record.at)
            if isinstance(input := record.input, inputs.UserRevoked):
                self._revocations.revoke(input.user_id, record.at)
                self._realm.credentials.forget(input.user_id)
            elif isinstance(input, inputs.GroupsShown):
                self._realm.credentials.learn(input.user_id, input.exp, input.groups)
            elif isinstance(input, inputs.Probed):
                self._campaigns.presence.heard(input.node, record.at)

    def resume(self) -> None:
        """Begin the graces after a start. If the journal is this node's alone, no window has a session: end
        the sessions of the former process.
        """
        for place in self._campaigns.presence.state():
            if place.session is None:
                self._windows.concerned(place.window)
            elif not self._journal.is_shared:
                self._run(self._note(inputs.WindowLost(window=place.window, session=place.session)))

    def stop(self) -> None:
        """Append nothing more about windows."""
        self._is_stopped = True
        self._windows.stop()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _publications(self, record: Record[inputs.Input]) -> tuple[Publication, ...]:
        def new_id(index: int) -> int:
            return publication_id(self._journal.epoch, record.position, index)

        return publications_for(record.input, record.at, self._campaigns, new_id)

    async def _append(self, input: inputs.Input) -> int:
        position = await self._journal.append(input, at=self._clock.seconds())
        return publication_id(self._journal.epoch, position, 0)

    async def _note(self, input: inputs.Input) -> None:
        if self._unsaved:
            self._unsaved.append(input)
            return
        try:
            await self._append(input)
        except JournalUnavailable:
            self._unsaved.append(input)
            self._retry_later()
        except Exception:
            self._faults.record("journalling what became of a window")

    def _retry_later(self) -> None:
        if self._retry is None and not self._is_stopped:
            self._retry = self._clock.callLater(RETRY_SECONDS, lambda: self._run(self._save()))

    async def _save(self) -> None:
        """Append what the journal has not taken, in order, as far as it still holds."""
        self._retry = None
        try:
            while self._unsaved:
                if self._holds(self._unsaved[0]):
                    await self._append(self._unsaved[0])
                self._unsaved.popleft()
        except JournalUnavailable:
            self._retry_later()
        except Exception:
            self._unsaved.popleft()
            self._faults.record("journalling what became of a window")
            self._retry_later()

    def _holds(self, input: inputs.Input) -> bool:
        """Whether the input is still true: a session that has ended meanwhile is not the window's."""
        if not isinstance(input, inputs.WindowSeen):
            return True
        return _id(self._realm.sessions.windows.get(input.window)) == input.session

    async def _publish(
        self, input: inputs.OperatorPublish, answer: Callable[[int | RequestError], None]
    ) -> None:
        try:
            result: int | RequestError = await self._append(input)
        except JournalUnavailable as error:
            outcome = (
                "it is not known whether it was published" if error.is_unknown else "nothing was published"
            )
            result = Unavailable(f"the journal does not accept it now; {outcome}")
        except Exception:
            self._faults.record("journalling a publication")
            result = Unavailable("an internal error; it has been logged")
        try:
            answer(result)
        except Exception:
            self._faults.record("answering a publication")


def _window(input: inputs.Input) -> Window | None:
    """The window whose place the input may have changed."""
    if isinstance(input, inputs.Post):
        command = input.message.command
        return command.window if isinstance(command, Viewing) else None
    return input.window if isinstance(input, inputs.WindowLost) else None


def _id(session: Member | None) -> int | None:
    return None if session is None else session.id
