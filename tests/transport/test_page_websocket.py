"""Pages over WebSocket from the beginning."""

import json

import pytest

from tests.conftest import Log
from tests.fakes import publication
from tests.transport.sockets import PageSocket, Poller, Server, subscription
from tuleaprt.transport.outbound import Outbound
from tuleaprt.transport.page_websocket import SocketOutbound


@pytest.fixture
def socket(server: Server) -> PageSocket:
    return PageSocket(server)


@pytest.fixture
def joined(socket: PageSocket) -> PageSocket:
    socket.take()
    (connect,) = socket.subscribe()
    assert connect.startswith('40{"sid":"')
    return socket


def test_the_first_packet_opens_the_session(socket: PageSocket) -> None:
    assert socket.head.startswith("HTTP/1.1 101")
    assert "Sec-WebSocket-Protocol" not in socket.head
    (opening,) = socket.take()
    assert json.loads(opening[1:])["upgrades"] == []
    socket.lose()


def test_events_are_frames_and_the_podium_is_left_out(server: Server, joined: PageSocket) -> None:
    server.publish(publication({"cmd": "testmanagement_podium:update", "data": []}))
    server.publish(publication())
    server.pass_time(1)
    assert joined.take() == ['42["kanban:delete",""]']
    joined.lose()
    assert server.sizes() == (0, 0, 0)


def test_a_campaign_page_gets_its_viewers(server: Server, socket: PageSocket) -> None:
    socket.take()
    socket.say_packet("40/testmanagement,")
    room = "testmanagement_9"
    (presences,) = socket.say_packet(subscription(room_id=room, namespace="/testmanagement,"))
    assert presences == '42/testmanagement,["presences",{"40":[{"id": 101}]}]'
    socket.lose()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?EIO=3&transport=websocket",
        "?EIO=4",
        "?EIO=4&transport=polling",
        "?EIO=4&transport=websocket&sid=x",
    ],
)
def test_attack_by_a_handshake_that_is_not_engine_io_4(server: Server, query: str) -> None:
    socket = PageSocket(server, query=query)
    assert socket.head.startswith("HTTP/1.1 400")
    socket.lose()
    assert server.sizes() == (0, 0, 0)
    assert server.unauthenticated.inside == 0


def test_attack_by_a_foreign_origin_is_refused(server: Server) -> None:
    foreign = PageSocket(server, Origin="https://evil.example")
    assert foreign.head.startswith("HTTP/1.1 403")
    foreign.lose()
    own = PageSocket(server, Origin="http://127.0.0.1:2998")
    assert own.head.startswith("HTTP/1.1 101")
    own.lose()


def test_a_full_server_refuses_with_503_and_retry_after(server: Server) -> None:
    server.connections.max_connections = 0
    socket = PageSocket(server)
    assert socket.head.startswith("HTTP/1.1 503")
    assert "Retry-After" in socket.head
    socket.lose()


def test_attack_by_binary_frames_ends_the_connection(server: Server, joined: PageSocket) -> None:
    joined.send_frame(2, b'42["x"]')
    assert joined.take() == [(1002, "protocol violation")]
    assert server.sizes()[0] == 0
    joined.lose()


def test_attack_by_a_malformed_packet_closes_without_disconnect(server: Server, joined: PageSocket) -> None:
    assert joined.say_packet("42[") == [(1002, "protocol violation")]
    joined.lose()


def test_attack_by_a_frame_that_is_too_long(server: Server, joined: PageSocket) -> None:
    joined.send_frame(1, b"4" * 3000)
    assert joined.take()[-1][0] == 1009
    joined.lose()
    assert server.sizes() == (0, 0, 0)


def test_a_refused_page_gets_disconnect_and_then_the_close(
    server: Server, socket: PageSocket, log: Log
) -> None:
    socket.take()
    _, disconnect, close = socket.subscribe("forged")
    assert (disconnect, close) == ("41", (1000, "refused"))
    socket.lose()
    assert any("refused (unknown word)" in it for it in log.lines)


def test_a_shutdown_closes_without_disconnect(server: Server, joined: PageSocket) -> None:
    server.connections.shut_down(3)
    assert joined.take() == [(1012, "shutdown")]
    joined.lose()


def test_a_client_that_is_silent_is_closed(server: Server, socket: PageSocket) -> None:
    socket.take()
    server.pass_time(10.5)
    assert socket.take() == [(1008, "open timeout")]
    socket.lose()


def test_the_server_pings_by_packets(server: Server, joined: PageSocket) -> None:
    server.pass_time(25.5)
    assert joined.take() == ["2"]
    assert joined.say_packet("3") == []
    server.pass_time(25.5)
    assert joined.take() == ["2"]
    server.pass_time(20.5)
    assert joined.is_ended()
    joined.lose()
    assert server.sizes() == (0, 0, 0)


def test_attack_a_client_that_does_not_answer_pings_is_closed(server: Server, joined: PageSocket) -> None:
    server.pass_time(46)
    assert joined.take() == ["2", (1008, "ping timeout")]
    assert server.metrics.internal_errors == 0
    server.pass_time(7)
    assert joined.transport.disconnected
    joined.lose()
    assert server.metrics.closes == ["ping timeout"]


def test_events_of_the_own_window_are_left_out_and_a_lost_window_gets_what_it_missed(
    server: Server, joined: PageSocket
) -> None:
    server.publish(publication({"cmd": "kanban:edit", "data": 1}, id=1))
    server.pass_time(1)
    assert joined.take() == ['42["kanban:edit",1]']
    joined.lose()
    server.publish(publication({"cmd": "kanban:edit", "data": 2}, id=2))
    server.pass_time(1)
    again = PageSocket(server)
    again.take()
    assert again.subscribe()[1:] == ['42["kanban:edit",2]']
    again.lose()


def test_attack_by_a_flood_of_packets(server: Server, joined: PageSocket) -> None:
    for _ in range(2500):
        joined.send_frame(1, b'42["x"]')
        if joined.is_ended():
            break
    assert joined.take()[-1] == (1008, "too many requests")
    joined.lose()


def test_injected_fault_while_upgrading_is_recorded_and_the_session_goes_on(
    server: Server, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller.subscribe()
    socket = PageSocket(server, poller.sid)

    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(poller.connection, "let_go", broken)
    socket.say_packet("2probe")
    assert server.metrics.internal_errors == 1
    assert socket.transport.disconnected
    socket.lose()
    assert server.sizes() == (1, 1, 1)


def test_a_replayed_event_that_is_not_sent_does_not_count_as_handed_over(
    server: Server, joined: PageSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound = joined.connection.outbound
    assert isinstance(outbound, SocketOutbound)
    outbound.put(b'42["x"]', 76)
    monkeypatch.setattr(Outbound, "waiting", lambda outbound: 101)
    outbound.put(b'42["y"]', 77)
    assert outbound.handed == 76
    joined.lose()
    assert server.metrics.closes == ["slow reader"]
