"""Who receives what of a publication."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import KANBAN, identity, publication
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.broker import Answer, Broker, Dispatch, Kwargs, Publication, Window

NOW = 1000.0
WHOLE: Kwargs = {"cmd": "kanban_item:create", "data": {"artifact_id": 321}}


@dataclass(eq=False)
class Listener:
    identity: Identity
    window: str | None = None


def dispatch(what: Publication, *listeners: Listener) -> Dispatch:
    broker = Broker()
    for listener in listeners:
        broker.subscriptions.add(KANBAN, listener)
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
    broker = Broker()
    broker.subscriptions.add(KANBAN, Listener(identity(role=Role.OPERATOR)))
    empty = Publication(
        id=1, topic=KANBAN, kwargs=None, view=lambda *_: WHOLE, submitters=frozenset(), sender=None
    )
    assert broker.dispatch(empty) == []


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


def test_the_view_is_asked_once_for_equal_groups_and_once_more_for_the_submitter() -> None:
    asked: list[tuple[frozenset[str], int | None]] = []

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        asked.append((groups, user_id))
        return WHOLE

    listeners = [Listener(identity(user_id, ["@a"])) for user_id in (101, 102, 103, 104, 101)]
    found = dispatch(publication(WHOLE, view=view, submitters=[101]), *listeners)
    answers = [answer for _, answer in found.answers(listeners, NOW)]
    assert asked == [(frozenset({"@a"}), 101), (frozenset({"@a"}), None)]
    assert all(answer is answers[0] for answer in answers)


def test_a_refusal_too_is_asked_for_once() -> None:
    asked: list[int | None] = []

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        asked.append(user_id)
        return None

    listeners = [Listener(identity(user_id)) for user_id in range(1, 5)]
    assert received(publication(view=view), *listeners) == [None] * 4
    assert len(asked) == 1


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


@pytest.mark.parametrize("role", Role)
def test_nobody_receives_anything_once_his_ticket_has_expired(role: Role) -> None:
    listener = Listener(identity(role=role, expires_at=NOW))
    assert received(publication(WHOLE), listener, now=NOW - 0.001) == [WHOLE]
    assert received(publication(WHOLE), listener, now=NOW) == [None]


def test_who_has_left_in_the_meantime_receives_nothing() -> None:
    listener, other = Listener(identity()), Listener(identity())
    broker = Broker()
    id = broker.subscriptions.add(KANBAN, listener).id
    broker.subscriptions.add(KANBAN, other)
    (found,) = broker.dispatch(publication(WHOLE))
    broker.subscriptions.remove(id, listener)
    assert [kwargs(answer) for _, answer in found.answers([listener, other], NOW)] == [None, WHOLE]


def test_who_was_the_last_to_leave_receives_nothing() -> None:
    listener = Listener(identity())
    broker = Broker()
    id = broker.subscriptions.add(KANBAN, listener).id
    (found,) = broker.dispatch(publication(WHOLE))
    broker.subscriptions.remove(id, listener)
    broker.subscriptions.add(KANBAN, listener)
    assert list(found.answers([listener], NOW)) == [(listener, None)]


groups = st.frozensets(st.sampled_from(["@a", "@b"]))
listeners = st.builds(
    Listener,
    st.builds(identity, st.integers(101, 103), groups),
    st.sampled_from([None, "u", "v"]),
)


@given(
    st.lists(listeners, min_size=1, max_size=12),
    st.none() | st.builds(Window, st.integers(101, 103), st.just("u")),
)
def test_memory_of_answers_changes_none_of_them(listeners: list[Listener], sender: Window | None) -> None:
    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return WHOLE if "@a" in groups or user_id == 101 else None

    expected = [
        None if sender == (it.identity.user_id, it.window) else view(it.identity.groups, it.identity.user_id)
        for it in listeners
    ]
    assert received(publication(WHOLE, view=view, submitters=[101], sender=sender), *listeners) == expected
