"""HELLO and WELCOME."""

import pytest

from tests.fakes import Member
from tests.wamp.clients import AUTHENTICATE, EXPIRES_AT, HELLO, REVOCABLE, Client, hello, joined, open_router
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import State

BROKER = {
    "event_history": True,
    "pattern_based_subscription": True,
    "publisher_exclusion": True,
    "session_meta_api": True,
    "subscriber_blackwhite_listing": True,
    "subscription_meta_api": True,
    "subscription_revocation": True,
}
ROLES = {"broker": {"features": BROKER}, "dealer": {"features": {"session_meta_api": True}}}


@pytest.fixture
def client() -> Client:
    return Client(open_router())


@pytest.fixture
def open_door() -> Router:
    return open_router(anonymous=ANONYMOUS_OPERATOR)


def refusal_of(client: Client, raw: object) -> str:
    """The URI of the ABORT that answers a HELLO, and closes."""
    (code, _, uri), (end, detail) = client.say(raw)
    assert (code, end, client.session.state) == (3, End.REFUSED, State.ENDED)
    assert detail
    return uri


def test_hello_is_challenged(client: Client) -> None:
    assert client.say(HELLO) == [[4, "ticket", {}]]


def test_welcome_says_who_the_client_is_whoever_he_said_he_was_and_what_is_offered(client: Client) -> None:
    client.say(HELLO)
    assert client.say(AUTHENTICATE) == [
        [
            2,
            5000,
            {
                "realm": "tuleap",
                "roles": ROLES,
                "authid": "102",
                "authrole": "user",
                "authmethod": "ticket",
                "authprovider": "tuleaprt",
                "authextra": {"expires_at": EXPIRES_AT},
            },
        ]
    ]


def test_an_operator_is_welcomed_as_such(client: Client) -> None:
    _, (_, _, details) = client.join("operator")
    assert (details["authid"], details["authrole"]) == ("1", "operator")


def test_a_window_may_be_named_or_not(client: Client) -> None:
    client.join(uuid="u" * 128)
    assert client.session.window == "u" * 128


@pytest.mark.parametrize("extra", [None, {}, {"uuid": None}, {"uuid": ""}])
def test_null_and_empty_name_no_window(client: Client, extra: object) -> None:
    assert client.say(hello(authextra=extra)) == [[4, "ticket", {}]]
    assert client.session.window is None


@pytest.mark.parametrize("uuid", ["u" * 129, 7, ["u"], {}, True])
def test_window_name_that_is_no_short_text_is_refused(client: Client, uuid: object) -> None:
    assert refusal_of(client, hello(authextra={"uuid": uuid})) == "wamp.error.invalid_argument"


@pytest.mark.parametrize("realm", ["other", None, "Tuleap"])
def test_unknown_realm_is_refused(client: Client, realm: object) -> None:
    assert refusal_of(client, hello(realm)) == "wamp.error.no_such_realm"


@pytest.mark.parametrize("methods", [None, [], ["anonymous"], ["wampcra", "cookie"]])
def test_without_a_ticket_there_is_no_way_in(client: Client, methods: object) -> None:
    assert refusal_of(client, hello(authmethods=methods)) == "wamp.error.no_matching_auth_method"


@pytest.mark.parametrize("methods", [["wampcra", "ticket"], ["ticket", "ticket"], ["anonymous", "ticket"]])
def test_a_ticket_is_taken_wherever_it_is_offered(client: Client, methods: list[str]) -> None:
    assert client.say(hello(authmethods=methods)) == [[4, "ticket", {}]]


@pytest.mark.parametrize("roles", [None, {}, {"broker": {}}, [], {"subscriber": None}])
def test_hello_must_say_what_the_client_is(client: Client, roles: object) -> None:
    (code, _, uri), (end, _) = client.say(hello(roles=roles))
    assert (code, uri, end) == (3, "wamp.error.protocol_violation", End.VIOLATION)


@pytest.mark.parametrize("methods", [None, [], ["anonymous"], ["cookie", "anonymous", "ticket"]])
def test_where_no_ticket_is_asked_for_hello_is_welcomed_at_once(open_door: Router, methods: object) -> None:
    client = Client(open_door)
    assert client.say(hello(authmethods=methods)) == [
        [
            2,
            5000,
            {
                "realm": "tuleap",
                "roles": ROLES,
                "authid": "anonymous",
                "authrole": "operator",
                "authmethod": "anonymous",
                "authprovider": "tuleaprt",
            },
        ]
    ]
    assert client.session.is_joined


def test_a_session_without_a_ticket_never_expires(open_door: Router) -> None:
    client = Client(open_door)
    client.say(hello(authmethods=None))
    assert client.outlet.waking_at == float("inf")
    assert client.wake(10**10) == []


def test_where_no_ticket_is_asked_for_one_may_be_shown(open_door: Router) -> None:
    client = Client(open_door)
    challenge, (_, _, details) = client.join()
    assert challenge == [4, "ticket", {}]
    assert (details["authid"], details["authmethod"]) == ("102", "ticket")


def test_where_no_ticket_is_asked_for_other_methods_are_still_unknown(open_door: Router) -> None:
    refused = refusal_of(Client(open_door), hello(authmethods=["wampcra"]))
    assert refused == "wamp.error.no_matching_auth_method"


@pytest.mark.parametrize(
    ("roles", "is_told"),
    [
        (REVOCABLE, True),
        ({"subscriber": {"features": {"subscription_revocation": False}}}, False),
        ({"subscriber": {"features": {}}}, False),
        ({"subscriber": {}}, False),
        ({"publisher": {}}, False),
    ],
)
def test_a_lost_subscription_is_told_to_whom_understands_it(roles: object, is_told: bool) -> None:
    client = joined(open_router(), roles=roles)
    client.session.revoked(7, "wamp.error.not_authorized")
    told = [[35, 0, {"subscription": 7, "reason": "wamp.error.not_authorized"}]]
    assert client.outlet.take() == (told if is_told else [])


def test_what_a_client_says_of_itself_gives_it_no_rights(client: Client) -> None:
    client.say(hello(authid="1", authrole="operator"))
    client.say(AUTHENTICATE)
    assert client.session.identity == Member(user_id=102, expires_at=EXPIRES_AT).identity
