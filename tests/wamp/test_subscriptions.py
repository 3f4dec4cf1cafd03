"""Who listens to what."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import identity
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.subscriptions import SubscriptionMap


class Listener:
    identity: Identity = identity()
    window: str | None = None


def test_subscribing_twice_is_one_subscription() -> None:
    subscriptions, listener = SubscriptionMap(), Listener()
    assert subscriptions.add("a.b", listener) is subscriptions.add("a.b", listener)
    assert list(subscriptions.add("a.b", listener).subscribers) == [listener]


def test_all_listeners_of_a_topic_share_its_subscription() -> None:
    subscriptions = SubscriptionMap()
    assert subscriptions.add("a.b", Listener()).id == subscriptions.add("a.b", Listener()).id
    assert subscriptions.add("a.c", Listener()).id != subscriptions.add("a.b", Listener()).id


def test_a_subscription_ends_with_its_last_listener() -> None:
    subscriptions, one, other = SubscriptionMap(), Listener(), Listener()
    id = subscriptions.add("a.b", one).id
    subscriptions.add("a.b", other)
    assert subscriptions.remove(id, one) is not None
    assert len(subscriptions) == 1
    assert subscriptions.remove(id, other) is not None
    assert len(subscriptions) == 0
    assert subscriptions.match("a.b") == ()


def test_a_foreign_or_unknown_subscription_cannot_be_removed() -> None:
    subscriptions, one = SubscriptionMap(), Listener()
    id = subscriptions.add("a.b", one).id
    assert subscriptions.remove(id, Listener()) is None
    assert subscriptions.remove(id + 1, one) is None
    assert len(subscriptions) == 1


topics = st.sampled_from(["a.b", "a.c", "a"])
changes = st.lists(st.tuples(st.booleans(), topics, st.integers(0, 2)), max_size=30)


@given(changes, topics)
def test_match_equals_a_loop_over_all_that_was_asked_for(
    changes: list[tuple[bool, str, int]], topic: str
) -> None:
    subscriptions, listeners = SubscriptionMap(), [Listener() for _ in range(3)]
    wanted: set[tuple[str, int]] = set()
    ids: dict[str, int] = {}
    for subscribes, changed, who in changes:
        if subscribes:
            ids[changed] = subscriptions.add(changed, listeners[who]).id
            wanted.add((changed, who))
        else:
            removed = subscriptions.remove(ids.get(changed, 0), listeners[who])
            assert (removed is not None) is ((changed, who) in wanted)
            wanted.discard((changed, who))
    matched = {it for found in subscriptions.match(topic) for it in found.subscribers}
    assert matched == {listeners[who] for wanted_topic, who in wanted if wanted_topic == topic}
    assert len(subscriptions) == len({it for it, _ in wanted})
