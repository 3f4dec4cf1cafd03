"""Sessions in their realm."""

from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import pytest

from tests.fakes import KANBAN, Everything, Member, Sent, history, new_realm, publication
from tuleaprt.errors import InvalidUri, LimitExceeded, NoSuchSubscription, NotAuthorized
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Window
from tuleaprt.wamp.realm import Realm

NOW = 1000.0
EXACT = Match.EXACT


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def realm(sent: Sent) -> Realm:
    return new_realm(sent, max_subscriptions=3)


@pytest.fixture
def member(realm: Realm) -> Member:
    return joined(realm)


def joined(realm: Realm, window: str | None = None, **of_identity: Any) -> Member:
    member = Member(**of_identity)
    member.window = window
    member.leave = realm.leave
    realm.join(member, NOW)
    return member


def subscribe(realm: Realm, member: Member, topic: str, match: Match = EXACT) -> int:
    """The id that is confirmed."""
    confirmed: list[int] = []
    realm.subscribe(member, topic, match, NOW, confirmed.append)
    (subscription,) = confirmed
    return subscription


def realm_with_ids(ids: Iterator[int]) -> Realm:
    return Realm(
        "tuleap",
        policy=Everything(),
        history=history(),
        new_id=ids.__next__,
        deliver=lambda dispatch: None,
        audit=lambda *deed: None,
        max_subscriptions=3,
        max_sessions_per_user=3,
    )


# Sessions.


def test_no_two_sessions_have_one_id() -> None:
    realm = realm_with_ids(chain([5, 5, 5, 6], count(7)))
    assert [joined(realm).id for _ in range(2)] == [5, 6]


def test_nothing_remains_of_a_session_that_left(realm: Realm, member: Member) -> None:
    subscribe(realm, member, "a")
    subscribe(realm, member, "b", Match.PREFIX)
    realm.leave(member)
    realm.leave(member)
    assert (len(realm.sessions), len(realm.broker.subscriptions), member.subscriptions) == (0, 0, set())


def test_a_session_that_never_joined_may_leave(realm: Realm) -> None:
    realm.leave(Member())


def test_who_has_left_does_not_leave_for_the_one_who_has_his_id_now() -> None:
    realm = realm_with_ids(iter([5, 5]))
    first = joined(realm)
    realm.leave(first)
    second = joined(realm)
    realm.leave(first)
    assert realm.sessions == {5: second}


def test_a_user_has_so_many_sessions_and_no_more_until_one_leaves() -> None:
    realm = realm_with_ids(count(5))
    sessions = [joined(realm) for _ in range(3)]
    with pytest.raises(LimitExceeded, match="at most 3 sessions"):
        joined(realm)
    assert len(realm.sessions) == 3
    realm.leave(sessions[0])
    joined(realm)


def test_a_window_that_comes_again_takes_its_own_place() -> None:
    realm = realm_with_ids(count(5))
    for window in ("a", "b", "c"):
        joined(realm, window)
    joined(realm, "c")


# Windows.


def test_a_second_session_of_a_window_replaces_the_first(realm: Realm) -> None:
    first = joined(realm, "w")
    second = joined(realm, "w")
    ((end, reason, _),) = first.dismissed
    assert (end, reason) == (End.REPLACED, "org.tuleap.close.replaced")
    assert list(realm.sessions.values()) == [second]


def test_the_late_death_of_the_first_means_nothing(realm: Realm) -> None:
    first, second = joined(realm, "w"), joined(realm, "w")
    realm.leave(first)
    joined(realm, "w")
    assert len(second.dismissed) == 1


def test_a_window_that_was_left_replaces_nobody(realm: Realm) -> None:
    first = joined(realm, "w")
    realm.leave(first)
    joined(realm, "w")
    assert first.dismissed == []


@pytest.mark.parametrize(
    ("window", "of_identity"),
    [
        ("w", {"user_id": 103}),
        ("other", {}),
        (None, {}),
        ("w", {"role": Role.OPERATOR}),
    ],
)
def test_only_the_same_user_in_the_same_window_is_replaced(
    realm: Realm, window: str | None, of_identity: dict[str, Any]
) -> None:
    members = [joined(realm, "w"), joined(realm, window, **of_identity)]
    assert [it.dismissed for it in members] == [[], []]


@pytest.mark.parametrize(("window", "role"), [("w", Role.OPERATOR), (None, Role.USER)])
def test_operators_and_the_windowless_are_never_replaced(
    realm: Realm, window: str | None, role: Role
) -> None:
    members = [joined(realm, window, role=role) for _ in range(2)]
    for it in members:
        assert it.dismissed == []
        realm.leave(it)
    assert realm.sessions == {}


# Subscriptions.


@pytest.mark.parametrize(
    ("topic", "match"),
    [
        *((topic, match) for topic in ("a b", "a.#", "a.b\n", "\n") for match in Match),
        *((topic, EXACT) for topic in ("", "a.", "a..b", ".a")),
        ("a..b", Match.PREFIX),
    ],
)
def test_topic_that_is_no_uri_or_pattern(realm: Realm, member: Member, topic: str, match: Match) -> None:
    with pytest.raises(InvalidUri):
        subscribe(realm, member, topic, match)


def test_topic_that_the_policy_denies(realm: Realm, member: Member) -> None:
    with pytest.raises(NotAuthorized):
        subscribe(realm, member, "org.tuleap.secret")
    assert len(realm.broker.subscriptions) == 0


def test_a_session_cannot_take_more_subscriptions_than_it_may(realm: Realm, member: Member) -> None:
    for topic in ("a", "b", "c"):
        subscribe(realm, member, topic)
    with pytest.raises(LimitExceeded):
        subscribe(realm, member, "a", Match.PREFIX)
    assert subscribe(realm, member, "a") in member.subscriptions
    assert len(realm.broker.subscriptions) == 3


def test_the_limit_counts_one_sessions_subscriptions_not_others(realm: Realm, member: Member) -> None:
    for topic in ("a", "b", "c"):
        subscribe(realm, member, topic)
    subscribe(realm, joined(realm), "d")
    with pytest.raises(LimitExceeded):
        subscribe(realm, member, "d")


def test_foreign_subscription_cannot_be_ended(realm: Realm, member: Member, sent: Sent) -> None:
    subscription = subscribe(realm, member, KANBAN)
    with pytest.raises(NoSuchSubscription):
        realm.unsubscribe(joined(realm), subscription)
    realm.publish(publication(), NOW)
    assert sent.dispatches[0].receivers == (member,)


def test_who_unsubscribes_receives_nothing_more(realm: Realm, member: Member, sent: Sent) -> None:
    realm.unsubscribe(member, subscribe(realm, member, KANBAN))
    realm.publish(publication(), NOW)
    assert sent.dispatches == []
    assert member.subscriptions == set()


def test_what_the_policy_does_not_allow_any_more_is_revoked(realm: Realm, member: Member) -> None:
    kept, lost = subscribe(realm, member, "a"), subscribe(realm, member, KANBAN)
    others = joined(realm)
    subscribe(realm, others, KANBAN)
    realm.policy.secrets.add(KANBAN)  # type: ignore[attr-defined]
    realm.revoke_what_is_lost(member)
    assert member.lost == [(lost, "wamp.error.not_authorized")]
    assert (member.subscriptions, others.subscriptions) == ({kept}, {lost})


# Publications.


def test_a_publication_finds_the_subscribers_by_every_way_to_match(
    realm: Realm, member: Member, sent: Sent
) -> None:
    subscribe(realm, member, KANBAN)
    subscribe(realm, member, "org.", Match.PREFIX)
    subscribe(realm, member, "org..kanban.", Match.WILDCARD)
    realm.publish(publication(), NOW)
    assert [(it.subscription.match, it.receivers) for it in sent.dispatches] == [
        (match, (member,)) for match in Match
    ]


def test_what_is_published_is_history_though_nobody_listens(realm: Realm, member: Member) -> None:
    realm.publish(publication(id=77), NOW)
    subscription = realm.subscription_of(member, subscribe(realm, member, KANBAN))
    assert [it.id for it in realm.history.slots(subscription, NOW)] == [77]


# What is noted.


def test_only_operators_deeds_are_noted(realm: Realm, member: Member, sent: Sent) -> None:
    operator = joined(realm, role=Role.OPERATOR)
    for it in (member, operator):
        subscribe(realm, it, "a", Match.PREFIX)
        realm.audit(it, "publish", "b")
    assert sent.deeds == [(operator.id, "subscribe", "prefix a"), (operator.id, "publish", "b")]


def test_what_is_denied_or_nothing_new_is_not_noted(realm: Realm, sent: Sent) -> None:
    operator = joined(realm, role=Role.OPERATOR)
    subscribe(realm, operator, "a")
    subscribe(realm, operator, "a")
    with pytest.raises(NotAuthorized):
        subscribe(realm, operator, "org.tuleap.secret")
    assert len(sent.deeds) == 1


def test_who_is_cut_off_by_the_answer_to_his_subscription_was_never_announced_after_he_left() -> None:
    sent = Sent()
    realm = new_realm(sent)
    watcher, member = Member(role=Role.OPERATOR), Member()
    for it in (watcher, member):
        realm.join(it, 0)
    realm.subscribe(watcher, "wamp.subscription.", Match.PREFIX, 0, lambda id: None)
    sent.take()
    realm.subscribe(member, KANBAN, Match.EXACT, 0, lambda id: realm.leave(member))
    assert [topic for topic, _ in sent.take()] == [
        "wamp.subscription.on_unsubscribe",
        "wamp.subscription.on_delete",
    ]


# Users, their windows, and observers of them.


class Observed:
    def __init__(self, realm: Realm) -> None:
        self.told: list[tuple[object, ...]] = []
        self.groups: list[tuple[int, frozenset[str]]] = []
        realm.observe(self)

    def joined(self, window: Window, session: int) -> None:
        self.told.append(("joined", window, session))

    def left(self, window: Window, session: int) -> None:
        self.told.append(("left", window, session))

    def unsubscribed(self, window: Window, topic: str) -> None:
        self.told.append(("unsubscribed", window, topic))

    def groups_shown(self, user_id: int, exp: float, groups: frozenset[str]) -> None:
        self.groups.append((user_id, groups))

    def killed(self, authid: str | None, authrole: str | None, reason: str, message: str | None) -> None:
        self.told.append(("killed", authid, authrole, reason, message))


def test_an_observer_is_told_of_a_users_newest_groups_when_they_change(realm: Realm) -> None:
    observed = Observed(realm)
    for exp, groups in ((1000, ["@a"]), (900, ["@b"]), (1100, ["@a"]), (1200, ["@c"])):
        member = Member(groups=groups, expires_at=exp)
        realm.join(member, 0)
    realm.join(Member(user_id=1, role=Role.OPERATOR, groups=["@d"]), 0)
    assert observed.groups == [(102, frozenset({"@a"})), (102, frozenset({"@c"}))]


def test_an_older_token_of_another_node_is_answered_only_if_its_groups_are_others(realm: Realm) -> None:
    observed = Observed(realm)
    newest = frozenset({"@a"})
    realm.learn(102, 1000, newest)
    realm.learn(102, 900, newest)
    assert observed.groups == []
    realm.learn(102, 900, frozenset({"@b"}))
    assert observed.groups == [(102, newest)]
    assert realm.credentials.groups_of(102) == newest


def test_an_observer_is_told_of_windows(realm: Realm) -> None:
    observed = Observed(realm)
    member = joined(realm, "w")
    realm.unsubscribe(member, subscribe(realm, member, KANBAN))
    subscribe(realm, member, KANBAN)
    realm.leave(member)
    window = (102, "w")
    assert observed.told == [
        ("joined", window, 5000),
        ("unsubscribed", window, KANBAN),
        ("left", window, 5000),
    ]


def test_an_observer_is_told_of_a_subscription_that_is_revoked(realm: Realm) -> None:
    observed = Observed(realm)
    member = joined(realm, "w")
    subscribe(realm, member, KANBAN)
    assert isinstance(realm.policy, Everything)
    realm.policy.secrets.add(KANBAN)
    realm.revoke_what_is_lost(member)
    assert observed.told[-1] == ("unsubscribed", (102, "w"), KANBAN)


def test_an_observer_is_told_that_a_window_has_changed_its_session(realm: Realm) -> None:
    observed = Observed(realm)
    for _ in range(2):
        joined(realm, "w")
    assert [(what, session) for what, _, session in observed.told] == [
        ("joined", 5000),
        ("left", 5000),
        ("joined", 5001),
    ]


def test_of_sessions_that_name_no_window_and_of_operators_nobody_is_told(realm: Realm) -> None:
    observed = Observed(realm)
    for member in (joined(realm), joined(realm, "w", role=Role.OPERATOR)):
        realm.unsubscribe(member, subscribe(realm, member, KANBAN))
        realm.leave(member)
    assert observed.told == []


def test_all_sessions_of_a_user_have_the_groups_of_his_latest_ticket(realm: Realm) -> None:
    first = joined(realm, groups=["@a"], expires_at=2000)
    operator = joined(realm, groups=[], role=Role.OPERATOR)
    other = joined(realm, user_id=103, groups=["@x"])
    second = joined(realm, groups=["@b"], expires_at=2100)
    third = joined(realm, groups=["@c"], expires_at=2050)
    assert [it.identity.groups for it in (first, second, third)] == [{"@b"}] * 3
    assert (operator.identity.groups, other.identity.groups) == (frozenset(), {"@x"})
    assert [it.identity.expires_at for it in (first, second, third)] == [2000, 2100, 2050]


def test_a_user_who_opens_one_session_after_another_makes_no_work_for_those_that_he_has(realm: Realm) -> None:
    first = joined(realm, groups=["@a"])
    first.assume = lambda identity: pytest.fail("his groups have not changed")  # type: ignore[method-assign]
    for _ in range(3):
        joined(realm, groups=["@a"])
    joined(realm, groups=["@b"], expires_at=1700)


def test_the_latest_ticket_counts_even_when_its_session_has_ended(realm: Realm) -> None:
    realm.leave(joined(realm, groups=["@b"], expires_at=2100))
    assert joined(realm, groups=["@a"], expires_at=2000).identity.groups == {"@b"}


def test_the_sessions_of_a_user_who_is_revoked_end_and_no_other(realm: Realm) -> None:
    windows = [joined(realm, "w"), joined(realm), joined(realm, role=Role.OPERATOR)]
    other = joined(realm, user_id=103)
    realm.revoke(102, NOW)
    for member in windows:
        ((end, reason, _),) = member.dismissed
        assert (end, reason) == (End.REVOKED, "org.tuleap.close.revoked")
    assert list(realm.sessions.values()) == [other]
    # Tokens that were shown before count no more.
    assert joined(realm, groups=["@z"], expires_at=1001).identity.groups == {"@z"}


def test_who_is_cut_off_while_he_is_told_what_he_lost_is_told_no_more(realm: Realm) -> None:
    member = joined(realm)
    for topic in ("a", "b"):
        subscribe(realm, member, topic)
    assert isinstance(realm.policy, Everything)
    realm.policy.secrets |= {"a", "b"}
    told: list[int] = []

    def cut_off(subscription: int, reason: str) -> None:
        told.append(subscription)
        realm.leave(member)

    member.revoked = cut_off  # type: ignore[method-assign]
    realm.revoke_what_is_lost(member)
    assert len(told) == 1
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)


def test_a_window_that_goes_while_another_shows_a_ticket_is_left_alone(realm: Realm) -> None:
    first, second = joined(realm, groups=["@a"]), joined(realm, groups=["@a"])

    def goes(identity: object) -> None:
        realm.leave(second)

    first.assume = goes  # type: ignore[method-assign]
    joined(realm, groups=["@b"], expires_at=2000)
    assert second.identity.groups == {"@a"}
