"""A session and its state table."""

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import KANBAN, Publishing, identity
from tests.wamp.clients import (
    AUTHENTICATE,
    EXPIRES_AT,
    GOODBYE,
    HELLO,
    OPENED,
    REVOCABLE,
    Client,
    hello,
    joined,
    open_router,
)
from tuleaprt.errors import ProtocolViolation, Unavailable
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR
from tuleaprt.wamp.calls import Arguments, Result
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import Session, State

RATE_EXCEEDED = "org.tuleap.error.rate_exceeded"


@pytest.fixture
def router() -> Router:
    return open_router()


@pytest.fixture
def realm(router: Router) -> Realm:
    return router.realm


@pytest.fixture
def client(router: Router) -> Client:
    return Client(router)


@pytest.fixture
def user(router: Router) -> Client:
    return joined(router)


# Joining.


def test_expired_ticket_is_refused_with_its_reason(client: Client, realm: Realm) -> None:
    _, abort, (end, _) = client.join("expired")
    assert (abort[2], end) == ("org.tuleap.error.token_expired", End.REFUSED)
    assert realm.sessions == {}


def test_refused_ticket_is_refused_without_detail(client: Client, realm: Realm) -> None:
    _, abort, close = client.join("bad")
    assert abort == [3, {}, "wamp.error.authentication_denied"]
    assert close == (End.REFUSED, "unknown word")
    assert realm.sessions == {}


def test_who_is_refused_at_hello_never_joins(client: Client, realm: Realm) -> None:
    abort, (end, detail) = client.say(hello("other"))
    assert (abort[0], end, detail) == (3, End.REFUSED, "there is no such realm")
    assert client.say(HELLO) == []
    assert realm.sessions == {}


def test_where_no_ticket_is_asked_for_hello_joins() -> None:
    client = Client(open_router(anonymous=ANONYMOUS_OPERATOR))
    ((code, id, _),) = client.say(hello(authmethods=None))
    assert (code, list(client.session.router.realm.sessions)) == (2, [id])
    (abort, _) = client.say(AUTHENTICATE)
    assert abort[2] == "wamp.error.protocol_violation"


def test_nobody_who_was_refused_can_go_on(client: Client) -> None:
    client.join("bad")
    assert client.say(AUTHENTICATE) == []
    assert client.say([32, 1, {}, KANBAN]) == []


def test_a_second_session_of_a_window_replaces_the_first(router: Router) -> None:
    first = joined(router, uuid="w")
    second = joined(router, uuid="w")
    ((code, details, reason),) = first.outlet.take()
    assert (code, reason) == (6, "org.tuleap.close.replaced")
    assert details["message"]
    assert list(router.realm.sessions) == [second.session.id]
    assert first.say(GOODBYE) == [(End.REPLACED, "")]


def test_the_late_death_of_a_replaced_session_means_nothing(router: Router) -> None:
    first, second = joined(router, uuid="w"), joined(router, uuid="w")
    first.session.lost()
    assert list(router.realm.sessions) == [second.session.id]
    third = joined(router, uuid="w")
    assert second.outlet.take()[0][2] == "org.tuleap.close.replaced"
    assert list(router.realm.sessions) == [third.session.id]


# Leaving.


def test_goodbye_is_answered_and_then_all_is_over(user: Client, realm: Realm) -> None:
    user.subscribe(KANBAN)
    assert user.say(GOODBYE) == [[6, {}, "wamp.close.goodbye_and_out"], (End.GOODBYE, "")]
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)
    assert user.say([32, 1, {}, KANBAN]) == []
    assert user.say(GOODBYE) == []


@pytest.mark.parametrize(
    "before", [[], [HELLO], [HELLO, AUTHENTICATE]], ids=["connected", "challenged", "joined"]
)
def test_a_client_may_abort_at_any_time(client: Client, realm: Realm, before: list[object]) -> None:
    for raw in before:
        client.say(raw)
    assert client.say([3, {}, "wamp.error.x"]) == [(End.GOODBYE, "the client aborted")]
    assert realm.sessions == {}


def test_nothing_remains_when_the_connection_is_lost(user: Client, realm: Realm) -> None:
    user.subscribe(KANBAN)
    user.session.lost()
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)
    assert user.say(GOODBYE) == []


def test_one_clients_end_is_not_anothers(router: Router, user: Client) -> None:
    subscription = user.subscribe(KANBAN)
    other = joined(router)
    other.subscribe(KANBAN)
    other.say("nonsense")
    assert list(router.realm.sessions) == [user.session.id]
    assert user.say([34, 2, subscription]) == [[35, 2]]


def test_the_answer_to_the_routers_goodbye_closes(user: Client) -> None:
    user.wake(EXPIRES_AT)
    assert user.say([32, 1, {}, KANBAN]) == []
    assert user.say([32, 1, {}, "a b"]) == []
    assert user.say(GOODBYE) == [(End.EXPIRED, "")]


def test_who_does_not_answer_the_routers_goodbye_is_closed(user: Client) -> None:
    user.wake(EXPIRES_AT)
    assert user.outlet.waking_at == EXPIRES_AT + 20
    assert user.wake(EXPIRES_AT + 20) == [(End.EXPIRED, "")]
    assert user.wake(EXPIRES_AT + 40) == []


def test_a_killed_session_says_why_when_it_is_closed(user: Client) -> None:
    user.session.dismiss(End.KILLED, "wamp.close.killed", "out", user.now)
    assert user.outlet.take() == [[6, {"message": "out"}, "wamp.close.killed"]]
    assert user.say(GOODBYE) == [(End.KILLED, "")]


def test_violation_while_leaving_still_ends_it(user: Client) -> None:
    user.wake(EXPIRES_AT)
    abort, (end, _) = user.say("nonsense")
    assert (abort[0], end) == (3, End.VIOLATION)


# What is not in the table.

BEFORE_HELLO = [AUTHENTICATE, GOODBYE, [32, 1, {}, KANBAN], [32, 1, {}, "a b"], [48, 1, {}, "a"], [70, 1, {}]]
BEFORE_TICKET = [HELLO, GOODBYE, [32, 1, {}, KANBAN], [32, 1, {}, "a b"], [16, 1, {}, KANBAN]]
AFTER_WELCOME = [HELLO, AUTHENTICATE, [70, 1, {}], [8, 68, 1, {}, "a.b"], [32, 0, {}, KANBAN], [49, 0, {}]]
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
def test_what_is_not_in_the_table_ends_the_session(client: Client, before: list[object], raw: object) -> None:
    for it in before:
        client.say(it)
    abort, (end, detail) = client.say(raw)
    assert (abort[0], abort[2], end) == (3, "wamp.error.protocol_violation", End.VIOLATION)
    assert detail
    assert client.session.router.realm.sessions == {}
    assert client.say(raw) == []


def test_a_ticket_in_the_wrong_place_is_not_in_what_is_logged(router: Router, client: Client) -> None:
    _, (_, detail) = client.say([5, "s3cr3t", {}])
    _, (_, other) = Client(router).say([1, "s3cr3t s3cr3t", {}])
    assert "s3cr3t" not in detail + other


def test_violation_is_told_once(user: Client) -> None:
    user.session.violate(ProtocolViolation("not JSON"))
    user.outlet.take()
    user.session.violate(ProtocolViolation("not JSON"))
    assert user.outlet.take() == []


# Time.


def test_who_says_nothing_is_closed_at_the_deadline(client: Client) -> None:
    assert client.outlet.waking_at == OPENED + 10
    assert client.wake(OPENED + 10) == [(End.SILENT, "")]


def test_who_is_woken_too_early_asks_again(client: Client) -> None:
    client.outlet.waking_at = float("inf")
    assert client.wake(OPENED + 9.9) == []
    assert client.outlet.waking_at == OPENED + 10


def test_hello_does_not_buy_more_time(client: Client) -> None:
    client.say(HELLO)
    assert client.wake(OPENED + 10) == [(End.SILENT, "")]


def test_what_comes_after_the_deadline_comes_too_late(client: Client) -> None:
    client.now = OPENED + 10
    assert client.say(HELLO) == [(End.SILENT, "")]


def test_a_session_ends_when_its_ticket_does(user: Client, realm: Realm) -> None:
    user.subscribe(KANBAN)
    assert user.outlet.waking_at == EXPIRES_AT
    ((code, _, reason),) = user.wake(EXPIRES_AT)
    assert (code, reason) == (6, "org.tuleap.error.token_expired")
    assert (len(realm.sessions), len(realm.broker.subscriptions)) == (0, 0)


def test_nothing_is_served_after_the_ticket_even_if_nobody_has_been_woken(user: Client) -> None:
    user.now = EXPIRES_AT
    ((code, _, reason),) = user.say([32, 1, {}, KANBAN])
    assert (code, reason) == (6, "org.tuleap.error.token_expired")


def test_a_newer_ticket_buys_more_time(user: Client) -> None:
    user.session.assume(identity(102, expires_at=EXPIRES_AT + 600))
    assert user.outlet.waking_at == EXPIRES_AT + 600
    assert user.wake(EXPIRES_AT) == []
    assert user.subscribe(KANBAN)


# Revocation.


@pytest.mark.parametrize("announced", [True, False])
def test_what_a_newer_ticket_does_not_cover_is_revoked(realm: Realm, client: Client, announced: bool) -> None:
    client.join(roles=REVOCABLE if announced else {"subscriber": {}})
    kept, lost = client.subscribe("a.b"), client.subscribe(KANBAN)
    realm.policy.secrets.add(KANBAN)  # type: ignore[attr-defined]
    client.session.assume(identity(102, expires_at=EXPIRES_AT))
    told = [[35, 0, {"subscription": lost, "reason": "wamp.error.not_authorized"}]]
    assert client.outlet.take() == (told if announced else [])
    assert client.session.subscriptions == {kept}
    assert realm.broker.subscriptions.match(KANBAN) == []


# The rate: one message a second means that two are served at once, four wait, and two are refused.


def subscribing(router: Router, messages: int) -> tuple[Client, list[Any]]:
    """A client that subscribes so often at once, with the request ids 1, 2 …, and what it is answered."""
    client = joined(router)
    return client, [client.say([32, n, {}, f"a.{n}"]) for n in range(1, messages + 1)]


@pytest.fixture
def slow() -> Router:
    return open_router(requests_per_second=1)


def test_who_asks_too_fast_is_delayed_and_served_in_order(slow: Router) -> None:
    client, answers = subscribing(slow, 4)
    assert answers == [[[33, 1, 1]], [[33, 2, 2]], [], []]
    assert client.outlet.is_paused
    assert client.outlet.waking_at == OPENED + 1
    assert client.wake(OPENED + 1) == [[33, 3, 3]]
    assert client.outlet.is_paused
    assert client.wake(OPENED + 2) == [[33, 4, 4]]
    assert not client.outlet.is_paused
    assert client.outlet.waking_at == EXPIRES_AT


def test_a_message_does_not_overtake_one_that_waits(slow: Router) -> None:
    client, _ = subscribing(slow, 3)
    client.now = OPENED + 1
    assert client.say([32, 4, {}, "a.4"]) == []
    assert client.wake(OPENED + 3) == [[33, 3, 3]]
    assert client.wake(OPENED + 4) == [[33, 4, 4]]


def test_who_does_not_stop_is_refused_and_then_ended(slow: Router) -> None:
    client, (*_, seventh, eighth) = subscribing(slow, 8)
    assert [it[0][:5] for it in (seventh, eighth)] == [
        [8, 32, 7, {}, RATE_EXCEEDED],
        [8, 32, 8, {}, RATE_EXCEEDED],
    ]
    goodbye, (end, _) = client.say([32, 9, {}, "a.9"])
    assert (goodbye[0], goodbye[2], end) == (6, RATE_EXCEEDED, End.FLOOD)
    assert (len(slow.realm.sessions), len(slow.realm.broker.subscriptions)) == (0, 0)
    assert client.wake(OPENED + 30) == []


def test_what_is_not_acknowledged_is_refused_in_silence(slow: Router) -> None:
    client, _ = subscribing(slow, 6)
    assert client.say([16, 7, {}, KANBAN]) == []
    assert client.say([49, 8, {}]) == []


def test_who_is_refused_may_still_say_goodbye(slow: Router) -> None:
    client, _ = subscribing(slow, 6)
    assert client.say(GOODBYE) == [[6, {}, "wamp.close.goodbye_and_out"], (End.GOODBYE, "")]


def test_who_is_refused_may_still_abort(slow: Router) -> None:
    client, _ = subscribing(slow, 6)
    assert client.say([3, {}, "wamp.error.x"]) == [(End.GOODBYE, "the client aborted")]


@pytest.mark.parametrize(
    "raw", [HELLO, AUTHENTICATE, [70, 1, {}], [8, 68, 1, {}, "a.b"], "nonsense"], ids=str
)
def test_a_violation_is_one_even_when_it_is_too_much(slow: Router, raw: object) -> None:
    client, _ = subscribing(slow, 6)
    abort, (end, _) = client.say(raw)
    assert (abort[0], abort[2], end) == (3, "wamp.error.protocol_violation", End.VIOLATION)


def test_who_has_slowed_down_is_served_again(slow: Router) -> None:
    client, _ = subscribing(slow, 8)
    for seconds in range(1, 6):
        client.wake(OPENED + seconds)
    assert client.say([34, 9, 1]) == [[35, 9]]


def test_a_goodbye_that_waits_ends_the_session_in_its_turn(slow: Router) -> None:
    client, _ = subscribing(slow, 2)
    assert client.say(GOODBYE) == []
    assert client.say([32, 9, {}, "a.9"]) == []
    client.outlet.waking_at = float("inf")
    assert client.wake(OPENED + 5) == [[6, {}, "wamp.close.goodbye_and_out"], (End.GOODBYE, "")]
    assert not client.outlet.is_paused
    assert client.outlet.waking_at == float("inf")


def test_what_waits_when_the_ticket_ends_is_not_served(slow: Router) -> None:
    client, _ = subscribing(slow, 6)
    ((code, _, reason),) = client.wake(EXPIRES_AT)
    assert (code, reason) == (6, "org.tuleap.error.token_expired")
    assert not client.outlet.is_paused
    assert client.outlet.waking_at == EXPIRES_AT + 20
    assert client.say(GOODBYE) == [(End.EXPIRED, "")]


def test_who_waits_is_woken_when_the_ticket_ends_if_that_is_earlier(slow: Router) -> None:
    client = joined(slow)
    client.now = EXPIRES_AT - 0.5
    for n in (1, 2, 3):
        client.say([32, n, {}, KANBAN])
    assert client.outlet.is_paused
    assert client.outlet.waking_at == EXPIRES_AT


def test_what_waits_when_the_connection_is_lost_is_not_served(slow: Router) -> None:
    client, _ = subscribing(slow, 6)
    client.session.lost()
    assert client.wake(OPENED + 5) == []
    assert len(slow.realm.broker.subscriptions) == 0


# Anything at all.


def assume(caller: Session, arguments: Arguments, now: float) -> Result:
    caller.assume(caller.identity)
    return Result()


ASSUME = {"org.tuleap.assume": assume}
IDS = range(5000, 5004)
MESSAGES = [
    *([5, it, {}] for it in ("good", "other", "operator", "bad", "expired")),
    hello("other"),
    hello(authmethods=None),
    GOODBYE,
    [3, {}, "a.b"],
    [70, 1, {}],
    "nonsense",
    [],
    *([32, 1, {}, it] for it in (KANBAN, "a.b", "a b", "org.tuleap.secret", "wamp.session.on_leave")),
    *([32, 1, {"match": "prefix"}, it] for it in ("", "org.", "wamp.")),
    *([32, 1, {"match": "wildcard"}, it] for it in ("..", "wamp.session.", "a b")),
    *([34, 3, it] for it in (1, 2, 3)),
    [16, 4, {}, KANBAN],
    [16, 4, {"acknowledge": True, "eligible": []}, KANBAN, [], {"cmd": "x"}],
    [64, 6, {}, "a.b"],
    [66, 7, 1],
    [49, 5, {}],
    [48, 5, {}, "a.b"],
    [48, 5, {}, "org.tuleap.assume"],
    *([48, 5, {}, f"wamp.session.{it}"] for it in ("count", "list", "kill_all")),
    *([48, 5, {}, f"wamp.session.{verb}", [id]] for verb in ("get", "kill") for id in IDS),
    *([48, 5, {}, "wamp.session.kill_by_authid", [it]] for it in ("102", "1")),
    *([48, 5, {}, "wamp.session.kill_by_authrole", [it]] for it in ("user", "operator")),
    [48, 5, {}, "wamp.session.kill_all", [], {"reason": "a b"}],
    [48, 5, {}, "wamp.subscription.list"],
    *([48, 5, {}, f"wamp.subscription.{it}", [KANBAN]] for it in ("lookup", "match")),
    *(
        [48, 5, {}, f"wamp.subscription.{verb}", [id]]
        for verb in ("get", "list_subscribers", "count_subscribers", "get_events")
        for id in (1, 2)
    ),
]
# The first two clients speak for one window of one user; the others are operators.
TICKETS = ("good", "good", "operator", "colleague")
steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(MESSAGES)
        | st.sampled_from(["join", "lost", "answer", "new rules"])
        | st.sampled_from([0.5, 5.0, 30.0, 700.0]),
    ),
    max_size=40,
)


def check(realm: Realm, clients: list[Client]) -> None:
    """Exactly the joined sessions are in the realm, and nothing is left of others."""
    joined = {it.session for it in clients if it.session.state is State.JOINED}
    assert set(realm.sessions.values()) == joined
    assert all(realm.sessions[it.id] is it for it in joined)
    assert set(realm.sessions.windows.values()) <= joined
    assert {it for of_user in realm.sessions.users.values() for it in of_user.values()} == joined
    held = {(it, id) for it in joined for id in it.subscriptions}
    assert {(it, of.id) for of in realm.broker.subscriptions for it in of.subscribers} == held
    assert all(it.session in joined or not it.session.subscriptions for it in clients)


@given(steps, st.sampled_from([1, 1000]))
def test_any_sequence_of_inputs_leaves_the_realm_consistent(script: list[Any], per_second: float) -> None:
    publishing = Publishing()
    router = open_router(
        publisher=publishing,
        anonymous=ANONYMOUS_OPERATOR,
        requests_per_second=per_second,
        others=ASSUME,
    )
    realm, now, answers = router.realm, OPENED, count()
    clients = [Client(router) for _ in TICKETS]
    for who, step in script:
        client = clients[who]
        client.now = now
        if step == "join":
            client.join(TICKETS[who], roles=REVOCABLE, uuid="w")
        elif step == "lost":
            client.session.lost()
            clients[who] = Client(router, opened=now)
            clients.append(client)
        elif step == "answer":
            for answer in publishing.answers:
                answer(77 if next(answers) % 2 else Unavailable("not now"))
            publishing.answers.clear()
        elif step == "new rules":
            realm.policy.secrets ^= {KANBAN}  # type: ignore[attr-defined]
        elif isinstance(step, float):
            now += step
            for it in clients:
                if it.outlet.waking_at <= now:
                    it.wake(now)
        else:
            client.say(step)
        check(realm, clients)
    for it in clients:
        it.session.lost()
    assert (len(realm.sessions), len(realm.broker.subscriptions), len(realm.sessions.windows)) == (0, 0, 0)
    assert realm.sessions.users == {}


def test_who_has_been_dismissed_is_not_dismissed_again(user: Client) -> None:
    session = user.session
    session.dismiss(End.KILLED, "wamp.close.killed", None, OPENED)
    user.outlet.take()
    session.dismiss(End.REPLACED, "org.tuleap.close.replaced", None, OPENED)
    assert user.outlet.take() == []
    assert user.say([3, {}, "wamp.error.x"]) == [(End.KILLED, "")]


def test_one_session_too_many_of_a_user_is_refused_and_the_others_stay() -> None:
    router = open_router(max_sessions_per_user=2)
    first, second, third = (Client(router) for _ in range(3))
    first.join()
    second.join()
    _, (code, _, uri), *_ = third.join()
    assert (code, uri) == (3, "org.tuleap.error.limit_exceeded")
    assert third.session.state is State.ENDED
    assert first.session.is_joined
    assert second.session.is_joined
    assert Client(router).join("other")[-1][0] == 2
    first.session.lost()
    assert Client(router).join()[-1][0] == 2
