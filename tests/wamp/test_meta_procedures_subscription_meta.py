"""The subscription meta API, as an operator calls it."""

import pytest

from tests.fakes import KANBAN
from tests.wamp.clients import Client, joined, open_router
from tuleaprt.wamp.router import Router


@pytest.fixture
def router() -> Router:
    return open_router()


@pytest.fixture
def operator(router: Router) -> Client:
    return joined(router, "operator")


@pytest.fixture
def user(router: Router) -> Client:
    return joined(router)


def test_list_is_by_the_way_to_match(operator: Client, user: Client) -> None:
    assert operator.call("wamp.subscription.list") == [{"exact": [], "prefix": [], "wildcard": []}]
    exact = [user.subscribe(KANBAN), user.subscribe("a.b")]
    prefix, wildcard = operator.subscribe("org.", "prefix"), operator.subscribe("org..", "wildcard")
    assert operator.call("wamp.subscription.list") == [
        {"exact": exact, "prefix": [prefix], "wildcard": [wildcard]}
    ]


def test_lookup_finds_the_very_same(operator: Client, user: Client) -> None:
    exact, prefix = user.subscribe(KANBAN), operator.subscribe(KANBAN, "prefix")
    anything = operator.subscribe("", "prefix")
    lookup = "wamp.subscription.lookup"
    assert operator.call(lookup, KANBAN) == [exact]
    assert operator.call(lookup, KANBAN, {}) == [exact]
    assert operator.call(lookup, KANBAN, None) == [exact]
    assert operator.call(lookup, KANBAN, {"match": "exact"}) == [exact]
    assert operator.call(lookup, KANBAN, {"match": "prefix"}) == [prefix]
    assert operator.call(lookup, "", {"match": "prefix"}) == [anything]
    assert operator.call(lookup, KANBAN, {"match": "wildcard"}) == [None]
    assert operator.call(lookup, "a.b") == [None]


def test_match_finds_all_that_concern_a_topic(operator: Client, user: Client) -> None:
    assert operator.call("wamp.subscription.match", KANBAN) == [None]
    found = [
        user.subscribe(KANBAN),
        operator.subscribe("org.", "prefix"),
        operator.subscribe("org..kanban.", "wildcard"),
    ]
    user.subscribe("a.b")
    assert operator.call("wamp.subscription.match", KANBAN) == [found]


def test_get(operator: Client, user: Client) -> None:
    user.now = 1000.5
    id = user.subscribe(KANBAN)
    operator.subscribe(KANBAN)
    assert operator.call("wamp.subscription.get", id) == [
        {"id": id, "created": "1970-01-01T00:16:40.500000Z", "uri": KANBAN, "match": "exact"}
    ]


def test_subscribers_are_listed_and_counted(operator: Client, user: Client) -> None:
    id = user.subscribe(KANBAN)
    operator.subscribe(KANBAN)
    both = [user.session.id, operator.session.id]
    assert operator.call("wamp.subscription.list_subscribers", id) == [both]
    assert operator.call("wamp.subscription.count_subscribers", id) == [2]
    user.session.lost()
    assert operator.call("wamp.subscription.list_subscribers", id) == [[operator.session.id]]
    assert operator.call("wamp.subscription.count_subscribers", id) == [1]


@pytest.mark.parametrize("procedure", ["get", "list_subscribers", "count_subscribers"])
def test_a_subscription_that_has_ended_is_not_there(operator: Client, user: Client, procedure: str) -> None:
    id = user.subscribe(KANBAN)
    user.session.lost()
    assert operator.refused_call(f"wamp.subscription.{procedure}", id) == "wamp.error.no_such_subscription"


@pytest.mark.parametrize(
    ("procedure", "arguments", "error"),
    [
        ("list", [1], "invalid_argument"),
        ("lookup", [], "invalid_argument"),
        ("lookup", [5], "invalid_argument"),
        ("lookup", ["a.b", "prefix"], "invalid_argument"),
        ("lookup", ["a.b", {"match": "nearly"}], "invalid_argument"),
        ("lookup", ["a.b", {"match": 5}], "invalid_argument"),
        ("lookup", ["a.b", {}, 1], "invalid_argument"),
        ("lookup", ["a b"], "invalid_uri"),
        ("lookup", ["a..b"], "invalid_uri"),
        ("lookup", ["a b", {"match": "wildcard"}], "invalid_uri"),
        ("match", [], "invalid_argument"),
        ("match", ["a..b"], "invalid_uri"),
        ("match", ["a.b", {}], "invalid_argument"),
        ("get", [], "invalid_argument"),
        ("get", ["1"], "invalid_argument"),
        ("get", [1, 2], "invalid_argument"),
        ("list_subscribers", [0], "invalid_argument"),
        ("count_subscribers", [True], "invalid_argument"),
    ],
)
def test_arguments_that_are_not_accepted(
    operator: Client, procedure: str, arguments: list[object], error: str
) -> None:
    refused = operator.refused_call(f"wamp.subscription.{procedure}", *arguments)
    assert refused == f"wamp.error.{error}"
