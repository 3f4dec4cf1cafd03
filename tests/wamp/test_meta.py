"""Meta events, and how sessions and subscriptions are described."""

import pytest

from tests.fakes import KANBAN, MEMBER, Member, Sent, new_realm
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.meta import session_details, subscription_details, timestamp
from tuleaprt.wamp.realm import Realm

NOW = 1000.0
DETAILS = {"created": "1970-01-01T00:16:40.000000Z", "uri": KANBAN, "match": "exact"}


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def realm(sent: Sent) -> Realm:
    return new_realm(sent)


@pytest.fixture
def watcher(realm: Realm, sent: Sent) -> Member:
    """An operator that receives everything."""
    watcher = joined(realm, Member(role=Role.OPERATOR))
    subscribe(realm, watcher, "wamp.", Match.PREFIX)
    sent.take()
    return watcher


def joined(realm: Realm, member: Member) -> Member:
    realm.join(member, NOW)
    return member


def subscribe(realm: Realm, member: Member, topic: str = KANBAN, match: Match = Match.EXACT) -> int:
    realm.subscribe(member, topic, match, NOW, lambda id: None)
    return max(member.subscriptions)


def test_a_session_is_described_without_anything_of_its_ticket() -> None:
    member = Member(groups=("@secret",), topics=("org.tuleap.kanban.5",), expires_at=1234567.0)
    member.window = "uuid"
    assert session_details(member) == {
        "session": 0,
        "authid": "102",
        "authrole": "user",
        "authmethod": "ticket",
        "authprovider": "tuleaprt",
        "transport": {"type": "websocket", "protocol": "wamp.2.json", "peer": "tcp4:192.0.2.1:7"},
    }


def test_a_subscription_is_described() -> None:
    subscription = Subscription(7, "org..kanban.", Match.WILDCARD, NOW)
    assert subscription_details(subscription) == DETAILS | {
        "id": 7,
        "uri": "org..kanban.",
        "match": "wildcard",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1773500966.535, "2026-03-14T15:09:26.535000Z"),
        (1773500966.000001, "2026-03-14T15:09:26.000001Z"),
    ],
)
def test_times_are_utc(seconds: float, text: str) -> None:
    assert timestamp(seconds) == text


def test_who_comes_and_goes_is_told(realm: Realm, watcher: Member, sent: Sent) -> None:
    member = joined(realm, Member())
    assert sent.take() == [("wamp.session.on_join", [session_details(member)])]
    realm.leave(member)
    assert sent.take() == [("wamp.session.on_leave", [member.id, "102", "user"])]


def test_the_replaced_session_leaves_before_the_new_one_joins(
    realm: Realm, watcher: Member, sent: Sent
) -> None:
    first, second = Member(), Member()
    first.window = second.window = "w"
    first.leave = realm.leave
    joined(realm, first)
    sent.take()
    joined(realm, second)
    assert [topic for topic, _ in sent.take()] == ["wamp.session.on_leave", "wamp.session.on_join"]


def test_the_first_subscriber_creates_and_the_last_deletes(realm: Realm, watcher: Member, sent: Sent) -> None:
    first, second = joined(realm, Member()), joined(realm, Member())
    sent.take()
    id = subscribe(realm, first)
    subscribe(realm, second)
    subscribe(realm, second)
    realm.unsubscribe(first, id)
    realm.unsubscribe(second, id)
    assert sent.take() == [
        ("wamp.subscription.on_create", [first.id, DETAILS | {"id": id}]),
        ("wamp.subscription.on_subscribe", [first.id, id]),
        ("wamp.subscription.on_subscribe", [second.id, id]),
        ("wamp.subscription.on_unsubscribe", [first.id, id]),
        ("wamp.subscription.on_unsubscribe", [second.id, id]),
        ("wamp.subscription.on_delete", [second.id, id]),
    ]


def test_who_leaves_unsubscribes_first(realm: Realm, watcher: Member, sent: Sent) -> None:
    member = joined(realm, Member())
    id = subscribe(realm, member)
    sent.take()
    realm.leave(member)
    assert sent.take() == [
        ("wamp.subscription.on_unsubscribe", [member.id, id]),
        ("wamp.subscription.on_delete", [member.id, id]),
        ("wamp.session.on_leave", [member.id, "102", "user"]),
    ]


def test_a_revoked_subscription_is_one_that_has_ended(realm: Realm, watcher: Member, sent: Sent) -> None:
    member = joined(realm, Member())
    id = subscribe(realm, member)
    sent.take()
    realm.policy.secrets.add(KANBAN)  # type: ignore[attr-defined]
    realm.revoke_what_is_lost(member)
    assert [topic for topic, _ in sent.take()] == [
        "wamp.subscription.on_unsubscribe",
        "wamp.subscription.on_delete",
    ]
    assert member.lost == [(id, "wamp.error.not_authorized")]


def test_operators_see_meta_events_and_users_do_not(realm: Realm, watcher: Member, sent: Sent) -> None:
    user = joined(realm, Member())
    subscribe(realm, user, "wamp.", Match.PREFIX)
    sent.take()
    joined(realm, Member())
    (dispatch,) = sent.dispatches
    (_, to_watcher), (_, to_user) = dispatch.answers([watcher, user], NOW)
    assert to_watcher is not None
    assert to_user is None
    assert dispatch.publication.view(frozenset(MEMBER), 102) is None


def test_what_nobody_listens_to_takes_no_id(realm: Realm) -> None:
    assert [joined(realm, Member()).id for _ in range(3)] == [5000, 5001, 5002]


def test_meta_events_are_no_history(realm: Realm, watcher: Member) -> None:
    joined(realm, Member())
    assert len(realm.history) == 0


def test_silence_ends_even_if_something_fails_in_it(realm: Realm, watcher: Member, sent: Sent) -> None:
    with pytest.raises(ZeroDivisionError), realm.meta.silence():
        realm.join(Member(), NOW)
        raise ZeroDivisionError
    assert sent.take() == []
    realm.join(Member(), NOW)
    assert len(sent.take()) == 1
