"""What was published lately."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import history, publication, untold
from tuleaprt.errors import PositionLost
from tuleaprt.wamp import history as module
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.history import SLOT_BYTES, History
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Audience, Publication

NOW = 1000.0
A, B, C = "a.a", "a.b", "c"


def listening(topic: str, match: Match = Match.EXACT) -> Subscription:
    return Subscription(1, topic, match, NOW)


TO_A = listening(A)
TO_B = listening(B)
TO_ALL = listening("", Match.PREFIX)
ALL_OF_A = listening("a.", Match.WILDCARD)
EVERYWHERE = [TO_A, TO_ALL, ALL_OF_A]
"""Subscriptions that an event of A concerns."""

of_any_kind = pytest.mark.parametrize("subscription", EVERYWHERE, ids=lambda it: it.match)


def publish(history: History, *ids: int, topic: str = A, at: float = NOW, size: int = 100) -> None:
    for id in ids:
        history.append(publication(id=id, topic=topic, size=size), at)


def after(history: History, subscription: Subscription, id: int, now: float = NOW) -> list[int] | None:
    """The ids of what came after this place; None: it is lost."""
    slots = history.slots(subscription, now)
    try:
        place = history.place(subscription, id)
    except PositionLost:
        return None
    return [slot.id for slot in slots if slot.place > place]


def kept(history: History, subscription: Subscription = TO_ALL, now: float = NOW) -> list[int]:
    return [slot.id for slot in history.slots(subscription, now)]


# What is kept.


def test_each_subscription_finds_what_it_covers_in_order_of_arrival() -> None:
    memory = history()
    for id, topic in enumerate([A, B, C, A, B], 1):
        publish(memory, id, topic=topic)
    assert kept(memory, TO_A) == [1, 4]
    assert kept(memory, ALL_OF_A) == [1, 2, 4, 5]
    assert kept(memory, listening("a.", Match.PREFIX)) == [1, 2, 4, 5]
    assert kept(memory, TO_ALL) == [1, 2, 3, 4, 5]
    assert kept(memory, listening("nowhere")) == []


def test_a_topic_has_so_many_slots_and_takes_none_from_another() -> None:
    memory = history(events_per_topic=2)
    publish(memory, 1, topic=B)
    publish(memory, 2, 3, 4)
    assert kept(memory) == [1, 3, 4]


def test_what_is_old_goes_when_it_is_asked_for() -> None:
    memory = history(seconds=10)
    publish(memory, 1, at=NOW)
    publish(memory, 2, at=NOW + 5)
    assert kept(memory, now=NOW + 9.9) == [1, 2]
    assert kept(memory, now=NOW + 10) == [2]


def test_what_is_old_goes_when_something_is_published_anywhere() -> None:
    memory = history(seconds=10)
    publish(memory, 1, topic=B, at=NOW)
    publish(memory, 2, at=NOW + 10)
    assert len(memory) == 1


def test_the_oldest_of_all_topics_go_when_all_together_weigh_too_much() -> None:
    memory = history(max_bytes=3 * (SLOT_BYTES + 100))
    publish(memory, 1, topic=B)
    publish(memory, 2, 3)
    assert kept(memory) == [1, 2, 3]
    publish(memory, 4)
    assert kept(memory) == [2, 3, 4]


def test_one_that_alone_weighs_too_much_is_not_kept_but_known() -> None:
    memory = history(max_bytes=10_000)
    publish(memory, 1)
    publish(memory, 2, size=20_000)
    assert (kept(memory), memory.weight) == ([], 0)
    assert after(memory, TO_A, 1) is None
    assert after(memory, TO_A, 2) == []


def test_when_all_has_aged_out_nothing_weighs_anything() -> None:
    memory = history(seconds=10)
    for id, topic in enumerate([A, B, C, A], 1):
        publish(memory, id, topic=topic, size=5000)
    assert (len(memory), memory.weight) == (4, 4 * (SLOT_BYTES + 5000))
    assert kept(memory, now=NOW + 10) == []
    assert (len(memory), memory.weight) == (0, 0)


# Publications that are not replayed.


@pytest.mark.parametrize(
    "once",
    [
        untold(id=2, topic=A),
        publication(id=2, topic=A, size=5000, audience=Audience(eligible=frozenset({5000}))),
        publication(id=2, topic=A, size=5000, audience=Audience(exclude=frozenset({5000}))),
    ],
    ids=["nothing to tell", "for some sessions", "not for some sessions"],
)
@of_any_kind
def test_what_is_not_told_again_has_its_place_and_nothing_else(
    once: Publication, subscription: Subscription
) -> None:
    memory = history()
    publish(memory, 1)
    memory.append(once, NOW)
    assert [slot.publication is None for slot in memory.slots(subscription, NOW)] == [False, True]
    assert memory.weight == 2 * SLOT_BYTES + 100
    assert memory.position(subscription) == 2
    assert after(memory, subscription, 1) == [2]
    publish(memory, 3)
    assert after(memory, subscription, 2) == [3]


def test_an_audience_of_users_and_roles_is_told_again() -> None:
    memory = history()
    told = publication(topic=A, audience=Audience(eligible_authid=frozenset({"102"}), publisher=5000))
    memory.append(told, NOW)
    assert [slot.publication for slot in memory.slots(TO_A, NOW)] == [told]


# Places.


@of_any_kind
def test_a_place_is_known_until_what_came_after_it_has_gone(subscription: Subscription) -> None:
    memory = history(events_per_topic=2)
    publish(memory, 1, 2)
    assert [after(memory, subscription, id) for id in (1, 2)] == [[2], []]
    publish(memory, 3)
    assert [after(memory, subscription, id) for id in (1, 2, 3)] == [[2, 3], [3], []]
    publish(memory, 4)
    assert [after(memory, subscription, id) for id in (1, 2, 3, 4)] == [None, [3, 4], [4], []]


@of_any_kind
def test_an_id_that_was_never_there_is_lost(subscription: Subscription) -> None:
    memory = history()
    assert after(memory, subscription, 99) is None
    publish(memory, 1)
    assert after(memory, subscription, 99) is None


def test_an_id_of_another_topic_is_lost() -> None:
    memory = history()
    publish(memory, 1)
    publish(memory, 2, topic=B)
    assert after(memory, TO_B, 1) is None


def test_of_a_pattern_a_place_is_lost_with_what_came_after_it_in_any_topic() -> None:
    memory = history(events_per_topic=1)
    publish(memory, 1)
    publish(memory, 2, 3, topic=B)
    assert after(memory, TO_A, 1) == []
    assert after(memory, ALL_OF_A, 1) is None
    assert after(memory, ALL_OF_A, 2) == [3]


def test_of_a_pattern_what_went_elsewhere_does_not_matter() -> None:
    memory = history(events_per_topic=1)
    publish(memory, 1)
    publish(memory, 2, 3, topic=C)
    assert after(memory, ALL_OF_A, 1) == []


@of_any_kind
def test_the_position_is_that_of_the_newest(subscription: Subscription) -> None:
    memory = history(seconds=10)
    publish(memory, 1, 2)
    assert memory.position(subscription) == 2
    assert after(memory, subscription, 2, now=NOW + 10) == []
    assert memory.position(subscription) == 2
    publish(memory, 3, at=NOW + 10)
    assert after(memory, subscription, 2, now=NOW + 10) == [3]


def test_before_a_publication_is_the_place_after_which_it_comes_first() -> None:
    memory = history(events_per_topic=3)
    subscription = listening(A)
    publish(memory, 1, 2, 3)
    assert memory.before(subscription, 3) == 2
    assert after(memory, subscription, memory.before(subscription, 1)) == [1, 2, 3]
    publish(memory, 4)
    assert after(memory, subscription, memory.before(subscription, 2)) == [2, 3, 4]
    for unknown in (1, 99):
        with pytest.raises(PositionLost):
            memory.before(subscription, unknown)


def test_the_position_of_a_pattern_is_that_of_the_newest_in_any_topic() -> None:
    memory = history(seconds=10)
    publish(memory, 1)
    publish(memory, 2, topic=B)
    publish(memory, 3, topic=C)
    assert memory.position(ALL_OF_A) == 2
    assert (kept(memory, now=NOW + 10), memory.position(ALL_OF_A)) == ([], 2)
    publish(memory, 4, at=NOW + 10)
    assert memory.position(ALL_OF_A) == 4


@of_any_kind
def test_where_nothing_was_published_there_is_an_anchor(subscription: Subscription) -> None:
    memory = history(events_per_topic=2)
    anchor = memory.position(subscription)
    assert after(memory, subscription, anchor) == []
    publish(memory, 1)
    assert after(memory, subscription, anchor) == [1]
    publish(memory, 2)
    assert after(memory, subscription, anchor) == [1, 2]
    publish(memory, 3)
    assert after(memory, subscription, anchor) is None


def test_an_anchor_outlives_what_goes_elsewhere() -> None:
    memory = history(events_per_topic=1)
    anchor = memory.position(TO_A)
    publish(memory, 1, 2, 3, topic=B)
    assert after(memory, TO_A, anchor) == []


@of_any_kind
def test_after_a_restart_no_anchor_of_before_is_known(subscription: Subscription) -> None:
    before, memory = history(epoch=b"before"), history(epoch=b"after")
    assert after(memory, subscription, before.position(subscription)) is None


def test_an_anchor_is_of_one_topic() -> None:
    memory = history()
    assert after(memory, TO_B, memory.position(TO_A)) is None


# Topics of which nothing is left.


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> History:
    """Keeps a slot for ten seconds, and the last place of one topic."""
    monkeypatch.setattr(module, "MAX_EMPTY_TOPICS", 1)
    return history(seconds=10)


def test_the_last_places_of_only_so_many_topics_are_kept(forgetful: History) -> None:
    publish(forgetful, 1, topic=B)
    publish(forgetful, 2)
    assert kept(forgetful, now=NOW + 10) == []
    assert after(forgetful, TO_A, 2) == []
    assert after(forgetful, TO_B, 1) is None


def test_a_topic_that_was_forgotten_does_not_look_like_one_where_nothing_happened(forgetful: History) -> None:
    anchor = forgetful.position(TO_B)
    publish(forgetful, 1, topic=B)
    publish(forgetful, 2)
    assert kept(forgetful, now=NOW + 10) == []
    assert after(forgetful, TO_B, anchor) is None
    publish(forgetful, 3, topic=B, at=NOW + 10)
    assert [after(forgetful, TO_B, id, NOW + 10) for id in (anchor, 1, 3)] == [None, None, []]


def test_a_topic_that_was_forgotten_has_a_new_position(forgetful: History) -> None:
    publish(forgetful, 1, topic=B)
    publish(forgetful, 2)
    assert kept(forgetful, now=NOW + 10) == []
    anchor = forgetful.position(TO_B)
    assert after(forgetful, TO_B, anchor) == []
    publish(forgetful, 3, topic=B, at=NOW + 10)
    assert after(forgetful, TO_B, anchor, NOW + 10) == [3]


def test_a_pattern_notices_that_one_of_its_topics_was_forgotten(forgetful: History) -> None:
    anchor = forgetful.position(ALL_OF_A)
    publish(forgetful, 1, topic=A)
    publish(forgetful, 2, topic=C)
    assert kept(forgetful, now=NOW + 10) == []
    assert after(forgetful, ALL_OF_A, anchor) is None
    renewed = forgetful.position(ALL_OF_A)
    publish(forgetful, 3, topic=A, at=NOW + 10)
    assert after(forgetful, ALL_OF_A, renewed, NOW + 10) == [3]


def test_a_pattern_notices_it_even_when_the_place_is_of_a_topic_that_is_still_known(
    forgetful: History,
) -> None:
    publish(forgetful, 1, topic=B, at=NOW)
    publish(forgetful, 2, topic=A, at=NOW + 1)
    publish(forgetful, 3, topic=C, at=NOW + 2)
    publish(forgetful, 4, topic=B, at=NOW + 10)
    assert kept(forgetful, now=NOW + 12) == [4]
    assert after(forgetful, TO_B, 1, NOW + 12) == [4]
    assert after(forgetful, ALL_OF_A, 1, NOW + 12) is None


def test_a_topic_that_comes_alive_again_is_the_last_to_be_forgotten(forgetful: History) -> None:
    publish(forgetful, 1)
    assert kept(forgetful, now=NOW + 10) == []
    publish(forgetful, 2, topic=B, at=NOW + 11)
    publish(forgetful, 3, at=NOW + 12)
    assert kept(forgetful, now=NOW + 22) == []
    assert after(forgetful, TO_A, 3, NOW + 22) == []
    assert after(forgetful, TO_B, 2, NOW + 22) is None


# The same, for whatever happens. The model is a list of all that was ever published.

EVENTS, SECONDS, BYTES = 3, 10.0, 6 * SLOT_BYTES
COVERED = {
    listening(A): {A},
    listening(B): {B},
    listening(C): {C},
    listening("never"): set(),
    listening("a.", Match.PREFIX): {A, B},
    listening("", Match.PREFIX): {A, B, C},
    listening("ne", Match.PREFIX): set(),
    listening("a.", Match.WILDCARD): {A, B},
    listening("", Match.WILDCARD): {C},
}


@dataclass
class Published:
    id: int
    topic: str
    at: float
    weight: int
    is_gone: bool = False


class Model:
    """``after`` is what was published after a moment, which is a count of publications; None: some of it was
    evicted.
    """

    def __init__(self) -> None:
        self.all: list[Published] = []

    def append(self, published: Published) -> None:
        self.all.append(published)
        for it in self.kept({published.topic})[:-EVENTS]:
            it.is_gone = True
        self.forget(published.at)

    def forget(self, now: float) -> None:
        for it in self.all:
            kept = self.kept({A, B, C})
            if sum(it.weight for it in kept) > BYTES or it.at <= now - SECONDS:
                it.is_gone = True

    def kept(self, topics: set[str]) -> list[Published]:
        return [it for it in self.all if it.topic in topics and not it.is_gone]

    def after(self, topics: set[str], moment: int) -> list[int] | None:
        found = [it for it in self.all[moment:] if it.topic in topics]
        return None if any(it.is_gone for it in found) else [it.id for it in found]


steps = st.lists(
    st.tuples(
        st.sampled_from([A, B, C, None]),  # None: no publication, only a read
        st.sampled_from([0.0, 0.0, 1.0, 4.0, 10.0]),
        st.integers(0, 4 * SLOT_BYTES),
    ),
    max_size=25,
)
Bookmarks = dict[Subscription, dict[int, int]]


def lived(
    memory: History, steps: list[tuple[str | None, float, int]]
) -> Iterator[tuple[Model, Bookmarks, float]]:
    """The model after each step, and the moments of all places that were known at any time, by their ids.

    The last position of a subscription at a moment counts for what is published after that moment.
    """
    model, now = Model(), NOW
    bookmarks: Bookmarks = {subscription: {} for subscription in COVERED}
    for topic, pause, size in steps:
        now += pause
        if topic is None:
            memory.slots(TO_A, now)
            model.forget(now)
        else:
            id = 100 + len(model.all)
            publish(memory, id, topic=topic, at=now, size=size)
            model.append(Published(id, topic, now, SLOT_BYTES + size))
        for subscription, marked in bookmarks.items():
            if topic in COVERED[subscription]:
                marked[id] = len(model.all)
            marked[memory.position(subscription)] = len(model.all)
        yield model, bookmarks, now


@given(steps)
def test_what_comes_after_a_place_is_all_there_or_the_place_is_lost(
    steps: list[tuple[str | None, float, int]],
) -> None:
    memory = history(events_per_topic=EVENTS, seconds=SECONDS, max_bytes=BYTES)
    for model, bookmarks, now in lived(memory, steps):
        assert len(memory) == len(model.kept({A, B, C}))
        assert memory.weight == sum(it.weight for it in model.kept({A, B, C}))
        for subscription, marked in bookmarks.items():
            topics = COVERED[subscription]
            assert kept(memory, subscription, now) == [it.id for it in model.kept(topics)]
            for id, moment in marked.items():
                assert after(memory, subscription, id, now) == model.after(topics, moment)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.integers(0, 2))
def test_however_few_empty_topics_are_kept_no_gap_is_hidden(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str | None, float, int]], most: int
) -> None:
    monkeypatch.setattr(module, "MAX_EMPTY_TOPICS", most)
    memory = history(events_per_topic=EVENTS, seconds=SECONDS, max_bytes=BYTES)
    for model, bookmarks, now in lived(memory, steps):
        for subscription, marked in bookmarks.items():
            topics = COVERED[subscription]
            for id, moment in marked.items():
                assert after(memory, subscription, id, now) in (None, model.after(topics, moment))
            assert after(memory, subscription, memory.position(subscription), now) == []
            if subscription.match is Match.EXACT:
                for it in model.kept(topics):
                    assert after(memory, subscription, it.id, now) is not None
