"""Sessions in their realm."""

from itertools import chain, count

import pytest

from tests.fakes import KANBAN, Everything, Member, publication
from tuleaprt.errors import InvalidUri, LimitExceeded, NoSuchSubscription, NotAuthorized
from tuleaprt.wamp.realm import Realm


@pytest.fixture
def realm() -> Realm:
    return Realm("tuleap", policy=Everything(), new_id=count(1).__next__, max_subscriptions=3)


@pytest.fixture
def member(realm: Realm) -> Member:
    member = Member()
    realm.join(member)
    return member


def test_no_two_sessions_have_one_id() -> None:
    ids = chain([5, 5, 5, 6], count(7))
    realm = Realm("tuleap", policy=Everything(), new_id=ids.__next__, max_subscriptions=3)
    members = [Member(), Member()]
    for member in members:
        realm.join(member)
    assert [it.id for it in members] == [5, 6]


def test_a_publication_finds_the_subscribers(realm: Realm, member: Member) -> None:
    realm.subscribe(member, KANBAN)
    (dispatch,) = realm.publish(publication())
    assert dispatch.receivers == (member,)


@pytest.mark.parametrize("topic", ["", "a..b", "a.b\n", "a b", "a.#"])
def test_topic_that_is_no_uri(realm: Realm, member: Member, topic: str) -> None:
    with pytest.raises(InvalidUri):
        realm.subscribe(member, topic)


def test_topic_that_the_policy_denies(realm: Realm, member: Member) -> None:
    with pytest.raises(NotAuthorized):
        realm.subscribe(member, "org.tuleap.secret")
    assert len(realm.broker.subscriptions) == 0


def test_a_session_cannot_take_more_subscriptions_than_it_may(realm: Realm, member: Member) -> None:
    for topic in ("a", "b", "c"):
        realm.subscribe(member, topic)
    with pytest.raises(LimitExceeded):
        realm.subscribe(member, "d")
    assert realm.subscribe(member, "a") in member.subscriptions
    assert len(realm.broker.subscriptions) == 3


def test_the_limit_counts_one_sessions_subscriptions_not_others(realm: Realm, member: Member) -> None:
    for topic in ("a", "b", "c"):
        realm.subscribe(member, topic)
    other = Member()
    realm.join(other)
    realm.subscribe(other, "d")
    with pytest.raises(LimitExceeded):
        realm.subscribe(member, "d")


def test_foreign_subscription_cannot_be_ended(realm: Realm, member: Member) -> None:
    subscription = realm.subscribe(member, KANBAN)
    other = Member()
    realm.join(other)
    with pytest.raises(NoSuchSubscription):
        realm.unsubscribe(other, subscription)
    assert realm.publish(publication())


def test_who_unsubscribes_receives_nothing_more(realm: Realm, member: Member) -> None:
    realm.unsubscribe(member, realm.subscribe(member, KANBAN))
    assert realm.publish(publication()) == []
    assert member.subscriptions == set()


def test_nothing_remains_of_a_session_that_left(realm: Realm, member: Member) -> None:
    realm.subscribe(member, "a")
    realm.subscribe(member, "b")
    realm.leave(member)
    realm.leave(member)
    assert (len(realm.sessions), len(realm.broker.subscriptions), member.subscriptions) == (0, 0, set())


def test_a_session_that_never_joined_may_leave(realm: Realm) -> None:
    realm.leave(Member())
