"""The router's procedures, and the sessions that may call them."""

from typing import Any

import pytest

from tests.fakes import KANBAN, Member, new_realm
from tests.wamp.clients import Client, joined, open_router
from tuleaprt.errors import InvalidArgument
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.calls import Arguments, Result, an_id
from tuleaprt.wamp.procedures import Procedures
from tuleaprt.wamp.router import Router

OPERATORS = [
    "wamp.session.count",
    "wamp.session.list",
    "wamp.session.get",
    "wamp.session.kill",
    "wamp.session.kill_by_authid",
    "wamp.session.kill_by_authrole",
    "wamp.session.kill_all",
    "wamp.subscription.list",
    "wamp.subscription.lookup",
    "wamp.subscription.match",
    "wamp.subscription.get",
    "wamp.subscription.list_subscribers",
    "wamp.subscription.count_subscribers",
]


def when(caller: Member, arguments: Arguments, now: float) -> Result:
    return Result(args=[caller.id, arguments.next_if_any("any", an_id), now])


@pytest.fixture
def router() -> Router:
    return open_router(others={"my.when": when})


@pytest.fixture
def user(router: Router) -> Client:
    return joined(router)


@pytest.fixture
def operator(router: Router) -> Client:
    return joined(router, "operator")


@pytest.mark.parametrize("procedure", OPERATORS)
def test_the_meta_api_is_for_operators(user: Client, operator: Client, procedure: str) -> None:
    assert user.refused([48, 9, {}, procedure]) == "wamp.error.not_authorized"
    ((*_, answer),) = operator.say([48, 9, {}, procedure])
    assert answer != ["this procedure is for operators"]


@pytest.mark.parametrize(
    "procedure", ["a.b", "wamp.session", "wamp.session.Count", "wamp.session.modify_details"]
)
def test_unknown_procedures_are_unknown_to_everybody(user: Client, operator: Client, procedure: str) -> None:
    for client in (user, operator):
        assert client.refused([48, 9, {}, procedure]) == "wamp.error.no_such_procedure"


def test_history_is_for_everybody(user: Client, operator: Client) -> None:
    for client in (user, operator):
        assert client.call("wamp.subscription.get_events", client.subscribe(KANBAN)) == []


def test_every_session_may_ping(user: Client, operator: Client) -> None:
    for client in (user, operator):
        assert client.say([48, 9, {}, "org.tuleap.session.ping"]) == [[50, 9, {}]]
        assert client.refused_call("org.tuleap.session.ping", 1) == "wamp.error.invalid_argument"


def test_others_are_told_who_calls_with_what_and_when(user: Client) -> None:
    user.now = 1234.5
    assert user.call("my.when", 7) == [user.session.id, 7, 1234.5]


def test_the_arguments_are_the_procedures_own_to_check(user: Client) -> None:
    assert user.refused_call("my.when", "seven") == "wamp.error.invalid_argument"


@pytest.mark.parametrize("role", list(Role))
def test_a_refusal_is_an_error_of_the_tree(role: Role) -> None:
    def refuse(caller: Any, arguments: Arguments, now: float) -> Result:
        raise InvalidArgument("no")

    procedures = Procedures(new_realm(), {"my.refusal": refuse})
    with pytest.raises(InvalidArgument):
        procedures.call(Member(role=role), "my.refusal", [], {}, 0)
