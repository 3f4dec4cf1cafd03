"""The session meta API, as an operator calls it."""

from typing import Any

import pytest

from tests.fakes import Sent
from tests.wamp.clients import GOODBYE, Client, joined, open_router
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.router import Router

KILLS: list[tuple[str, list[object]]] = [
    ("wamp.session.kill", [5001]),
    ("wamp.session.kill_by_authid", ["102"]),
    ("wamp.session.kill_by_authrole", ["user"]),
    ("wamp.session.kill_all", []),
]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def router(sent: Sent) -> Router:
    return open_router(sent)


@pytest.fixture
def operator(router: Router) -> Client:
    """Session 5000."""
    return joined(router, "operator")


@pytest.fixture
def user(operator: Client, router: Router) -> Client:
    """Session 5001."""
    return joined(router)


def was_told_to_go(client: Client, reason: str = "wamp.close.killed", **details: str) -> bool:
    return client.outlet.take() == [[6, details, reason]] and not client.session.is_joined


def ids(*clients: Client) -> list[int]:
    return [it.session.id for it in clients]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [5000, 5001]),
        ([None], [5000, 5001]),
        ([["user"]], [5001]),
        ([["operator", "user"]], [5000, 5001]),
        ([["nobody"]], []),
        ([[]], []),
    ],
)
def test_count_and_list(operator: Client, user: Client, arguments: list[Any], expected: list[int]) -> None:
    assert operator.call("wamp.session.list", *arguments) == [expected]
    assert operator.call("wamp.session.count", *arguments) == [len(expected)]


def test_get(operator: Client, user: Client) -> None:
    details = {
        "session": 5001,
        "authid": "102",
        "authrole": "user",
        "authmethod": "ticket",
        "authprovider": "tuleaprt",
        "transport": {"type": "websocket", "protocol": "wamp.2.json", "peer": "tcp4:192.0.2.1:7"},
    }
    assert operator.call("wamp.session.get", 5001) == [details]
    assert operator.call("wamp.session.get", 5001.0) == [details]


def test_who_came_without_a_ticket_is_anonymous() -> None:
    client = Client(open_router(anonymous=ANONYMOUS_OPERATOR))
    client.say([1, "tuleap", {"roles": {"caller": {}}}])
    (details,) = client.call("wamp.session.get", client.session.id)
    assert (details["authid"], details["authmethod"]) == ("anonymous", "anonymous")


def test_kill_ends_one_session(router: Router, operator: Client, user: Client) -> None:
    other = joined(router)
    assert operator.call("wamp.session.kill", user.session.id) == []
    assert was_told_to_go(user)
    assert operator.call("wamp.session.list") == [ids(operator, other)]
    assert user.say(GOODBYE) == [(End.KILLED, "")]


def test_kill_by_authid_names_those_that_it_ended(router: Router, operator: Client, user: Client) -> None:
    again, other = joined(router), joined(router, "other")
    assert operator.call("wamp.session.kill_by_authid", "102") == [ids(user, again)]
    assert was_told_to_go(user)
    assert was_told_to_go(again)
    assert other.session.is_joined
    assert operator.call("wamp.session.kill_by_authid", "102") == [[]]


def test_kill_by_authrole_counts_those_that_it_ended(router: Router, operator: Client, user: Client) -> None:
    other, colleague = joined(router, "other"), joined(router, "colleague")
    assert operator.call("wamp.session.kill_by_authrole", "user") == [2]
    assert was_told_to_go(user)
    assert was_told_to_go(other)
    assert colleague.session.is_joined


def test_kill_all_spares_the_caller(router: Router, operator: Client, user: Client) -> None:
    colleague = joined(router, "colleague")
    assert operator.call("wamp.session.kill_all") == [2]
    assert was_told_to_go(user)
    assert was_told_to_go(colleague)
    assert operator.call("wamp.session.list") == [[operator.session.id]]


def test_nobody_kills_his_own_session(router: Router, operator: Client) -> None:
    again = joined(router, "operator")
    assert operator.refused_call("wamp.session.kill", operator.session.id) == "wamp.error.no_such_session"
    assert operator.call("wamp.session.kill_by_authid", "1") == [ids(again)]
    assert operator.call("wamp.session.kill_by_authrole", "operator") == [0]
    assert operator.call("wamp.session.kill_all") == [0]
    assert operator.session.is_joined


@pytest.mark.parametrize(("kill", "arguments"), KILLS)
def test_the_victim_is_given_the_reason_and_the_message(
    operator: Client, user: Client, kill: str, arguments: list[object]
) -> None:
    operator.call(kill, *arguments, reason="org.tuleap.close.logout", message="You have logged out")
    assert was_told_to_go(user, "org.tuleap.close.logout", message="You have logged out")


@pytest.mark.parametrize(("kill", "arguments"), KILLS)
@pytest.mark.parametrize(
    ("keywords", "uri"),
    [
        ({"reason": "no uri"}, "wamp.error.invalid_uri"),
        ({"reason": ""}, "wamp.error.invalid_uri"),
        ({"reason": "a.b\n"}, "wamp.error.invalid_uri"),
        ({"reason": 5}, "wamp.error.invalid_argument"),
        ({"message": 5}, "wamp.error.invalid_argument"),
        ({"nonsense": 5}, "wamp.error.invalid_argument"),
    ],
)
def test_nobody_is_killed_for_a_bad_reason(
    operator: Client, user: Client, kill: str, arguments: list[object], keywords: dict[str, object], uri: str
) -> None:
    assert operator.refused_call(kill, *arguments, **keywords) == uri
    assert user.session.is_joined


@pytest.mark.parametrize(
    ("procedure", "arguments", "uri"),
    [
        ("get", [4999], "wamp.error.no_such_session"),
        ("get", [], "wamp.error.invalid_argument"),
        ("get", ["5001"], "wamp.error.invalid_argument"),
        ("get", [5001, 1], "wamp.error.invalid_argument"),
        ("kill", [4999], "wamp.error.no_such_session"),
        ("kill", [], "wamp.error.invalid_argument"),
        ("kill_by_authid", [], "wamp.error.invalid_argument"),
        ("kill_by_authid", [102], "wamp.error.invalid_argument"),
        ("kill_by_authrole", [], "wamp.error.invalid_argument"),
        ("kill_all", ["user"], "wamp.error.invalid_argument"),
        ("count", ["user"], "wamp.error.invalid_argument"),
        ("list", [["user"], 1], "wamp.error.invalid_argument"),
    ],
)
def test_arguments_that_are_not_accepted(
    operator: Client, user: Client, procedure: str, arguments: list[object], uri: str
) -> None:
    assert operator.refused_call(f"wamp.session.{procedure}", *arguments) == uri
    assert user.session.is_joined


@pytest.mark.parametrize(("kill", "arguments"), KILLS)
def test_a_kill_is_told_as_a_leave_but_kill_all_is_silent(
    operator: Client, user: Client, sent: Sent, kill: str, arguments: list[object]
) -> None:
    operator.subscribe("wamp.", "prefix")
    user.subscribe("a.b")
    sent.take()
    operator.call(kill, *arguments)
    told = [topic for topic, _ in sent.take()]
    assert told == (
        []
        if kill == "wamp.session.kill_all"
        else ["wamp.subscription.on_unsubscribe", "wamp.subscription.on_delete", "wamp.session.on_leave"]
    )


@pytest.mark.parametrize(
    ("kill", "arguments", "noted"),
    [
        (*KILLS[0], "5001: 1 ended"),
        (*KILLS[1], "authid 102: 1 ended"),
        (*KILLS[2], "authrole user: 1 ended"),
        (*KILLS[3], "all: 1 ended"),
    ],
)
def test_a_kill_is_noted(
    operator: Client, user: Client, sent: Sent, kill: str, arguments: list[object], noted: str
) -> None:
    operator.call(kill, *arguments)
    assert sent.deeds == [(operator.session.id, "kill", noted)]


def test_what_is_told_to_every_victim_is_short(operator: Client) -> None:
    assert operator.refused([48, 1, {}, "wamp.session.kill_all", [], {"message": "x" * 1001}]) == (
        "wamp.error.invalid_argument"
    )
