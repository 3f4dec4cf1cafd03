"""``wamp.subscription.get_events``: replays publications to a client that missed them (WAMP: Event History).

::

    CALL    [<subscription>]  {"limit", "reverse", "topic",
                               "from_time", "after_time", "before_time", "until_time",
                               "from_publication", "after_publication",
                               "before_publication", "until_publication"}
    RESULT  [{"timestamp", "subscription", "publication", "details", "args", "kwargs"}, …]
            {"position": <id of the newest slot>, "position_lost": false, "more": false}

All conditions must hold. The caller receives what it would receive if the publication were made now. Of
publications with Replay.LAST it receives the last one of each topic that it may see, if that fulfils the
conditions: an earlier one may show what newer rights have closed.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tuleaprt.errors import PositionLost
from tuleaprt.wamp.broker import Subscription, payload_for
from tuleaprt.wamp.calls import Arguments, Result, a_count, a_flag, a_time, a_uri, an_id
from tuleaprt.wamp.history import Slot
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.meta import timestamp
from tuleaprt.wamp.publication import Kwargs, Publication, Replay
from tuleaprt.wamp.realm import Member, Realm

GET_EVENTS = "wamp.subscription.get_events"

PAGE_BYTES = 262_144
"""The size of one RESULT. It is at most half of the longest message that the peer accepts."""

EVENT_BYTES = 300
"""The size of an event in RESULT without its payload."""

SLOTS_PER_CALL, BYTES_PER_CALL = 1000, 65_536
"""Searching this many slots, or sending this many bytes, counts as one more call for the rate limit."""

_COMPARISONS = {"from": operator.ge, "after": operator.gt, "before": operator.lt, "until": operator.le}

Condition = Callable[[Slot], bool]
Chosen = tuple[Slot, Publication, Kwargs]
"""A publication at its place, and the payload that the caller receives of it."""


def get_events(realm: Realm, caller: Member, arguments: Arguments, now: float) -> Result:
    """
    Raises:
        InvalidArgument, InvalidUri, NoSuchSubscription.
    """
    subscription = realm.subscription_of(caller, arguments.next("subscription", an_id))
    limit = arguments.keyword("limit", a_count)
    reverse = arguments.keyword("reverse", a_flag)
    topic = arguments.keyword("topic", a_uri)
    slots = realm.history.slots(subscription, now)
    position = realm.history.position(subscription)
    conditions = [*_times(arguments), *_publications(realm, subscription, slots, arguments)]
    arguments.done()
    if topic is not None:
        conditions.append(lambda slot: slot.publication is not None and slot.publication.topic == topic)
    lost = _nothing_is_known in conditions
    wanted = [slot for slot in slots if all(it(slot) for it in conditions)]
    visible = _visible(wanted, slots, caller, reverse=bool(reverse))
    page, more = _page(visible, limit, min(PAGE_BYTES, caller.outlet.longest // 2))
    return Result(
        args=[_event(subscription, *it) for it in page],
        kwargs={"position": position, "position_lost": lost, "more": more},
        cost=len(slots) * (1 + len(conditions)) // SLOTS_PER_CALL
        + sum(it[1].size for it in page) // BYTES_PER_CALL,
    )


def missed(realm: Realm, caller: Member, subscription: Subscription, after: int, now: float) -> list[Chosen]:
    """What the caller may see of what came after the publication with this id, in order.

    Raises:
        PositionLost: the history does not reach back to it.
    """
    slots = realm.history.slots(subscription, now)
    place = realm.history.place(subscription, after)
    wanted = [slot for slot in slots if slot.place > place]
    return list(_visible(wanted, slots, caller, reverse=False))


def _times(arguments: Arguments) -> Iterator[Condition]:
    for word, compare in _COMPARISONS.items():
        if (time := arguments.keyword(f"{word}_time", a_time)) is not None:
            yield partial(_has_time, compare, time)


def _has_time(compare: Callable[[datetime, datetime], bool], time: datetime, slot: Slot) -> bool:
    return compare(datetime.fromtimestamp(slot.at, UTC), time)


def _publications(
    realm: Realm, subscription: Subscription, slots: list[Slot], arguments: Arguments
) -> Iterator[Condition]:
    for word, compare in _COMPARISONS.items():
        if (id := arguments.keyword(f"{word}_publication", an_id)) is None:
            continue
        try:
            place = realm.history.place(subscription, id)
        except PositionLost:
            yield _nothing_is_known
            continue
        # Everything after the last evicted slot is known; that slot itself, and what came before it, is not.
        if word == "after" or any(slot.place == place for slot in slots):
            yield partial(_has_place, compare, place)
        else:
            yield _nothing_is_known


def _has_place(compare: Callable[[int, int], bool], place: int, slot: Slot) -> bool:
    return compare(slot.place, place)


def _nothing_is_known(slot: Slot) -> bool:
    """The condition for a lost position: no slot fulfils it."""
    return False


def _visible(
    wanted: Sequence[Slot], slots: Sequence[Slot], caller: Member, *, reverse: bool
) -> Iterator[Chosen]:
    """The wanted ones of all slots that the caller may see now, with the payload that it receives."""
    last = _last_of_each_topic(slots, caller)
    for slot in reversed(wanted) if reverse else wanted:
        publication = slot.publication
        if publication is None:
            continue
        if publication.replay is Replay.LAST:
            kwargs = last.get(slot.place)
        else:
            kwargs = payload_for(publication, caller)
        if kwargs is not None:
            yield slot, publication, kwargs


def _last_of_each_topic(slots: Sequence[Slot], caller: Member) -> dict[int, Kwargs]:
    """For each topic the last publication with Replay.LAST that the caller may see, by place."""
    found: dict[int, Kwargs] = {}
    topics: set[str] = set()
    for slot in reversed(slots):
        publication = slot.publication
        if publication is None or publication.replay is not Replay.LAST or publication.topic in topics:
            continue
        if (kwargs := payload_for(publication, caller)) is not None:
            topics.add(publication.topic)
            found[slot.place] = kwargs
    return found


def _page(visible: Iterable[Chosen], limit: int | None, room: int) -> tuple[list[Chosen], bool]:
    """As many events as fit into a page, at least one; and whether another one did not fit."""
    page: list[Chosen] = []
    size = 0
    if limit != 0:
        for it in visible:
            size += EVENT_BYTES + it[1].size
            if page and size > room:
                return page, True
            page.append(it)
            if len(page) == limit:
                break
    return page, False


def _event(
    subscription: Subscription, slot: Slot, publication: Publication, kwargs: Kwargs
) -> dict[str, Any]:
    is_exact = subscription.match is Match.EXACT
    return {
        "timestamp": timestamp(slot.at),
        "subscription": subscription.id,
        "publication": slot.id,
        "details": {} if is_exact else {"topic": publication.topic},
        "args": publication.args,
        "kwargs": kwargs,
    }
