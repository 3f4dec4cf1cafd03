"""One browser: its handshake, its frames, its pings, its close codes."""

from functools import partial
from typing import Any

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import KANBAN, publication
from tests.heads import hostile_requests
from tests.transport.sockets import HELLO, MASK, Browser, Server
from tuleaprt.transport.connection import FRAMES_AT_ONCE


def abort_uri(received: list[Any]) -> str:
    """The reason of the ABORT that came last before the close."""
    assert received[-2][0] == 3
    return str(received[-2][2])


def test_from_handshake_to_event(browser: Browser, server: Server) -> None:
    assert "101" in browser.handshake().splitlines()[0]
    assert browser.say(HELLO) == [[4, "ticket", {}]]
    ((code, session, _),) = browser.say([5, "good", {}])
    assert (code, session) == (2, 5000)
    assert browser.say([32, 1, {}, KANBAN]) == [[33, 1, 1]]
    server.publish(publication({"cmd": "kanban:edit", "data": "é"}))
    server.clock.advance(0)
    assert browser.take() == [[36, 1, 77, {}, [], {"cmd": "kanban:edit", "data": "é"}]]


def test_the_server_chooses_the_subprotocol_that_it_speaks(browser: Browser) -> None:
    head = browser.handshake(Sec_WebSocket_Protocol="wamp.2.flatbuffers, wamp.2.json")
    assert "Sec-WebSocket-Protocol: wamp.2.json" in head


@pytest.mark.parametrize("offered", [None, "wamp.2.flatbuffers", "chat", "WAMP.2.JSON"])
def test_without_a_common_subprotocol_there_is_no_websocket(browser: Browser, offered: str | None) -> None:
    assert browser.handshake(Sec_WebSocket_Protocol=offered).startswith("HTTP/1.1 400 ")


def test_compression_is_not_accepted(browser: Browser) -> None:
    head = browser.handshake(Sec_WebSocket_Extensions="permessage-deflate")
    assert head.startswith("HTTP/1.1 101 ")
    assert "permessage-deflate" not in head


@pytest.mark.parametrize("origin", ["http://127.0.0.1:2998", None])
def test_own_pages_and_programs_may_connect(browser: Browser, origin: str | None) -> None:
    assert browser.handshake(Origin=origin).startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "file://", "http://127.0.0.1:2999"])
def test_page_of_another_origin_is_refused(browser: Browser, origin: str) -> None:
    assert browser.handshake(Origin=origin).splitlines()[0].split()[1] in ("403", "400")
    assert browser.transport.disconnecting


def test_two_origins_are_refused(browser: Browser) -> None:
    assert (
        "101" not in browser.handshake(Origin="http://127.0.0.1:2998, https://evil.example").splitlines()[0]
    )


@pytest.mark.parametrize("path", ["/", "/ws/x", "/ws2", "/message", "//ws"])
def test_other_paths_are_not_found(browser: Browser, path: str) -> None:
    assert browser.handshake(path).startswith("HTTP/1.1 404 ")


def test_plain_get_shows_no_page_and_redirects_nowhere(browser: Browser) -> None:
    head = browser.handshake("/ws?redirect=https://evil.example", Upgrade=None)
    assert head.startswith("HTTP/1.1 426 ")
    assert "evil" not in head


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [
        (1, b"not WAMP"),
        (1, b""),
        (1, b"{}"),
        (1, b"[]"),
        (1, b"\0"),
        (1, b"[" * 1900),
        (1, b'[1,"\\ud800"]'),
        (1, b"[1e999]"),
        (2, b"\x93\x01\x02\x03"),
        (2, b"[]"),
        (1, b'[32,1,{},"org.tuleap.kanban.3"]'),
        (1, b"[2,1,{}]"),
    ],
    ids=str,
)
@pytest.mark.parametrize("state", ["connected", "challenged"])
def test_what_is_no_wamp_is_aborted_and_closed(
    browser: Browser, log: Log, opcode: int, payload: bytes, state: str
) -> None:
    browser.handshake()
    if state == "challenged":
        browser.say(HELLO)
    browser.send_frame(opcode, payload)
    received = browser.take()
    assert abort_uri(received) == "wamp.error.protocol_violation"
    assert received[-1] == (1002, "protocol violation")
    browser.send_frame(8, b"\x03\xea")
    browser.lose()
    assert len(log.lines) == 1
    assert "closed: protocol violation (" in log.lines[0]
    assert log.tracebacks == []


def test_invalid_utf8_is_closed_by_websockets_own_rule(joined: Browser, server: Server) -> None:
    joined.send_frame(1, b'["\xff"]')
    assert joined.take()[-1][0] == 1007
    joined.lose()
    assert server.metrics.closes == ["protocol violation"]


def test_a_message_that_is_too_long_is_not_read(joined: Browser) -> None:
    joined.send_frame(1, b"x" * 2049)
    assert joined.take()[-1][0] == 1009


def test_unmasked_frame_is_a_violation(joined: Browser) -> None:
    joined.connection.dataReceived(b"\x81\x02[]")
    assert joined.take()[-1][0] == 1002


def test_nothing_is_done_after_the_close(joined: Browser) -> None:
    joined.say("nonsense")
    assert joined.say([32, 1, {}, KANBAN]) == []


def test_silence_after_the_handshake_is_closed_in_time(browser: Browser, server: Server, log: Log) -> None:
    browser.handshake()
    server.pass_time(9)
    assert browser.take() == []
    server.pass_time(1)
    assert browser.take() == [(1008, "open timeout")]
    browser.lose()
    assert [line for line in log.lines if "closed: open timeout" in line]


def test_the_session_ends_with_its_ticket(clock: TurningClock) -> None:
    server = Server(clock, ping_interval=10_000)
    browser = Browser(server)
    browser.join()
    server.pass_time(599)
    assert browser.take() == []
    server.pass_time(1)
    ((code, _, reason),) = browser.take()
    assert (code, reason) == (6, "org.tuleap.error.token_expired")
    assert browser.say([6, {}, "wamp.close.goodbye_and_out"]) == [(1000, "ticket expired")]
    browser.lose()
    server.pass_time(3)


def test_goodbye_is_answered_and_closed(joined: Browser) -> None:
    assert joined.say([6, {}, "wamp.close.close_realm"]) == [
        [6, {}, "wamp.close.goodbye_and_out"],
        (1000, "goodbye"),
    ]


def test_a_reply_leaves_behind_the_events_that_were_published_before_it(
    joined: Browser, server: Server
) -> None:
    joined.say([32, 1, {}, KANBAN])
    server.publish(publication())
    assert joined.say([32, 2, {}, "another.topic"]) == []
    server.clock.advance(0)
    assert [it[0] for it in joined.take()] == [36, 33]


def test_nothing_of_a_session_remains_when_it_is_lost(joined: Browser, server: Server) -> None:
    joined.say([32, 1, {}, KANBAN])
    joined.lose()
    sizes = (
        len(server.realm.sessions),
        len(server.realm.broker.subscriptions),
        len(server.connections.open),
    )
    assert sizes == (0, 0, 0)
    assert server.metrics.closes == ["connection lost"]


def test_an_event_for_who_has_just_gone_is_dropped(joined: Browser, server: Server, log: Log) -> None:
    joined.say([32, 1, {}, KANBAN])
    server.publish(publication())
    joined.lose()
    server.clock.advance(0)
    assert joined.take() == []
    assert log.tracebacks == []


def test_silent_browser_is_pinged_and_then_dropped(joined: Browser, server: Server, log: Log) -> None:
    server.pass_time(26)
    assert joined.transport.value()[0] == 0x89
    server.pass_time(21)
    assert joined.transport.disconnecting
    joined.lose()
    assert [line for line in log.lines if "closed: ping timeout" in line]


def test_a_fault_below_websockets_ends_the_connection(
    server: Server, browser: Browser, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    browser.handshake()
    with monkeypatch.context() as patch:
        patch.setattr(browser.connection, "processData", broken)
        browser.connection.dataReceived(b"x")
    assert browser.take() == [(1011, "internal error")]
    with monkeypatch.context() as patch:
        patch.setattr(browser.connection, "processData", broken)
        browser.connection.dataReceived(b"x")
    assert browser.transport.disconnecting
    assert log.tracebacks == ["injected", "injected"]


def test_after_a_complete_close_the_last_bytes_are_sent_and_not_for_ever(
    joined: Browser, server: Server
) -> None:
    joined.say([6, {}, "wamp.close.close_realm"])
    joined.send_frame(8, b"\x03\xe8")
    assert joined.transport.disconnecting
    assert not joined.transport.disconnected
    server.pass_time(5)
    assert joined.transport.disconnected


def test_twisted_webs_channel_does_not_outlive_the_handshake(server: Server) -> None:
    browser = Browser(server)
    assert browser.transport.producer is None
    browser.lose()


def test_a_fault_while_accepting_ends_the_connection(server: Server, log: Log) -> None:
    server.websockets.countConnections = "none"
    browser = Browser(server)
    assert browser.transport.disconnected
    assert len(log.tracebacks) == 1
    assert server.metrics.internal_errors == 1


def test_too_many_connections_are_refused_at_the_handshake(clock: TurningClock) -> None:
    server = Server(clock, max_connections=1)
    first, second = Browser(server), Browser(server)
    first.join()
    assert second.handshake().startswith("HTTP/1.1 503 ")
    for browser in (first, second):
        browser.lose()
    server.pass_time(3)


@pytest.mark.parametrize("offered", ["wamp.2.msgpack, wamp.2.json", "x, wamp.2.msgpack"])
def test_the_first_that_the_client_offers_is_chosen(browser: Browser, offered: str) -> None:
    head = browser.handshake(Sec_WebSocket_Protocol=offered)
    assert "Sec-WebSocket-Protocol: wamp.2.msgpack" in head


@pytest.mark.parametrize("offered", ["wamp.2.json.batched", "wamp.2.msgpack.batched", "wamp.2.ubjson"])
def test_batched_and_rare_subprotocols_are_not_offered(browser: Browser, offered: str) -> None:
    assert browser.handshake(Sec_WebSocket_Protocol=offered).startswith("HTTP/1.1 400 ")


def test_who_does_not_answer_the_close_has_five_seconds_to_read_it(joined: Browser, server: Server) -> None:
    joined.say("nonsense")
    server.pass_time(2)
    assert joined.transport.disconnecting
    assert not joined.transport.disconnected
    server.pass_time(5)
    assert joined.transport.disconnected


@pytest.mark.parametrize("opcode", [0x9, 0xA], ids=["pings", "pongs"])
@pytest.mark.parametrize("has_ticket", [False, True])
def test_control_frame_flood_is_ended(
    browser: Browser, server: Server, opcode: int, has_ticket: bool
) -> None:
    browser.join() if has_ticket else browser.handshake()
    for _ in range(FRAMES_AT_ONCE):
        browser.send_frame(opcode, b"")
    assert not browser.is_ended()
    browser.send_frame(opcode, b"")
    assert browser.take()[-1] == (1008, "too many requests")
    assert browser.transport.producerState == "paused"
    browser.lose()
    assert server.metrics.closes == ["too many requests"]


def test_empty_continuation_flood_is_ended(joined: Browser) -> None:
    joined.connection.dataReceived(b"\x01\x81" + MASK + bytes([ord("[") ^ MASK[0]]))
    for _ in range(FRAMES_AT_ONCE + 1):
        joined.connection.dataReceived(b"\x00\x80" + MASK)
    assert joined.take()[-1] == (1008, "too many requests")


def test_a_ping_now_and_then_is_answered_for_ever(joined: Browser, server: Server) -> None:
    for _ in range(3 * FRAMES_AT_ONCE):
        server.clock.advance(0.1)
        joined.send_frame(0x9, b"still there?")
    assert not joined.is_ended()


LONG = "x" * 9000
QUOTED: dict[str, dict[str, str | None]] = {
    "key": {"Sec_WebSocket_Key": LONG},
    "key_with_a_bad_character": {"Sec_WebSocket_Key": "s3cr3t" + "-" * 16 + "=="},
    "version": {"Sec_WebSocket_Version": "9" * 5000},
    "version_that_is_too_new": {"Sec_WebSocket_Version": "999"},
    "upgrade": {"Upgrade": LONG},
    "connection": {"Connection": LONG},
    "protocols": {"Sec_WebSocket_Protocol": f"{LONG}, {LONG}"},
    "origin": {"Origin": LONG},
    "origin_with_a_bad_port": {"Origin": "http://s3cr3t:99999"},
    "origin_in_half_a_bracket": {"Origin": "http://[s3cr3t"},
    "deflate_parameter": {"Sec_WebSocket_Extensions": f"permessage-deflate; {LONG}=1"},
    "deflate_bits_of_5000_digits": {
        "Sec_WebSocket_Extensions": "permessage-deflate; server_max_window_bits=" + "9" * 5000
    },
    "deflate_bits_that_are_none": {
        "Sec_WebSocket_Extensions": 'permessage-deflate; client_max_window_bits="s3cr3t"'
    },
    "host": {"Host": LONG + ":x"},
    "no_host": {"Host": None},
    "expectation": {"Expect": LONG},
    "body": {"Content_Length": "5"},
    "length_of_5000_digits": {"Content_Length": "9" * 5000},
}


@pytest.mark.parametrize("name", QUOTED)
def test_a_refused_handshake_gets_nothing_of_its_headers_back(
    server: Server, browser: Browser, log: Log, name: str
) -> None:
    head = browser.handshake(**QUOTED[name])
    browser.lose()
    assert head.startswith("HTTP/1.1 40")
    assert len(head) < 200
    (line,) = log.lines
    assert len(line) < 200
    for quoted in ("xxx", "s3cr3t", "999"):
        assert quoted not in head + line
    assert log.tracebacks == []
    assert server.metrics.internal_errors == 0


def test_refused_handshakes_are_of_few_kinds_whatever_they_hold(server: Server, log: Log) -> None:
    for number in range(30):
        browser = Browser(server)
        browser.handshake(Sec_WebSocket_Version=str(100 + number))
        browser.lose()
    assert len({str(event["reason"]) for event in log.events}) == 1


@pytest.mark.parametrize(
    "path", ["/ws?" + "y" * 9000 + "#yyy", "/ws#yyy", "//[yyy", "http://yyy/ws", "*", "/ws?é"]
)
def test_a_target_that_is_none_is_not_sent_back(browser: Browser, log: Log, path: str) -> None:
    head = browser.handshake(path)
    browser.lose()
    assert head.startswith("HTTP/1.1 40")
    assert "yyy" not in head + log.lines[-1]
    assert len(head) < 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:-1", "127.0.0.1:65536", "caf\xe9.example", "a b", "", "user@a", "a:\uff18"]
)
def test_host_that_is_none_is_refused_without_an_origin_too(browser: Browser, host: str) -> None:
    assert browser.handshake(Host=host).startswith("HTTP/1.1 400 ")


def test_two_hosts_are_refused(browser: Browser) -> None:
    assert browser.handshake(Host="a\r\nHost: a").startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("headers", "status", "line"),
    [
        ({"Upgrade": None}, 426, "Upgrade: websocket"),
        ({"Sec_WebSocket_Version": "8"}, 400, "Sec-WebSocket-Version: 13"),
    ],
)
def test_a_refusal_says_what_would_do(
    browser: Browser, headers: dict[str, str | None], status: int, line: str
) -> None:
    first, *lines = browser.handshake(**headers).splitlines()
    assert first.split()[1] == str(status)
    assert line in lines


def test_a_header_that_autobahn_would_take_for_two_is_one(browser: Browser) -> None:
    # NEL ends a line for Python, and is a part of UTF-8 in a browser's cookie.
    data = "a=\x85Origin: https://evil.example\x85"
    head = browser.handshake(Cookie=data)
    assert head.startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("name", hostile_requests(b"/ws"))
def test_hostile_request_is_no_fault(server: Server, browser: Browser, log: Log, name: str) -> None:
    browser.connection.dataReceived(hostile_requests(b"/ws")[name])
    answer = browser.transport.value()
    browser.connection.dataReceived(b"more")
    browser.lose()
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505 "))
    assert len(answer) < 200
    assert log.tracebacks == []
    assert server.metrics.internal_errors == 0
    assert len(log.lines) == 1


def test_what_autobahn_raises_before_the_handshake_is_a_bad_request(
    server: Server, browser: Browser, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser.connection, "_parseExtensionsHeader", partial(int, "9" * 5000))
    head = browser.handshake(Sec_WebSocket_Extensions="x")
    browser.lose()
    assert head.startswith("HTTP/1.1 400 ")
    assert len(log.lines) == 1
    assert log.tracebacks == []
    assert server.metrics.internal_errors == 0


def test_what_autobahn_raises_after_the_handshake_is_a_violation(
    server: Server, joined: Browser, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined.connection, "processData", partial(int, "9" * 5000))
    joined.connection.dataReceived(b"x")
    assert [it[0] for it in joined.take()] == [1002]
    joined.connection.dataReceived(b"x")
    assert joined.transport.disconnecting
    joined.lose()
    assert log.tracebacks == []
    assert server.metrics.internal_errors == 0
    assert "protocol violation" in log.lines[-1]


def test_injected_fault_while_a_handshake_is_judged_is_counted_and_no_news_to_the_peer(
    server: Server, browser: Browser, log: Log
) -> None:
    def broken(origin: str, host: str) -> bool:
        raise ZeroDivisionError("injected")

    server.websockets.allows = broken
    head = browser.handshake(Origin="http://127.0.0.1:2998")
    browser.lose()
    assert head.startswith("HTTP/1.1 500 ")
    assert "injected" not in head
    assert log.tracebacks == ["injected"]
    assert server.metrics.internal_errors == 1


def test_injected_fault_in_what_follows_the_head_at_once_is_counted(
    server: Server, browser: Browser, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(browser.connection, "onOpen", broken)
    browser.handshake()
    assert log.tracebacks == ["injected"]
    assert server.metrics.internal_errors == 1
    browser.lose()


def test_why_a_handshake_was_refused_is_one_short_line(browser: Browser, log: Log) -> None:
    browser.handshake(Sec_WebSocket_Key="\x1b[31m" + "x" * 500)
    browser.lose()
    (line,) = log.lines
    assert " refused: '" in line
    assert line.isprintable()
    assert len(line) < 200


def test_a_handshake_pretty_prints_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a third of the cost, for a log that is off."""

    def pretty(*args: object) -> str:
        pytest.fail("Autobahn pretty-prints its options again, by another name")

    monkeypatch.setattr("pprint.PrettyPrinter.pformat", pretty)
    browser = Browser(server)
    browser.join()
    assert server.sizes()[0] == 1
    browser.lose()


def test_a_proxy_names_the_client_in_the_log_and_to_operators(clock: TurningClock, log: Log) -> None:
    server = Server(clock, forwarded_for=("192.168.1.0/24",))
    browser = Browser(server)
    browser.handshake(X_Forwarded_For="198.51.100.1, 203.0.113.9, 192.168.1.7")
    browser.say(HELLO)
    browser.say([5, "operator", {}])
    ((_, _, _, (details,)),) = browser.say([48, 1, {}, "wamp.session.get", [5000]])
    peer = "203.0.113.9 via tcp4:192.168.1.1:54321"
    assert details["transport"]["peer"] == peer
    browser.lose()
    assert log.lines[-1].startswith(f"{peer} closed: ")


def test_a_refused_page_is_named_by_the_proxy_too(clock: TurningClock, log: Log) -> None:
    browser = Browser(Server(clock, forwarded_for=("192.168.1.1",)))
    browser.handshake(Origin="https://evil.example", X_Forwarded_For="203.0.113.9")
    browser.lose()
    assert log.lines[-1].startswith("203.0.113.9 via tcp4:192.168.1.1:54321 refused: ")


def test_a_client_that_is_no_proxy_and_sends_x_forwarded_for_is_called_what_he_is(
    browser: Browser, log: Log
) -> None:
    assert "101" in browser.handshake(X_Forwarded_For="203.0.113.9")
    browser.lose()
    assert log.lines[-1].startswith("tcp4:192.168.1.1:54321 closed: ")
