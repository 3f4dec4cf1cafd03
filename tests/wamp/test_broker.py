"""Subscriptions by topic and pattern."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import identity
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.broker import Subscription, SubscriptionMap
from tuleaprt.wamp.identifiers import Match, is_pattern

EXACT, PREFIX, WILDCARD = Match.EXACT, Match.PREFIX, Match.WILDCARD
NOW = 1000.0


class Listener:
    id = 0
    identity: Identity = identity()
    window: str | None = None


@pytest.fixture
def subscriptions() -> SubscriptionMap:
    return SubscriptionMap()


def test_subscribing_twice_is_one_subscription(subscriptions: SubscriptionMap) -> None:
    listener = Listener()
    first = subscriptions.add("a.b", EXACT, listener, NOW)
    assert subscriptions.add("a.b", EXACT, listener, NOW + 1) is first
    assert list(first.subscribers) == [listener]
    assert first.created == NOW


def test_all_listeners_of_a_topic_share_its_subscription(subscriptions: SubscriptionMap) -> None:
    one, other = Listener(), Listener()
    subscription = subscriptions.add("a.b", EXACT, one, NOW)
    assert subscriptions.add("a.b", EXACT, other, NOW) is subscription
    assert list(subscription.subscribers) == [one, other]


def test_each_topic_and_way_to_match_is_a_subscription_of_its_own(subscriptions: SubscriptionMap) -> None:
    listener = Listener()
    added = [subscriptions.add(topic, match, listener, NOW) for topic in ("a", "a.b") for match in Match]
    assert len({it.id for it in added}) == 6
    assert list(subscriptions) == added
    assert [subscriptions.get(it.id) for it in added] == added
    assert [subscriptions.lookup(it.topic, it.match) for it in added] == added


def test_what_nobody_subscribed_is_not_found(subscriptions: SubscriptionMap) -> None:
    subscription = subscriptions.add("a", EXACT, Listener(), NOW)
    assert subscriptions.get(subscription.id + 1) is None
    assert subscriptions.lookup("a", PREFIX) is None
    assert subscriptions.lookup("b", EXACT) is None


def test_a_subscription_ends_with_its_last_listener(subscriptions: SubscriptionMap) -> None:
    one, other = Listener(), Listener()
    id = subscriptions.add("a.b", EXACT, one, NOW).id
    subscriptions.add("a.b", EXACT, other, NOW)
    subscriptions.remove(id, one)
    assert len(subscriptions) == 1
    subscriptions.remove(id, other)
    assert len(subscriptions) == 0
    assert subscriptions.match("a.b") == []


def test_the_id_of_a_subscription_that_ended_is_not_given_again(subscriptions: SubscriptionMap) -> None:
    listener = Listener()
    id = subscriptions.add("a", EXACT, listener, NOW).id
    subscriptions.remove(id, listener)
    assert subscriptions.add("a", EXACT, listener, NOW).id != id


def test_a_foreign_or_unknown_subscription_cannot_be_removed(subscriptions: SubscriptionMap) -> None:
    one = Listener()
    id = subscriptions.add("a.b", EXACT, one, NOW).id
    subscriptions.remove(id, Listener())
    subscriptions.remove(id + 1, one)
    (subscription,) = subscriptions
    assert list(subscription.subscribers) == [one]


@pytest.mark.parametrize(
    ("pattern", "match", "topic", "is_covered"),
    [
        ("a.b", EXACT, "a.b", True),
        ("a.b", EXACT, "a.b.c", False),
        ("a", PREFIX, "a", True),
        ("a.b", PREFIX, "a.bc.d", True),
        ("a.b.", PREFIX, "a.b.c", True),
        ("a.b.", PREFIX, "a.b", False),
        ("a.b.c", PREFIX, "a.b", False),
        ("", PREFIX, "whatever.it.is", True),
        ("a..c", WILDCARD, "a.b.c", True),
        ("a..c", WILDCARD, "a.b.d", False),
        ("a..c", WILDCARD, "a.b.b.c", False),
        ("a.", WILDCARD, "a.b", True),
        ("a.", WILDCARD, "a", False),
        ("a.", WILDCARD, "a.b.c", False),
        (".b", WILDCARD, "a.b", True),
        ("", WILDCARD, "a", True),
        ("", WILDCARD, "a.b", False),
        ("a.b", WILDCARD, "a.b", True),
    ],
)
def test_what_a_subscription_covers(
    subscriptions: SubscriptionMap, pattern: str, match: Match, topic: str, is_covered: bool
) -> None:
    subscription = subscriptions.add(pattern, match, Listener(), NOW)
    assert subscription.covers(topic) is is_covered
    assert subscriptions.match(topic) == ([subscription] if is_covered else [])


def test_an_event_concerns_every_subscription_that_covers_it(subscriptions: SubscriptionMap) -> None:
    listener = Listener()
    wanted = [("a.b", EXACT), ("a", PREFIX), ("", PREFIX), ("a.", WILDCARD), (".", WILDCARD)]
    added = {subscriptions.add(topic, match, listener, NOW) for topic, match in wanted}
    matched = subscriptions.match("a.b")
    assert len(matched) == 5
    assert set(matched) == added


def test_a_prefix_that_is_longer_than_the_topic_does_not_concern_it(subscriptions: SubscriptionMap) -> None:
    short = subscriptions.add("a", PREFIX, Listener(), NOW)
    subscriptions.add("a.b", PREFIX, Listener(), NOW)
    assert subscriptions.match("a") == [short]


def concerns(topic: str, match: Match, event: str) -> bool:
    """The rule as an expression, each empty component of a wildcard being one that is not empty."""
    if match is WILDCARD:
        return bool(re.fullmatch(r"\.".join(re.escape(it) or "[^.]+" for it in topic.split(".")), event))
    return bool(re.fullmatch(re.escape(topic) + (".*" if match is PREFIX else ""), event))


components = st.sampled_from(["a", "b", "ab"])
uris = st.lists(components, min_size=1, max_size=3).map(".".join)
wanted = st.one_of(
    st.tuples(uris, st.just(EXACT)),
    st.tuples(
        st.lists(components | st.just(""), min_size=1, max_size=3).map(".".join), st.sampled_from(Match)
    ),
).filter(lambda it: is_pattern(*it))
changes = st.lists(st.tuples(st.booleans(), wanted, st.integers(0, 2)), max_size=30)


@given(changes, st.lists(uris, min_size=1, max_size=5))
def test_match_equals_a_loop_over_all_that_was_asked_for(
    changes: list[tuple[bool, tuple[str, Match], int]], events: list[str]
) -> None:
    subscriptions, listeners = SubscriptionMap(), [Listener() for _ in range(3)]
    present: dict[tuple[str, Match], set[Listener]] = {}
    made: dict[tuple[str, Match], Subscription] = {}
    for adds, key, who in changes:
        listener = listeners[who]
        if adds:
            made[key] = subscriptions.add(*key, listener, NOW)
            present.setdefault(key, set()).add(listener)
        else:
            id = made[key].id if key in made else 0
            subscriptions.remove(id, listener)
            present.get(key, set()).discard(listener)
    heard = {key: who for key, who in present.items() if who}
    assert len(subscriptions) == len(heard)
    for event in events:
        matched = subscriptions.match(event)
        assert len(matched) == len(set(matched))
        assert {(it.topic, it.match): set(it.subscribers) for it in matched} == {
            key: who for key, who in heard.items() if concerns(*key, event)
        }
        assert all(made[key].covers(event) is concerns(*key, event) for key in made)


@given(changes)
def test_when_all_have_left_nothing_is_kept_of_them(
    changes: list[tuple[bool, tuple[str, Match], int]],
) -> None:
    subscriptions, listeners = SubscriptionMap(), [Listener() for _ in range(3)]
    for _, key, who in changes:
        subscriptions.add(*key, listeners[who], NOW)
    for subscription in list(subscriptions):
        for listener in list(subscription.subscribers):
            subscriptions.remove(subscription.id, listener)
    kept = {name: value for name, value in vars(subscriptions).items() if name != "_ids" and len(value)}
    assert (len(subscriptions), list(subscriptions), kept) == (0, [], {})
