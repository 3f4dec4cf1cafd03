"""The same behaviours over every transport and in every serializer."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Log
from tests.fakes import CAMPAIGN, KANBAN, publication
from tests.transport.sockets import HELLO, Browser, Peer, Program, Server
from tuleaprt.transport.serializers import CBOR, SERIALIZERS, Serializer
from tuleaprt.wamp.outlet import End

KINDS: dict[str, type[Peer]] = {"websocket": Browser, "rawsocket": Program}
VIOLATION = "wamp.error.protocol_violation"
REVOCABLE = {"subscriber": {"features": {"subscription_revocation": True}}}


@pytest.fixture(params=SERIALIZERS, ids=lambda it: it.name)
def serializer(request: pytest.FixtureRequest) -> Serializer:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=KINDS)
def peers(request: pytest.FixtureRequest, server: Server, serializer: Serializer) -> Iterator[Any]:
    """Makes clients of one kind that have not sent anything yet."""
    made: list[Peer] = []

    def peer() -> Peer:
        made.append(KINDS[request.param](server, serializer))  # type: ignore[call-arg]
        return made[-1]

    yield peer
    for it in made:
        it.lose()


@pytest.fixture
def peer(peers: Any) -> Peer:
    peer: Peer = peers()
    peer.join()
    return peer


@pytest.fixture
def operator(peers: Any) -> Peer:
    operator: Peer = peers()
    operator.join("operator")
    return operator


def call(peer: Peer, procedure: str, *args: object, **kwargs: object) -> Any:
    (reply,) = peer.say([48, 9, {}, procedure, list(args), kwargs])
    return reply


def test_welcome_says_who_one_is_and_what_there_is(peers: Any) -> None:
    challenge, (code, session, details) = peers().join()
    assert challenge == [4, "ticket", {}]
    assert (code, session, details["authid"], details["authrole"]) == (2, 5000, "102", "user")
    assert {role: sorted(it["features"]) for role, it in details["roles"].items()} == {
        "broker": [
            "event_history",
            "pattern_based_subscription",
            "publisher_exclusion",
            "session_meta_api",
            "subscriber_blackwhite_listing",
            "subscription_meta_api",
            "subscription_revocation",
        ],
        "dealer": ["session_meta_api"],
    }


def test_an_event_is_the_same_in_every_format(peer: Peer, server: Server) -> None:
    ((_, _, subscription),) = peer.say([32, 1, {}, KANBAN])
    kwargs = {"cmd": "kanban:edit", "data": {"é\U0001f600": [1, -1, 2.5, None, True, 2**53, "", {}]}}
    server.publish(publication(kwargs))
    server.clock.advance(0)
    assert peer.take() == [[36, subscription, 77, {}, [], kwargs]]


def test_who_has_two_patterns_and_the_topic_gets_three_events(operator: Peer, server: Server) -> None:
    exact, prefix, wildcard = (
        operator.say([32, 1, {"match": match}, topic])[0][2]
        for match, topic in (("exact", KANBAN), ("prefix", "org.tuleap."), ("wildcard", "org..kanban."))
    )
    server.publish(publication())
    server.clock.advance(0)
    assert [it[1:4] for it in operator.take()] == [
        [exact, 77, {}],
        [prefix, 77, {"topic": KANBAN}],
        [wildcard, 77, {"topic": KANBAN}],
    ]


def test_unsubscribe_ends_the_events(peer: Peer, server: Server) -> None:
    ((_, _, subscription),) = peer.say([32, 1, {}, KANBAN])
    assert peer.say([34, 2, subscription]) == [[35, 2]]
    server.publish(publication())
    server.clock.advance(0)
    assert peer.take() == []


def test_what_cannot_be_granted_is_an_error_and_the_session_goes_on(peer: Peer) -> None:
    for request, uri in (
        ([32, 9, {}, "org.tuleap.secret"], "wamp.error.not_authorized"),
        ([32, 9, {}, "a b"], "wamp.error.invalid_uri"),
        ([32, 9, {}, f"{KANBAN}\n"], "wamp.error.invalid_uri"),
        ([34, 9, 12345], "wamp.error.no_such_subscription"),
        ([16, 9, {"acknowledge": True}, KANBAN], "wamp.error.not_authorized"),
        ([48, 9, {}, "wamp.session.count"], "wamp.error.not_authorized"),
        ([48, 9, {}, "my.procedure"], "wamp.error.no_such_procedure"),
        ([64, 9, {}, "my.procedure"], "wamp.error.not_authorized"),
    ):
        ((code, type, id, _, error, _),) = peer.say(request)
        assert (code, type, id, error) == (8, request[0], 9, uri)
    assert not peer.is_ended()


def test_an_operator_asks_and_kills(peer: Peer, operator: Peer) -> None:
    assert call(operator, "wamp.session.list")[3] == [[5000, 5001]]
    session = call(operator, "wamp.session.get", 5000)[3][0]
    assert (session["authid"], session["transport"]["protocol"][:7]) == ("102", "wamp.2.")
    assert call(operator, "wamp.session.kill", 5000, message="bye")[0] == 50
    assert peer.take() == [[6, {"message": "bye"}, "wamp.close.killed"]]
    peer.say([6, {}, "wamp.close.goodbye_and_out"])
    assert peer.is_ended()


def test_an_operator_publishes_and_is_answered_when_it_is_known(operator: Peer, server: Server) -> None:
    publishing: Any = server.router.publisher
    kwargs = {"cmd": "kanban:edit", "data": 1, "rights": {}}
    assert operator.say([16, 7, {"acknowledge": True, "eligible": []}, KANBAN, [], kwargs]) == []
    ((topic, args, given, audience),) = publishing.asked
    assert (topic, args, given, audience.eligible) == (KANBAN, [], kwargs, frozenset())
    publishing.answers[0](4711)
    assert operator.take() == [[17, 7, 4711]]


def test_what_was_missed_can_be_asked_for(peer: Peer, server: Server) -> None:
    ((_, _, subscription),) = peer.say([32, 1, {}, KANBAN])
    position = call(peer, "wamp.subscription.get_events", subscription, limit=0)[4]["position"]
    for id in (71, 72):
        server.publish(publication(id=id))
    server.clock.advance(0)
    peer.take()
    code, _, _, events, kwargs = call(
        peer, "wamp.subscription.get_events", subscription, after_publication=position
    )
    assert (code, [it["publication"] for it in events]) == (50, [71, 72])
    assert events[0] == {
        "timestamp": "1970-01-01T00:16:40.000000Z",
        "subscription": subscription,
        "publication": 71,
        "details": {},
        "args": [],
        "kwargs": {"cmd": "kanban:delete", "data": ""},
    }
    assert kwargs == {"position": 72, "position_lost": False, "more": False}


def test_a_lost_right_is_told_to_who_understands_it(peers: Any, server: Server) -> None:
    for roles, expected in (
        (REVOCABLE, [[35, 0, {"subscription": 1, "reason": "wamp.error.not_authorized"}]]),
        (None, []),
    ):
        server.policy.secrets.discard(CAMPAIGN)
        peer = peers()
        peer.join(roles=roles)
        ((_, _, subscription),) = peer.say([32, 1, {}, CAMPAIGN])
        server.policy.secrets.add(CAMPAIGN)
        server.realm.revoke_what_is_lost(peer.connection.session)
        received = peer.take()
        assert [it[:2] for it in received] == [it[:2] for it in expected]
        assert [it[2] for it in received] == [{**it[2], "subscription": subscription} for it in expected]
        server.publish(publication(topic=CAMPAIGN))
        server.clock.advance(0)
        assert peer.take() == []


def test_a_second_session_of_a_window_replaces_the_first(peers: Any, server: Server) -> None:
    first, second = peers(), peers()
    first.join(uuid="w")
    second.join(uuid="w")
    assert first.take()[0][2] == "org.tuleap.close.replaced"
    assert list(server.realm.sessions) == [5001]
    first.lose()
    assert list(server.realm.sessions) == [5001]


def test_goodbye_is_answered_and_closed(peer: Peer, server: Server) -> None:
    assert peer.say([6, {}, "wamp.close.close_realm"])[0] == [6, {}, "wamp.close.goodbye_and_out"]
    assert peer.is_ended()
    assert server.sizes()[0] == 0


def test_the_end_of_a_ticket_is_a_goodbye(peer: Peer, server: Server) -> None:
    server.clock.advance(600)
    assert peer.take()[-1][2] == "org.tuleap.error.token_expired"
    peer.say([6, {}, "wamp.close.goodbye_and_out"])
    assert peer.is_ended()


@pytest.mark.parametrize("before", [0, 1, 2], ids=["connected", "challenged", "joined"])
@pytest.mark.parametrize(
    "raw", [[], {}, "x", [999], [2, 1, {}], [36, 1, 1, {}], [32, 0, {}, KANBAN]], ids=str
)
def test_what_is_no_wamp_is_aborted(peers: Any, server: Server, log: Log, before: int, raw: object) -> None:
    peer = peers()
    peer.greet()
    for message in [HELLO, [5, "good", {}]][:before]:
        peer.say(message)
    abort = peer.say(raw)[0]
    assert (abort[0], abort[2]) == (3, "wamp.error.protocol_violation")
    assert peer.is_ended()
    assert peer.say([32, 1, {}, KANBAN]) == []
    assert log.tracebacks == []
    assert server.realm.sessions == {}


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\xff" * 20, b"[" * 1900, b"\x9f" * 1900, b"\x91" * 1900], ids=repr
)
def test_what_cannot_be_decoded_is_aborted(peer: Peer, server: Server, log: Log, data: bytes) -> None:
    peer.send(data)
    # Text that is not UTF-8 is WebSocket's own to refuse.
    assert peer.take()[0][0] in (3, 1007)
    assert peer.is_ended()
    assert log.tracebacks == []
    assert server.metrics.internal_errors == 0


def test_silence_is_closed_in_time(peers: Any, server: Server) -> None:
    peer = peers()
    peer.greet()
    server.pass_time(9)
    assert not peer.is_ended()
    server.pass_time(1)
    assert peer.is_ended()


def test_who_asks_too_fast_waits_in_order_and_loses_nothing(clock: Any, serializer: Serializer) -> None:
    server = Server(clock, requests_per_second=2)
    for kind in KINDS.values():
        peer = kind(server, serializer)  # type: ignore[call-arg]
        peer.join()
        said = [it for request in range(1, 8) for it in peer.say([48, request, {}, "my.procedure"])]
        assert [it[2] for it in said] == [1, 2, 3, 4]
        assert peer.transport.producerState == "paused"
        server.pass_time(2)
        assert [it[2] for it in peer.take()] == [5, 6, 7]
        assert peer.transport.producerState == "producing"
        peer.lose()
    server.pass_time(3)


def test_who_never_stops_asking_is_ended(clock: Any, serializer: Serializer) -> None:
    server = Server(clock, requests_per_second=2)
    for kind in KINDS.values():
        peer = kind(server, serializer)  # type: ignore[call-arg]
        peer.join()
        said = [it for request in range(1, 40) for it in peer.say([48, request, {}, "my.procedure"])]
        errors = [it[4] for it in said if it[0] == 8]
        assert errors == ["wamp.error.no_such_procedure"] * 4 + ["org.tuleap.error.rate_exceeded"] * 4
        assert [it[2] for it in said if it[0] == 6] == ["org.tuleap.error.rate_exceeded"]
        assert peer.is_ended()
        peer.lose()
    server.pass_time(3)
    assert server.metrics.closes == ["too many requests"] * 2
    assert server.sizes() == (0, 0, 0)


@pytest.mark.parametrize("meanwhile", ["nothing", "replaced", "killed", "expired"])
def test_who_was_cut_off_is_out_at_once_and_gone_in_time(
    peers: Any, server: Server, log: Log, meanwhile: str
) -> None:
    """Whatever else happens to the session while its connection closes."""
    slow = peers()
    slow.join(uuid="w")
    slow.say([32, 1, {}, KANBAN])
    slow.connection.end(End.SLOW)
    assert server.sizes() == (0, 0, 1)
    if meanwhile == "replaced":
        peers().join(uuid="w")
    elif meanwhile == "killed":
        operator = peers()
        operator.join("operator")
        call(operator, "wamp.session.kill_all")
    elif meanwhile == "expired":
        server.clock.advance(600)
    server.publish(publication())
    server.pass_time(10)
    assert slow.transport.disconnecting or slow.transport.disconnected
    assert server.metrics.deliveries == 0
    slow.lose()
    assert server.metrics.closes[-1] == "slow reader"
    assert log.tracebacks == []


def test_who_answers_goodbye_by_closing_has_ended_for_the_same_reason(peers: Any, server: Server) -> None:
    page, operator = peers(), peers()
    page.join()
    operator.join("operator")
    call(operator, "wamp.session.kill_all")
    page.lose()
    assert server.metrics.closes == ["killed"]


def test_nothing_of_a_session_remains_when_it_is_lost(peers: Any, server: Server) -> None:
    peer = peers()
    peer.join(uuid="w")
    peer.say([32, 1, {}, KANBAN])
    peer.lose()
    assert server.sizes() == (0, 0, 0)


def test_a_long_hello_is_not_read_and_a_long_ticket_is(peers: Any, server: Server, log: Log) -> None:
    server.connections.max_message_size = 2**20
    server.websockets.setProtocolOptions(maxFramePayloadSize=2**20, maxMessagePayloadSize=2**20)
    long = "x" * 20_000
    peer = peers()
    peer.greet()
    abort = peer.say([1, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"], "authid": long}])[
        0
    ]
    assert (abort[0], abort[2]) == (3, "wamp.error.protocol_violation")
    for authenticate, uri in (
        ([5, long, {}], "wamp.error.authentication_denied"),
        (
            [5, long, {"x": {"nested": 1}}],
            "wamp.error.authentication_denied" if peer.serializer is CBOR else VIOLATION,
        ),
        ([32, 1, {}, long], VIOLATION),
    ):
        peer = peers()
        peer.greet()
        peer.say(HELLO)
        abort = peer.say(authenticate)[0]
        assert (abort[0], abort[2]) == (3, uri)
    assert log.tracebacks == []


def test_who_does_not_go_after_goodbye_is_not_listened_to_for_long(peers: Any, server: Server) -> None:
    peer, operator = peers(), peers()
    peer.join()
    operator.join("operator")
    call(operator, "wamp.session.kill_all")
    peer.take()
    for _ in range(300):
        assert peer.say([32, 1, {}, KANBAN]) == []
    server.pass_time(11)
    peer.say([6, {}, "wamp.close.goodbye_and_out"])
    assert peer.is_ended()


def test_long_messages_count_more(clock: Any, serializer: Serializer) -> None:
    server = Server(clock, requests_per_second=2)
    server.connections.max_message_size = 2**20
    server.websockets.setProtocolOptions(maxFramePayloadSize=2**20, maxMessagePayloadSize=2**20)
    for kind in KINDS.values():
        peer = kind(server, serializer)  # type: ignore[call-arg]
        peer.join()
        assert [it[0] for it in peer.say([48, 1, {}, "my.procedure", ["x" * 16_384]])] == [8]
        assert peer.say([48, 2, {}, "my.procedure"]) == []
        peer.lose()
    server.pass_time(3)
