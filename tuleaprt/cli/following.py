"""Follows a topic over several sessions without missing an event (docs/wamp.rst)."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from autobahn.wamp.types import EventDetails, SubscribeOptions

from tuleaprt.cli.answers import read
from tuleaprt.cli.session import Session
from tuleaprt.errors import InvalidAnswer
from tuleaprt.tuleap.topics import room_id

REMEMBERED = 10_000
"""How many recent publications are remembered, to show none of them twice."""

HISTORY = "wamp.subscription.get_events"


class _Details(msgspec.Struct):
    topic: str | None = None


class _Row(msgspec.Struct):
    """One event in an answer of the event history."""

    publication: int
    details: _Details
    args: list[Any]
    kwargs: dict[str, Any]


class _Page(msgspec.Struct):
    """An answer of the event history without its events."""

    position: int
    position_lost: bool = False
    more: bool = False


History = Callable[..., Awaitable[tuple[list[_Row], _Page]]]


class Event(NamedTuple):
    """One event, live or from the event history."""

    publication: int
    topic: str
    args: list[Any]
    kwargs: dict[str, Any]


class Known:
    """The publications that were shown last. Several subscriptions may deliver the same publication."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def is_new(self, publication: int) -> bool:
        """Whether the publication was not shown before. It counts as shown now."""
        if publication in self._ids:
            return False
        self._ids[publication] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True


class Following:
    """One topic or prefix, and the position in its event history.

    ``show`` is called once for each event. ``lost`` is called when events are missing for good.
    """

    def __init__(
        self,
        topic: str,
        *,
        is_prefix: bool,
        known: Known,
        show: Callable[[Event], None],
        lost: Callable[[str], None],
    ) -> None:
        self.topic = topic
        self._match = "prefix" if is_prefix else "exact"
        self._known = known
        self._show = show
        self._lost = lost
        self._position: int | None = None
        self._early: list[Event] = []
        self._is_live = False

    async def subscribe(self, session: Session) -> None:
        """Subscribe, and first show the events since the last session.

        Raises:
            ApplicationError: the server refuses, or the session has ended.
            InvalidAnswer: an answer cannot be read.
            Unreachable: the server does not answer.
        """
        self._early, self._is_live = [], False
        options = SubscribeOptions(match=self._match, details=True)
        subscription = await session.subscribe(self._received, self.topic, options=options)

        async def history(**conditions: int) -> tuple[list[_Row], _Page]:
            answer = await session.ask(HISTORY, subscription.id, **conditions)
            rows = read(list(answer.results or ()), list[_Row], HISTORY)
            return rows, read(answer.kwresults or {}, _Page, HISTORY)

        if self._position is not None:
            await self._catch_up(history)
        if self._position is None:
            self._position = (await history(limit=0))[1].position
        for event in self._early:
            self._take(event)
        self._early, self._is_live = [], True

    async def _catch_up(self, history: History) -> None:
        asked: set[int | None] = set()
        while self._position not in asked:
            asked.add(self._position)
            rows, page = await history(after_publication=self._position)
            if page.position_lost:
                self._position = None
                self._lost(self.topic)
                return
            for row in rows:
                self._take(Event(row.publication, row.details.topic or self.topic, row.args, row.kwargs))
            if not page.more:
                self._position = page.position
                return
        raise InvalidAnswer(f"{HISTORY} says that there are more events, and sends no new ones")

    def _received(self, /, *args: Any, details: EventDetails, **kwargs: Any) -> None:
        event = Event(details.publication, details.topic or self.topic, list(args), kwargs)
        if self._is_live:
            self._take(event)
        else:
            self._early.append(event)

    def _take(self, event: Event) -> None:
        if room_id(event.topic) is not None:
            # Meta events are not in the event history.
            self._position = event.publication
        if self._known.is_new(event.publication):
            self._show(event)
