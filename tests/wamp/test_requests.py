"""SUBSCRIBE, PUBLISH, CALL and the other requests of a session."""

from typing import Any

import pytest

from tests.fakes import KANBAN, Publishing, Sent
from tests.wamp.clients import Client, joined, open_router
from tuleaprt.errors import InvalidArgument, Unavailable
from tuleaprt.wamp.calls import Arguments, Result
from tuleaprt.wamp.identifiers import MAX_ID
from tuleaprt.wamp.publication import Audience
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import Session

ACKNOWLEDGE = {"acknowledge": True}
PAYLOAD = {"cmd": "kanban:delete", "data": "", "rights": {}}
LISTS = [f"{verb}{of}" for verb in ("eligible", "exclude") for of in ("", "_authid", "_authrole")]


def repeat(caller: Session, arguments: Arguments, now: float) -> Result:
    return Result(args=arguments._args, kwargs=arguments._kwargs)


@pytest.fixture
def publishing() -> Publishing:
    return Publishing()


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def router(sent: Sent, publishing: Publishing) -> Router:
    return open_router(sent, publisher=publishing, others={"my.repeat": repeat})


@pytest.fixture
def user(router: Router) -> Client:
    return joined(router)


@pytest.fixture
def operator(router: Router) -> Client:
    return joined(router, "operator")


@pytest.mark.parametrize("request_id", [1, 71, MAX_ID])
def test_request_ids_are_the_clients_own_affair(user: Client, request_id: int) -> None:
    assert user.say([32, 500, {}, KANBAN]) == [[33, 500, 1]]
    assert user.say([32, request_id, {}, KANBAN]) == [[33, request_id, 1]]
    assert user.say([34, request_id, 1]) == [[35, request_id]]


# SUBSCRIBE and UNSUBSCRIBE.


@pytest.mark.parametrize(
    ("match", "pattern", "topic"),
    [
        ("exact", KANBAN, KANBAN),
        ("prefix", "org.tuleap.", KANBAN),
        ("prefix", "org.tul", KANBAN),
        ("prefix", "", KANBAN),
        ("wildcard", "org..kanban.", KANBAN),
        ("wildcard", "...", KANBAN),
    ],
)
def test_what_is_subscribed_arrives(
    router: Router, operator: Client, match: str, pattern: str, topic: str
) -> None:
    subscription = operator.subscribe(pattern, match)
    assert [it.id for it in router.realm.broker.subscriptions.match(topic)] == [subscription]


def test_subscribing_again_is_the_same_subscription(router: Router, user: Client) -> None:
    assert user.subscribe(KANBAN) == user.subscribe(KANBAN) == joined(router).subscribe(KANBAN)


def test_ways_to_match_are_different_subscriptions(operator: Client) -> None:
    assert len({operator.subscribe(KANBAN, match) for match in ("exact", "prefix", "wildcard")}) == 3


def test_subscribed_leaves_before_any_event_of_it(sent: Sent, operator: Client) -> None:
    operator.outlet.done = sent.dispatches  # One line for both.
    operator.session.receive([32, 9, {}, "wamp.subscription.on_subscribe"], operator.now)
    subscribed, event = sent.dispatches
    assert subscribed == [33, 9, 1]
    assert event.publication.args == [operator.session.id, 1]


@pytest.mark.parametrize("match", ["exact", "prefix", "wildcard"])
@pytest.mark.parametrize("topic", ["a b", "a#", f"{KANBAN}\n", 5, None])
def test_what_is_no_uri_is_answered(operator: Client, match: str, topic: object) -> None:
    assert operator.refused([32, 9, {"match": match}, topic]) == "wamp.error.invalid_uri"


@pytest.mark.parametrize(
    ("match", "topic"),
    [("exact", ""), ("exact", "a."), ("exact", "a..b"), ("prefix", "a..b"), ("prefix", ".a")],
)
def test_empty_components_are_for_patterns(operator: Client, match: str, topic: str) -> None:
    assert operator.refused([32, 9, {"match": match}, topic]) == "wamp.error.invalid_uri"


def test_topic_that_the_policy_denies(user: Client) -> None:
    assert user.refused([32, 9, {}, "org.tuleap.secret"]) == "wamp.error.not_authorized"


def test_too_many_subscriptions_are_refused() -> None:
    user = joined(open_router(max_subscriptions=2))
    user.subscribe("a")
    user.subscribe("b")
    assert user.refused([32, 3, {}, "c"]) == "org.tuleap.error.limit_exceeded"


def test_unsubscribing_twice(user: Client) -> None:
    subscription = user.subscribe(KANBAN)
    assert user.say([34, 73, subscription]) == [[35, 73]]
    assert user.refused([34, 74, subscription]) == "wamp.error.no_such_subscription"


@pytest.mark.parametrize("subscription", [0, 1, 12345])
def test_unknown_and_foreign_subscriptions_cannot_be_ended(
    user: Client, operator: Client, subscription: int
) -> None:
    foreign = operator.subscribe(KANBAN)
    assert user.refused([34, 9, subscription]) == "wamp.error.no_such_subscription"
    assert operator.say([34, 9, foreign]) == [[35, 9]]


# PUBLISH.


def test_a_user_may_not_publish(user: Client, publishing: Publishing) -> None:
    assert user.refused([16, 9, ACKNOWLEDGE, KANBAN, [], PAYLOAD]) == "wamp.error.not_authorized"
    assert user.say([16, 9, {}, KANBAN, [], PAYLOAD]) == []
    assert user.say([16, 9, {"acknowledge": False}, "a b"]) == []
    assert publishing.asked == []


def test_what_an_operator_publishes_is_confirmed_when_it_is_done(
    operator: Client, publishing: Publishing
) -> None:
    assert operator.say([16, 8, ACKNOWLEDGE, KANBAN, [1], PAYLOAD]) == []
    publishing.answers[0](77)
    assert operator.outlet.take() == [[17, 8, 77]]
    audience = Audience(publisher=operator.session.id)
    assert publishing.asked == [(KANBAN, [1], PAYLOAD, audience)]


def test_answers_find_their_requests_in_any_order(operator: Client, publishing: Publishing) -> None:
    for request in (8, 5, 9):
        operator.say([16, request, ACKNOWLEDGE, KANBAN])
    first, second, third = publishing.answers
    third(79)
    first(Unavailable("the journal is full"))
    second(78)
    assert operator.outlet.take() == [
        [17, 9, 79],
        [8, 16, 8, {}, "org.tuleap.error.unavailable", ["the journal is full"]],
        [17, 5, 78],
    ]


def test_a_publisher_may_answer_at_once(router: Router, sent: Sent) -> None:
    class Prompt:
        def publish(self, topic: str, args: Any, kwargs: Any, audience: Audience, answer: Any) -> None:
            answer(InvalidArgument("cmd is missing"))

    operator = joined(open_router(sent, publisher=Prompt()), "operator")
    assert operator.refused([16, 9, ACKNOWLEDGE, KANBAN]) == "wamp.error.invalid_argument"
    assert sent.deeds == [(operator.session.id, "publish", f"{KANBAN}: wamp.error.invalid_argument")]


@pytest.mark.parametrize("options", [{}, {"acknowledge": False}])
@pytest.mark.parametrize("outcome", [77, Unavailable("full")])
def test_without_acknowledge_nothing_is_said(
    operator: Client, publishing: Publishing, options: dict[str, bool], outcome: Any
) -> None:
    operator.say([16, 9, options, KANBAN])
    publishing.answers[0](outcome)
    assert operator.outlet.take() == []


@pytest.mark.parametrize("outcome", [77, Unavailable("full")])
def test_an_answer_after_the_session_goes_nowhere(
    operator: Client, publishing: Publishing, sent: Sent, outcome: Any
) -> None:
    operator.say([16, 9, ACKNOWLEDGE, KANBAN])
    operator.session.lost()
    publishing.answers[0](outcome)
    assert operator.outlet.take() == []
    assert len(sent.deeds) == 1


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_not_an_absent_one(operator: Client, publishing: Publishing, name: str) -> None:
    values = ["x"] if "auth" in name else [5000]
    for options in ({}, {name: []}, {name: values}):
        operator.say([16, 9, options, KANBAN])
    absent, empty, full = (getattr(audience, name) for *_, audience in publishing.asked)
    assert absent == (None if name.startswith("eligible") else set())
    assert (empty, full) == (set(), set(values))


@pytest.mark.parametrize(
    ("options", "is_left_out"), [({}, True), ({"exclude_me": True}, True), ({"exclude_me": False}, False)]
)
def test_a_publisher_is_left_out_unless_he_says_otherwise(
    operator: Client, publishing: Publishing, options: dict[str, bool], is_left_out: bool
) -> None:
    operator.say([16, 9, options, KANBAN])
    ((*_, audience),) = publishing.asked
    assert audience.admits(operator.session.id, operator.session.identity) is not is_left_out


@pytest.mark.parametrize("payload", [[b"x"], ["x", {}], ["", {}], [b"", {}]], ids=str)
def test_a_payload_that_is_no_list_and_object_is_refused(
    operator: Client, publishing: Publishing, payload: list[Any]
) -> None:
    assert operator.refused([16, 9, ACKNOWLEDGE, KANBAN, *payload]) == "wamp.error.invalid_argument"
    assert publishing.asked == []


@pytest.mark.parametrize("topic", ["a b", "a..b", "", f"{KANBAN}\n"])
def test_nothing_is_published_under_what_is_no_uri(
    operator: Client, publishing: Publishing, topic: str
) -> None:
    assert operator.refused([16, 9, ACKNOWLEDGE, topic]) == "wamp.error.invalid_uri"
    assert publishing.asked == []


# CALL and the rest.


def test_a_call_takes_and_gives_both_kinds_of_arguments(user: Client) -> None:
    assert user.say([48, 9, {}, "my.repeat"]) == [[50, 9, {}]]
    assert user.say([48, 9, {}, "my.repeat", [1, [2]]]) == [[50, 9, {}, [1, [2]]]]
    assert user.say([48, 9, {}, "my.repeat", [], {"a": 3}]) == [[50, 9, {}, [], {"a": 3}]]


@pytest.mark.parametrize(
    ("raw", "uri"),
    [
        ([48, 9, {}, "my.own"], "wamp.error.no_such_procedure"),
        ([48, 9, {}, "my.repeat\n"], "wamp.error.invalid_uri"),
        ([48, 9, {}, "a b"], "wamp.error.invalid_uri"),
        ([48, 9, {}, "wamp.session.count"], "wamp.error.not_authorized"),
        ([48, 9, {}, "wamp.subscription.get_events"], "wamp.error.invalid_argument"),
        ([48, 9, {}, "wamp.subscription.get_events", [7]], "wamp.error.no_such_subscription"),
        ([48, 9, {}, "my.repeat", b"x"], "wamp.error.invalid_argument"),
        ([64, 9, {}, "my.procedure"], "wamp.error.not_authorized"),
        ([64, 9, {}, "a b"], "wamp.error.invalid_uri"),
        ([66, 9, 12345], "wamp.error.no_such_registration"),
    ],
    ids=str,
)
def test_request_that_cannot_be_granted_is_answered(user: Client, raw: list[Any], uri: str) -> None:
    assert user.refused(raw) == uri
    assert user.session.is_joined


def test_nor_may_an_operator_register(operator: Client) -> None:
    assert operator.refused([64, 9, {}, "my.procedure"]) == "wamp.error.not_authorized"


def test_cancel_comes_too_late_for_any_call(user: Client) -> None:
    assert user.say([49, 9, {}]) == []


# What is noted.


def test_an_operators_deeds_are_noted_once_each(operator: Client, publishing: Publishing, sent: Sent) -> None:
    operator.subscribe("org.", "prefix")
    operator.subscribe("org.", "prefix")
    operator.say([16, 9, {}, KANBAN])
    publishing.answers[0](77)
    operator.call("wamp.session.kill_all")
    assert sent.deeds == [
        (operator.session.id, "subscribe", "prefix org."),
        (operator.session.id, "publish", f"{KANBAN}: 77"),
        (operator.session.id, "kill", "all: 0 ended"),
    ]


def test_a_users_are_not(user: Client, sent: Sent) -> None:
    user.subscribe(KANBAN)
    user.say([16, 9, {}, KANBAN])
    user.refused_call("wamp.session.kill_all")
    assert sent.deeds == []
