"""The event history: recent publications for clients that reconnect (WAMP: Event History).

Each topic has a ring, with or without subscribers. Each publication takes a slot in its ring. The slot of a
publication that is not replayed (presence; events for single sessions) has no payload. The oldest slot is
evicted when its ring is full, when it is too old, or when all slots together are too large.

A *place* is the number of a publication over all topics, in order of arrival. Clients know places by
publication ids. Each ring remembers the place and the id of the last slot that was evicted, so the answer to
"what came after this publication?" is either complete or PositionLost, and never has a silent gap. A topic
without publications has a place, too: its id is a keyed hash of the topic, so a page that opened an empty
board detects a restart.

Rings that have become empty are kept for ``MAX_EMPTY_TOPICS`` topics. Dropping one makes older places of
topics without a ring unknown rather than wrong. Times are in seconds since the epoch, as in the journal's
records.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from tuleaprt.errors import PositionLost
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Publication

SLOT_BYTES = 2048
"""The size of a slot without its payload, as counted against the limit."""

MAX_EMPTY_TOPICS = 10_000
"""The number of topics of which only the last place is kept."""


class Slot(msgspec.Struct, frozen=True):
    """One publication at its place; ``publication`` is None if it is not replayed."""

    place: int
    id: int
    at: float
    publication: Publication | None
    weight: int


class _Ring:
    """The slots of one topic. All slots up to the place ``floor``, whose id is ``floor_id``, have been
    evicted.
    """

    __slots__ = ("floor", "floor_id", "slots", "topic")

    def __init__(self, topic: str, floor: int) -> None:
        self.topic = topic
        self.slots: deque[Slot] = deque()
        self.floor = floor
        self.floor_id: int | None = None


def _place(slot: Slot) -> int:
    return slot.place


class HistoryState(NamedTuple):
    """Where the history is: the newest place, the place up to which dropped topics are unknown, and the
    newest place and publication of each topic that has a ring.
    """

    last_place: int
    floor: int
    rings: list[tuple[str, int, int | None]]


class History:
    """The rings of all topics. ``anchor`` computes the id of a place without a publication, from topic or
    pattern.
    """

    def __init__(
        self, *, events_per_topic: int, seconds: float, max_bytes: int, anchor: Callable[[str, int], int]
    ) -> None:
        self._events_per_topic = events_per_topic
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._anchor = anchor
        self._rings: dict[str, _Ring] = {}
        self._order: OrderedDict[int, _Ring] = OrderedDict()
        self._empty: OrderedDict[str, None] = OrderedDict()
        self._last_place = 0
        self._floor = 0
        self.weight = 0
        """The size of all slots, in bytes."""

    def __len__(self) -> int:
        """The number of slots."""
        return len(self._order)

    @property
    def topics(self) -> int:
        """The number of topics that have a ring."""
        return len(self._rings)

    def state(self) -> HistoryState:
        return HistoryState(
            self._last_place,
            self._floor,
            [
                (topic, ring.slots[-1].place, ring.slots[-1].id)
                if ring.slots
                else (topic, ring.floor, ring.floor_id)
                for topic, ring in self._rings.items()
            ],
        )

    def restore(self, state: HistoryState) -> None:
        """Go on where a snapshot was made. What was published before it has been evicted."""
        self._last_place, self._floor, rings = state
        for topic, floor, floor_id in rings:
            ring = self._rings[topic] = _Ring(topic, floor)
            ring.floor_id = floor_id
            self._empty[topic] = None

    def forget(self, state: HistoryState) -> None:
        """Go on there, but know none of its ids: publications after them may be missing."""
        self._last_place = self._floor = state.last_place

    def append(self, publication: Publication, at: float) -> None:
        """Put the publication into the next slot of its topic."""
        is_told_again = publication.is_told_again
        weight = SLOT_BYTES + (publication.size if is_told_again else 0)
        self._last_place += 1
        slot = Slot(self._last_place, publication.id, at, publication if is_told_again else None, weight)
        ring = self._rings.get(publication.topic)
        if ring is None:
            ring = self._rings[publication.topic] = _Ring(publication.topic, self._floor)
        ring.slots.append(slot)
        self._empty.pop(publication.topic, None)
        self._order[slot.place] = ring
        self.weight += weight
        if len(ring.slots) > self._events_per_topic:
            self._evict(ring)
        self._forget_what_is_too_much(at)

    def slots(self, subscription: Subscription, now: float) -> list[Slot]:
        """The slots of the topics that match a subscription, in order of arrival."""
        self._forget_what_is_too_much(now)
        rings = self._rings_of(subscription)
        if len(rings) == 1:
            return list(rings[0].slots)
        return sorted((slot for ring in rings for slot in ring.slots), key=lambda slot: slot.place)

    def position(self, subscription: Subscription) -> int:
        """The id of the newest place. Everything that is published later comes after it."""
        rings = self._rings_of(subscription)
        newest, id = self._floor_of(subscription, rings), None
        for ring in rings:
            last = (ring.slots[-1].place, ring.slots[-1].id) if ring.slots else (ring.floor, ring.floor_id)
            if last[0] >= newest:
                newest, id = last
        return self._anchor(subscription.topic, newest) if id is None else id

    def place(self, subscription: Subscription, id: int) -> int:
        """The place of this publication. The last publication that was evicted is still known.

        Raises:
            PositionLost: the id is unknown, or a later publication has been evicted.
        """
        rings = self._rings_of(subscription)
        floor = self._floor_of(subscription, rings)
        known = {ring.floor_id: ring.floor for ring in rings}
        known |= {slot.id: slot.place for ring in rings for slot in ring.slots}
        known[self._anchor(subscription.topic, floor)] = floor
        place = known.get(id, -1)
        if place < floor:
            raise PositionLost("this publication is not, or no longer, in the history")
        return place

    def before(self, subscription: Subscription, id: int) -> int:
        """The id of the place before this publication. Everything from the publication on comes after it.

        Raises:
            PositionLost: the publication has been evicted.
        """
        slots = sorted((slot for ring in self._rings_of(subscription) for slot in ring.slots), key=_place)
        at = next((at for at, slot in enumerate(slots) if slot.id == id), None)
        if at is None:
            raise PositionLost("this publication is not, or no longer, in the history")
        if at:
            return slots[at - 1].id
        return self._anchor(subscription.topic, self._floor_of(subscription, self._rings_of(subscription)))

    def _rings_of(self, subscription: Subscription) -> list[_Ring]:
        if subscription.match is Match.EXACT:
            ring = self._rings.get(subscription.topic)
            return [] if ring is None else [ring]
        return [ring for topic, ring in self._rings.items() if subscription.covers(topic)]

    def _floor_of(self, subscription: Subscription, rings: Iterable[_Ring]) -> int:
        """The place up to which a slot that matches the subscription may have been evicted."""
        floors = [ring.floor for ring in rings]
        # A topic without a ring may have had one. The dropped topics that match a pattern are unknown.
        if subscription.match is not Match.EXACT or not floors:
            floors.append(self._floor)
        return max(floors)

    def _forget_what_is_too_much(self, now: float) -> None:
        while self._order:
            ring = next(iter(self._order.values()))
            if self.weight <= self._max_bytes and ring.slots[0].at > now - self._seconds:
                break
            self._evict(ring)
        while len(self._empty) > MAX_EMPTY_TOPICS:
            topic, _ = self._empty.popitem(last=False)
            self._floor = max(self._floor, self._rings.pop(topic).floor)

    def _evict(self, ring: _Ring) -> None:
        slot = ring.slots.popleft()
        del self._order[slot.place]
        self.weight -= slot.weight
        ring.floor, ring.floor_id = slot.place, slot.id
        if not ring.slots:
            self._empty[ring.topic] = None
