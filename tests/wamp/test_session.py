"""A session and its state table."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import KANBAN, Everything, RecordingOutlet, Tickets, identity
from tuleaprt.errors import ProtocolViolation
from tuleaprt.wamp.auth import Role
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.session import Session, State

OPENED = 1000.0
OPEN_TIMEOUT = 10.0
GOODBYE_TIMEOUT = 20.0
EXPIRES_AT = 1600.0

HELLO = [1, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"], "authid": "somebody"}]
AUTHENTICATE = [5, "good", {}]
GOODBYE = [6, {}, "wamp.close.close_realm"]


class Client:
    """Speaks to a session and reads what it answers."""

    def __init__(self, realm: Realm) -> None:
        self.now = OPENED
        self.outlet = RecordingOutlet()
        self.session = Session(
            realm,
            Tickets(
                good=identity(102, expires_at=EXPIRES_AT),
                operator=identity(1, role=Role.OPERATOR, expires_at=EXPIRES_AT),
            ),
            self.outlet,
            opened=OPENED,
            open_timeout=OPEN_TIMEOUT,
            goodbye_timeout=GOODBYE_TIMEOUT,
        )

    def say(self, raw: object) -> list[Any]:
        self.session.receive(raw, self.now)
        return self.outlet.take()

    def wake(self, now: float) -> list[Any]:
        self.now = now
        self.session.wake(now)
        return self.outlet.take()

    def join(self, ticket: str = "good", **extra: object) -> list[Any]:
        hello = [1, "tuleap", {**HELLO[2], "authextra": extra}]  # type: ignore[dict-item]
        return self.say(hello) + self.say([5, ticket, {}])


def new_realm() -> Realm:
    return Realm("tuleap", policy=Everything(), new_id=count(5000).__next__, max_subscriptions=2)


@pytest.fixture
def realm() -> Realm:
    return new_realm()


@pytest.fixture
def client(realm: Realm) -> Client:
    return Client(realm)


@pytest.fixture
def joined(realm: Realm) -> Client:
    client = Client(realm)
    client.join()
    return client


def test_hello_is_challenged(client: Client) -> None:
    assert client.say(HELLO) == [[4, "ticket", {}]]


def test_welcome_says_who_the_client_is_whoever_he_said_he_was(client: Client) -> None:
    client.say(HELLO)
    assert client.say(AUTHENTICATE) == [
        [
            2,
            5000,
            {
                "realm": "tuleap",
                "roles": {"broker": {}},
                "authid": "102",
                "authrole": "user",
                "authmethod": "ticket",
                "authextra": {"expires_at": EXPIRES_AT},
            },
        ]
    ]


def test_a_window_may_be_named_or_not(client: Client) -> None:
    client.join(uuid="u" * 128)
    assert client.session.window == "u" * 128


@pytest.mark.parametrize("extra", [{}, {"uuid": None}, {"uuid": ""}])
def test_null_and_empty_name_no_window(client: Client, extra: dict[str, object]) -> None:
    client.join(**extra)
    assert client.session.state is State.JOINED
    assert client.session.window is None


@pytest.mark.parametrize("uuid", ["u" * 129, 7, ["u"], {}, True])
def test_window_name_that_is_no_short_text_is_refused(client: Client, uuid: object) -> None:
    abort, (end, _) = client.say([1, "tuleap", {**HELLO[2], "authextra": {"uuid": uuid}}])  # type: ignore[dict-item]
    assert (abort[0], abort[2], end) == (3, "wamp.error.invalid_argument", End.REFUSED)


@pytest.mark.parametrize("realm_name", ["other", None, "Tuleap"])
def test_unknown_realm_is_refused(client: Client, realm_name: str | None) -> None:
    abort, (end, _) = client.say([1, realm_name, HELLO[2]])
    assert (abort[0], abort[2], end) == (3, "wamp.error.no_such_realm", End.REFUSED)


@pytest.mark.parametrize("methods", [None, [], ["anonymous"], ["wampcra", "cookie"]])
def test_without_tickets_there_is_no_way_in(client: Client, methods: object) -> None:
    details = {"roles": {"subscriber": {}}} | ({} if methods is None else {"authmethods": methods})
    abort, (end, _) = client.say([1, "tuleap", details])
    assert (abort[2], end) == ("wamp.error.no_matching_auth_method", End.REFUSED)


def test_expired_ticket_is_refused_with_its_reason(client: Client, realm: Realm) -> None:
    _, abort, (end, _) = client.join("expired")
    assert (abort[2], end) == ("org.tuleap.error.token_expired", End.REFUSED)
    assert realm.sessions == {}


def test_refused_ticket_is_refused_without_detail(client: Client, realm: Realm) -> None:
    _, abort, close = client.join("bad")
    assert abort == [3, {}, "wamp.error.authentication_denied"]
    assert close == (End.REFUSED, "unknown word")
    assert realm.sessions == {}


def test_nobody_who_was_refused_can_go_on(client: Client) -> None:
    client.join("bad")
    assert client.say(AUTHENTICATE) == []
    assert client.say([32, 1, {}, KANBAN]) == []


def test_subscribe_and_unsubscribe(joined: Client, realm: Realm) -> None:
    ((_, request, subscription),) = joined.say([32, 71, {}, KANBAN])
    assert request == 71
    assert joined.say([32, 72, {}, KANBAN]) == [[33, 72, subscription]]
    assert joined.say([34, 73, subscription]) == [[35, 73]]
    assert len(realm.broker.subscriptions) == 0


@pytest.mark.parametrize(
    ("request_", "uri"),
    [
        ([32, 9, {}, "org.tuleap.secret"], "wamp.error.not_authorized"),
        ([32, 9, {}, "a b"], "wamp.error.invalid_uri"),
        ([32, 9, {}, "a..b"], "wamp.error.invalid_uri"),
        ([32, 9, {}, f"{KANBAN}\n"], "wamp.error.invalid_uri"),
        ([32, 9, {"match": "prefix"}, "org.tuleap"], "wamp.error.not_authorized"),
        ([32, 9, {"match": "wildcard"}, "org..kanban"], "wamp.error.not_authorized"),
        ([34, 9, 12345], "wamp.error.no_such_subscription"),
        ([16, 9, {"acknowledge": True}, KANBAN], "wamp.error.not_authorized"),
        ([16, 9, {"acknowledge": True}, "a b"], "wamp.error.invalid_uri"),
        ([48, 9, {}, "wamp.session.count"], "wamp.error.no_such_procedure"),
        ([64, 9, {}, "my.procedure"], "wamp.error.not_authorized"),
        ([66, 9, 12345], "wamp.error.no_such_registration"),
    ],
    ids=str,
)
def test_request_that_cannot_be_granted_is_answered(joined: Client, request_: list[Any], uri: str) -> None:
    ((code, request_type, request, _, error, _),) = joined.say(request_)
    assert (code, request_type, request, error) == (8, request_[0], 9, uri)
    assert joined.session.state is State.JOINED


def test_an_operator_is_told_that_patterns_are_not_offered(client: Client) -> None:
    client.join("operator")
    ((*_, error, _),) = client.say([32, 9, {"match": "prefix"}, "org.tuleap"])
    assert error == "wamp.error.option_not_allowed"


def test_too_many_subscriptions_are_refused(joined: Client) -> None:
    joined.say([32, 1, {}, "a"])
    joined.say([32, 2, {}, "b"])
    ((*_, error, _),) = joined.say([32, 3, {}, "c"])
    assert error == "org.tuleap.error.limit_exceeded"


def test_unacknowledged_publication_is_denied_in_silence(joined: Client) -> None:
    assert joined.say([16, 9, {}, KANBAN, [], {"cmd": "kanban:delete"}]) == []
    assert joined.say([16, 9, {}, "a b"]) == []


def test_cancel_comes_too_late_for_any_call(joined: Client) -> None:
    assert joined.say([49, 9, {}]) == []


def test_goodbye_is_answered_and_then_all_is_over(joined: Client, realm: Realm) -> None:
    joined.say([32, 1, {}, KANBAN])
    assert joined.say(GOODBYE) == [[6, {}, "wamp.close.goodbye_and_out"], (End.GOODBYE, "")]
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)
    assert joined.say([32, 1, {}, KANBAN]) == []


@pytest.mark.parametrize(
    "before", [[], [HELLO], [HELLO, AUTHENTICATE]], ids=["connected", "challenged", "joined"]
)
def test_a_client_may_abort_at_any_time(client: Client, realm: Realm, before: list[object]) -> None:
    for raw in before:
        client.say(raw)
    assert client.say([3, {}, "wamp.error.x"]) == [(End.GOODBYE, "the client aborted")]
    assert realm.sessions == {}


BEFORE_HELLO = [AUTHENTICATE, GOODBYE, [32, 1, {}, KANBAN], [32, 1, {}, "a b"], [48, 1, {}, "a"], [70, 1, {}]]
BEFORE_TICKET = [HELLO, GOODBYE, [32, 1, {}, KANBAN], [32, 1, {}, "a b"], [16, 1, {}, KANBAN]]
AFTER_WELCOME = [HELLO, AUTHENTICATE, [70, 1, {}], [8, 68, 1, {}, "a.b"]]
NEVER = [
    [],
    {},
    "x",
    None,
    [2, 5, {}],
    [36, 1, 1, {}],
    [999],
    [32, 1, {}],
    [32, "x", {}, KANBAN],
    [1],
    [5, 5, {}],
]


@pytest.mark.parametrize(
    ("before", "raw"),
    [([], it) for it in BEFORE_HELLO + NEVER]
    + [([HELLO], it) for it in BEFORE_TICKET + NEVER]
    + [([HELLO, AUTHENTICATE], it) for it in AFTER_WELCOME + NEVER],
    ids=str,
)
def test_what_is_not_in_the_table_ends_the_session(realm: Realm, before: list[object], raw: object) -> None:
    client = Client(realm)
    for it in before:
        client.say(it)
    abort, (end, detail) = client.say(raw)
    assert (abort[0], abort[2], end) == (3, "wamp.error.protocol_violation", End.VIOLATION)
    assert detail
    assert realm.sessions == {}
    assert client.say(raw) == []


def test_a_ticket_in_the_wrong_place_is_not_in_what_is_logged(client: Client) -> None:
    _, (_, detail) = client.say([5, "s3cr3t", {}])
    _, (_, other) = Client(new_realm()).say([1, "s3cr3t s3cr3t", {}])
    assert "s3cr3t" not in detail + other


def test_who_says_nothing_is_closed_at_the_deadline(client: Client) -> None:
    assert client.session.deadline == OPENED + OPEN_TIMEOUT
    assert client.wake(OPENED + OPEN_TIMEOUT - 0.1) == []
    assert client.wake(OPENED + OPEN_TIMEOUT) == [(End.SILENT, "")]


def test_hello_does_not_buy_more_time(client: Client) -> None:
    client.say(HELLO)
    assert client.wake(OPENED + OPEN_TIMEOUT) == [(End.SILENT, "")]


def test_a_session_ends_when_its_ticket_does(joined: Client, realm: Realm) -> None:
    joined.say([32, 1, {}, KANBAN])
    assert joined.session.deadline == EXPIRES_AT
    ((code, _, reason),) = joined.wake(EXPIRES_AT)
    assert (code, reason) == (6, "org.tuleap.error.token_expired")
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)


def test_the_answer_to_the_routers_goodbye_closes(joined: Client) -> None:
    joined.wake(EXPIRES_AT)
    assert joined.say([32, 1, {}, KANBAN]) == []
    assert joined.say([32, 1, {}, "a b"]) == []
    assert joined.say(GOODBYE) == [(End.EXPIRED, "")]


def test_who_does_not_answer_the_routers_goodbye_is_closed(joined: Client) -> None:
    joined.wake(EXPIRES_AT)
    assert joined.session.deadline == EXPIRES_AT + GOODBYE_TIMEOUT
    assert joined.wake(EXPIRES_AT + GOODBYE_TIMEOUT) == [(End.EXPIRED, "")]
    assert joined.wake(EXPIRES_AT + 2 * GOODBYE_TIMEOUT) == []


def test_violation_while_leaving_still_ends_it(joined: Client) -> None:
    joined.wake(EXPIRES_AT)
    abort, (end, _) = joined.say("nonsense")
    assert (abort[0], end) == (3, End.VIOLATION)


def test_violation_is_told_once(joined: Client) -> None:
    joined.session.violate(ProtocolViolation("not JSON"))
    joined.outlet.take()
    joined.session.violate(ProtocolViolation("not JSON"))
    assert joined.outlet.take() == []


def test_nothing_remains_when_the_connection_is_lost(joined: Client, realm: Realm) -> None:
    joined.say([32, 1, {}, KANBAN])
    joined.session.lost()
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)
    assert joined.say(GOODBYE) == []


def test_one_clients_end_is_not_anothers(realm: Realm, joined: Client) -> None:
    joined.say([32, 1, {}, KANBAN])
    other = Client(realm)
    other.join()
    other.say([32, 1, {}, KANBAN])
    other.say("nonsense")
    assert list(realm.sessions) == [joined.session.id]
    assert joined.say([34, 2, next(iter(joined.session.subscriptions))]) == [[35, 2]]


messages = st.sampled_from(
    [HELLO, AUTHENTICATE, [5, "bad", {}], [5, "expired", {}], GOODBYE, [32, 1, {}, KANBAN],
     [32, 2, {}, "a.b"], [32, 2, {}, "a b"], [34, 3, 1], [34, 3, 2], [16, 4, {"acknowledge": True}, KANBAN],
     [48, 5, {}, "a.b"],
     [49, 5, {}], [64, 6, {}, "a.b"], [66, 7, 1], [3, {}, "a.b"], [70, 1, {}], "nonsense", []]
)  # fmt: skip
inputs = st.lists(st.one_of(messages, st.just(1700.0), st.just(None)), max_size=25)


@given(inputs, inputs)
def test_any_sequence_of_inputs_leaves_the_realm_consistent(first: list[Any], second: list[Any]) -> None:
    realm = new_realm()
    clients = [Client(realm), Client(realm)]
    for client, script in zip(clients, (first, second), strict=True):
        for it in script:
            if it is None:
                client.session.lost()
            elif isinstance(it, float):
                client.session.wake(it)
            else:
                client.session.receive(it, client.now)
            joined = client.session.state is State.JOINED
            assert (client.session.id in realm.sessions) is joined
            assert joined or not client.session.subscriptions
    for client in clients:
        client.session.lost()
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)
