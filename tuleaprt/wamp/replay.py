"""``wamp.subscription.get_events``: what was published while somebody was away (WAMP: Event History).

::

    CALL    [<subscription>]  {"limit", "reverse", "topic",
                               "from_time", "after_time", "before_time", "until_time",
                               "from_publication", "after_publication",
                               "before_publication", "until_publication"}
    RESULT  [{"timestamp", "subscription", "publication", "details", "args", "kwargs"}, …]
            {"position": <id of the newest slot>, "position_lost": false, "more": false}

All conditions together must hold. Whoever asks gets what he would get if it were published now; of what is
told in its last state only (Replay.LAST), the last of each topic.
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
"""About as much goes into one RESULT, and at most half of what the peer takes."""

EVENT_BYTES = 300
"""What an event takes in a RESULT beside its payload."""

SLOTS_PER_CALL, BYTES_PER_CALL = 1000, 65_536
"""Looking through so many slots, or writing so many bytes, is as much work as another call."""

_COMPARISONS = {"from": operator.ge, "after": operator.gt, "before": operator.lt, "until": operator.le}

Condition = Callable[[Slot], bool]
Chosen = tuple[Slot, Publication, Kwargs]


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
    visible = _visible(wanted, caller, reverse=bool(reverse))
    page, more = _page(visible, limit, min(PAGE_BYTES, caller.outlet.longest // 2))
    return Result(
        args=[_event(subscription, *it) for it in page],
        kwargs={"position": position, "position_lost": lost, "more": more},
        cost=len(slots) * (1 + len(conditions)) // SLOTS_PER_CALL
        + sum(it[1].size for it in page) // BYTES_PER_CALL,
    )


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
        # Of what came after the last that went all is there; it itself, and what came before it, is not.
        if word == "after" or any(slot.place == place for slot in slots):
            yield partial(_has_place, compare, place)
        else:
            yield _nothing_is_known


def _has_place(compare: Callable[[int, int], bool], place: int, slot: Slot) -> bool:
    return compare(slot.place, place)


def _nothing_is_known(slot: Slot) -> bool:
    """The condition of a position that is lost."""
    return False


def _visible(slots: Sequence[Slot], caller: Member, *, reverse: bool) -> Iterator[Chosen]:
    """The slots that the caller may see now, and what he sees of each; see ``Replay``."""
    last = _last_of_each_topic(slots, caller)
    for slot in reversed(slots) if reverse else slots:
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
    """The last of those of which only the last is told, by their places, as the caller sees them."""
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
    """As many as fit, at least one, and whether one had to stay out for its size."""
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
