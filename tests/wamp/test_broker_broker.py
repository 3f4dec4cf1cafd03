"""The receivers of a publication."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import KANBAN, identity, publication, untold
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.broker import Answer, Broker, Dispatch, payload_for
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Audience, Kwargs, Publication, Window

NOW = 1000.0
WHOLE: Kwargs = {"cmd": "kanban_item:create", "data": {"artifact_id": 321}}


@dataclass(eq=False)
class Listener:
    identity: Identity
    window: str | None = None
    id: int = 0


def listen(broker: Broker, listener: Listener, topic: str = KANBAN, match: Match = Match.EXACT) -> int:
    return broker.subscriptions.add(topic, match, listener, NOW).id


def dispatch(what: Publication, *listeners: Listener) -> Dispatch:
    broker = Broker()
    for listener in listeners:
        listen(broker, listener)
    (found,) = broker.dispatch(what)
    return found


def received(what: Publication, *listeners: Listener, now: float = NOW) -> list[Kwargs | None]:
    found = dispatch(what, *listeners)
    return [kwargs(answer) for _, answer in found.answers(listeners, now)]


def kwargs(answer: Answer | None) -> Kwargs | None:
    return None if answer is None else answer.kwargs


def test_a_topic_that_nobody_listens_to_needs_no_dispatch() -> None:
    assert Broker().dispatch(publication()) == []


def test_a_publication_without_payload_reaches_nobody() -> None:
    operator, broker = Listener(identity(role=Role.OPERATOR)), Broker()
    listen(broker, operator)
    assert broker.dispatch(untold()) == []
    assert payload_for(untold(), operator) is None


def test_whoever_has_several_matching_subscriptions_gets_it_by_each() -> None:
    broker, listener = Broker(), Listener(identity())
    ids = [
        listen(broker, listener),
        listen(broker, listener, "org.tuleap.", Match.PREFIX),
        listen(broker, listener, "org.tuleap.kanban.", Match.WILDCARD),
    ]
    listen(broker, listener, "org.tuleap.kanban.4")
    what = publication()
    dispatches = broker.dispatch(what)
    assert [(it.publication, it.subscription.id, it.receivers) for it in dispatches] == [
        (what, id, (listener,)) for id in ids
    ]


def test_the_receivers_are_those_of_the_moment_of_publication() -> None:
    one = Listener(identity())
    found = dispatch(publication(), one)
    late = Listener(identity())
    found.subscription.subscribers[late] = None
    assert found.receivers == (one,)


def test_the_view_says_what_each_receiver_gets() -> None:
    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return WHOLE if "@a" in groups else None

    what = publication(WHOLE, view=view)
    assert received(what, Listener(identity(groups=["@a"])), Listener(identity(groups=[]))) == [WHOLE, None]


def test_the_view_is_asked_once_for_equal_groups_and_of_submitters_by_name() -> None:
    asked: list[tuple[frozenset[str], int | None]] = []

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        asked.append((groups, user_id))
        return WHOLE

    listeners = [Listener(identity(user_id, ["@a"])) for user_id in (101, 102, 103, 104)]
    found = dispatch(publication(WHOLE, view=view, submitters=[101]), *listeners)
    answers = [answer for _, answer in found.answers(listeners, NOW)]
    assert asked == [(frozenset({"@a"}), 101), (frozenset({"@a"}), None)]
    assert all(answer is answers[0] for answer in answers)


def test_payloads_that_differ_are_shared_by_those_who_get_the_same() -> None:
    parts = {"@a": {"part": "a"}, "@b": {"part": "b"}}
    what = publication(view=lambda groups, user_id: parts[min(groups)])
    listeners = [Listener(identity(groups=it)) for it in (["@a"], ["@b"], ["@a", "@c"], ["@b"])]
    answers = [answer for _, answer in dispatch(what, *listeners).answers(listeners, NOW)]
    assert [kwargs(it) for it in answers] == [parts["@a"], parts["@b"], parts["@a"], parts["@b"]]
    assert (answers[0] is answers[2], answers[1] is answers[3]) == (True, True)


def test_a_refusal_too_is_asked_for_once() -> None:
    asked: list[int | None] = []

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        asked.append(user_id)
        return None

    listeners = [Listener(identity(user_id)) for user_id in range(1, 5)]
    assert received(publication(view=view), *listeners) == [None] * 4
    assert len(asked) == 1


def test_attack_rights_that_change_during_the_fan_out_hold_for_the_rest() -> None:
    admitted = {"@a"}
    what = publication(WHOLE, view=lambda groups, user_id: WHOLE if groups & admitted else None)
    listeners = [Listener(identity(user_id, ["@a"])) for user_id in range(1, 4)]
    found = dispatch(what, *listeners)
    sent = []
    for listener, now_admitted in zip(listeners, ({"@a"}, {"@b"}, {"@a"}), strict=True):
        admitted = now_admitted
        sent += [answer for _, answer in found.answers([listener], NOW)]
    assert [kwargs(it) for it in sent] == [WHOLE, None, WHOLE]
    assert sent[0] is sent[2]


def test_of_two_users_with_equal_groups_only_the_submitter_is_known_to_the_view() -> None:
    what = publication(
        WHOLE, view=lambda groups, user_id: WHOLE if user_id == 101 else None, submitters=[101]
    )
    assert received(what, Listener(identity(102)), Listener(identity(101))) == [None, WHOLE]


def test_the_senders_window_is_left_out_and_no_other() -> None:
    what = publication(WHOLE, sender=Window(101, "u"))
    listeners = [
        Listener(identity(101), "u"),
        Listener(identity(101), "other"),
        Listener(identity(101)),
        Listener(identity(102), "u"),
    ]
    assert received(what, *listeners) == [None, WHOLE, WHOLE, WHOLE]


def test_without_a_sender_nobody_is_left_out() -> None:
    assert received(publication(WHOLE), Listener(identity(101), "u")) == [WHOLE]


def test_operators_receive_all() -> None:
    operator = Listener(identity(101, [], role=Role.OPERATOR), "u")
    assert received(publication(WHOLE, view=lambda *_: None, sender=Window(101, "u")), operator) == [WHOLE]


def test_the_publishers_conditions_hold_for_operators_too() -> None:
    audience = Audience(eligible=frozenset({1, 2, 3}), exclude_authid=frozenset({"102"}), publisher=3)
    listeners = [
        Listener(identity(101), id=1),
        Listener(identity(102), id=2),
        Listener(identity(101), id=3),
        Listener(identity(101), id=4),
        Listener(identity(101, role=Role.OPERATOR), id=1),
        Listener(identity(101, role=Role.OPERATOR), id=4),
    ]
    expected = [WHOLE, None, None, None, WHOLE, None]
    what = publication(WHOLE, audience=audience)
    assert received(what, *listeners) == expected
    assert [payload_for(what, it) for it in listeners] == expected


@pytest.mark.parametrize("role", Role)
def test_nobody_receives_anything_once_his_ticket_has_expired(role: Role) -> None:
    listener = Listener(identity(role=role, expires_at=NOW))
    assert received(publication(WHOLE), listener, now=NOW - 0.001) == [WHOLE]
    assert received(publication(WHOLE), listener, now=NOW) == [None]


def test_who_has_left_in_the_meantime_receives_nothing() -> None:
    listener, other = Listener(identity()), Listener(identity())
    broker = Broker()
    id = listen(broker, listener)
    listen(broker, other)
    (found,) = broker.dispatch(publication(WHOLE))
    broker.subscriptions.remove(id, listener)
    assert [kwargs(answer) for _, answer in found.answers([listener, other], NOW)] == [None, WHOLE]


def test_who_was_the_last_to_leave_receives_nothing() -> None:
    listener = Listener(identity())
    broker = Broker()
    id = listen(broker, listener)
    (found,) = broker.dispatch(publication(WHOLE))
    broker.subscriptions.remove(id, listener)
    listen(broker, listener)
    assert list(found.answers([listener], NOW)) == [(listener, None)]


groups = st.frozensets(st.sampled_from(["@a", "@b"]))
listeners = st.builds(
    Listener,
    st.builds(identity, st.integers(101, 103), groups, role=st.sampled_from(Role)),
    st.sampled_from([None, "u", "v"]),
    st.integers(1, 3),
)
audiences = st.builds(
    Audience,
    eligible_authid=st.none() | st.frozensets(st.sampled_from(["101", "102"])),
    exclude=st.frozensets(st.integers(1, 3), max_size=1),
)


@given(
    st.lists(listeners, min_size=1, max_size=12),
    st.none() | st.builds(Window, st.integers(101, 103), st.just("u")),
    st.none() | audiences,
)
def test_memory_of_answers_changes_none_of_them(
    listeners: list[Listener], sender: Window | None, audience: Audience | None
) -> None:
    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return WHOLE if "@a" in groups or user_id == 101 else None

    def expected(who: Listener) -> Kwargs | None:
        if audience is not None and not audience.admits(who.id, who.identity):
            return None
        if who.identity.role is Role.OPERATOR:
            return WHOLE
        if sender == (who.identity.user_id, who.window):
            return None
        return view(who.identity.groups, who.identity.user_id)

    what = publication(WHOLE, view=view, submitters=[101], sender=sender, audience=audience)
    assert received(what, *listeners) == [expected(it) for it in listeners]
    assert [payload_for(what, it) for it in listeners] == [expected(it) for it in listeners]
