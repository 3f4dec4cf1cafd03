"""Pages over polling: GETs that are held, POSTs, the end of a session, and limits."""

import json

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import Tickets, identity, publication
from tests.transport.sockets import Answers, PageSocket, Poller, Server, subscription
from tuleaprt.wamp.outlet import End


@pytest.fixture
def joined(poller: Poller) -> Poller:
    poller.subscribe()
    return poller


def test_the_first_packet_opens_the_session(poller: Poller) -> None:
    (opening,) = poller.take()
    assert opening[0] == "0"
    assert json.loads(opening[1:]) == {
        "sid": poller.sid,
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 2048,
    }


def test_the_id_of_the_socket_is_not_the_secret_id_of_the_session(poller: Poller) -> None:
    (connect,) = poller.subscribe()
    assert connect.startswith('40{"sid":"')
    assert poller.sid not in connect


def test_a_get_is_held_until_there_is_a_packet(server: Server, joined: Poller) -> None:
    asked = joined.get()
    assert asked.bodies == []
    server.publish(publication(id=1))
    server.pass_time(1)
    assert asked.bodies == ['42["kanban:delete",""]']


def test_packets_wait_for_the_next_get_in_order(server: Server, joined: Poller) -> None:
    for number in (1, 2):
        server.publish(publication({"cmd": "kanban:edit", "data": number}, id=number))
    server.pass_time(1)
    assert joined.take() == ['42["kanban:edit",1]', '42["kanban:edit",2]']
    assert server.backpressure.total == 0


def test_a_page_does_not_get_the_podium(server: Server, joined: Poller) -> None:
    server.publish(publication({"cmd": "testmanagement_podium:update", "data": []}))
    server.publish(publication())
    server.pass_time(1)
    assert joined.take() == ['42["kanban:delete",""]']


def test_a_client_that_answers_pings_stays(server: Server, joined: Poller) -> None:
    for _ in range(5):
        asked = joined.get()
        server.pass_time(26)
        assert asked.bodies == ["2"]
        joined.post("3")
    assert server.sizes() == (1, 1, 1)


def test_attack_a_client_that_does_not_poll_any_more_is_lost(server: Server, joined: Poller) -> None:
    server.pass_time(25 + 20 + 6)
    assert server.sizes() == (0, 0, 0)
    assert server.polls.get(joined.sid) is None
    assert server.metrics.closes == ["ping timeout"]
    assert server.backpressure.total == 0


def test_attack_by_two_polls_at_once_ends_the_session(server: Server, joined: Poller) -> None:
    first = joined.get()
    assert not joined.connection.get(Answers())
    assert first.bodies == ["1"]
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["protocol violation"]


def test_attack_by_a_get_that_is_dropped_ends_the_session(server: Server, joined: Poller) -> None:
    asked = joined.get()
    joined.connection.cancelled(asked)
    assert asked.bodies == []
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["connection lost"]


def test_the_end_of_a_get_that_was_answered_changes_nothing(server: Server, joined: Poller) -> None:
    asked = joined.get()
    server.publish(publication())
    server.pass_time(1)
    joined.connection.cancelled(asked)
    assert server.sizes() == (1, 1, 1)


def test_a_client_that_closes_its_session_gets_a_noop(server: Server, joined: Poller) -> None:
    asked = joined.get()
    assert joined.post("1")
    assert asked.bodies == ["6"]
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["goodbye"]


@pytest.mark.parametrize("body", ["", "x", "3\x1e", "bAAEC", "5", "2", "2probe", "42[", '451-["x"]'])
def test_attack_by_a_malformed_body_ends_the_session(server: Server, joined: Poller, body: str) -> None:
    asked = joined.get()
    assert not joined.connection.post(body.encode())
    assert asked.bodies == ["1"]
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["protocol violation"]


def test_attack_by_100000_packets_in_one_body(server: Server, joined: Poller) -> None:
    assert not joined.connection.post(b"\x1e".join([b"3"] * 100_000))
    assert server.sizes()[0] == 0


def test_a_refused_page_is_told_so_by_the_next_poll(server: Server, poller: Poller, log: Log) -> None:
    poller.take()
    # After an error the client would connect again.
    assert poller.post("40", subscription("forged"))
    *_, disconnect, close = poller.take()
    assert (disconnect, close) == ("41", "1")
    assert server.sizes() == (0, 0, 0)
    assert any("refused (unknown word)" in it for it in log.lines)
    assert not any("forged" in it for it in log.lines)


def test_the_last_packets_wait_some_seconds_for_a_poll(server: Server, poller: Poller) -> None:
    poller.post("40", subscription("forged"))
    assert server.polls.get(poller.sid) is not None
    server.pass_time(6)
    assert server.polls.get(poller.sid) is None
    assert server.sizes() == (0, 0, 0)


def test_a_shutdown_answers_the_get_without_disconnect(server: Server, joined: Poller) -> None:
    asked = joined.get()
    gone: list[None] = []
    server.connections.shut_down(3).addCallback(gone.append)
    assert asked.bodies == ["1"]
    assert gone == [None]
    assert server.metrics.closes == ["shutdown"]


def test_a_shutdown_drops_a_client_that_does_not_poll(server: Server, joined: Poller) -> None:
    gone: list[None] = []
    server.connections.shut_down(3).addCallback(gone.append)
    server.pass_time(4)
    assert gone == [None]


def test_a_slow_reader_is_closed(server: Server, joined: Poller) -> None:
    for number in range(10):
        server.publish(publication({"cmd": "kanban:edit", "data": "x" * 50}, id=number + 1))
    server.pass_time(1)
    assert server.metrics.closes == []
    assert joined.take()[-1] == "1"
    assert server.metrics.closes == ["slow reader"]


def test_all_queues_together_have_a_limit(clock: TurningClock) -> None:
    server = Server(clock, max_outboxes=1000)
    server.connections.max_outbox = 10_000
    joined = Poller(server)
    joined.subscribe()
    for number in range(30):
        server.publish(publication({"cmd": "kanban:edit", "data": "x" * 50}, id=number + 1))
        server.pass_time(0.25)
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["slow reader"]
    assert server.backpressure.total == 0
    server.fanout.stop()


def test_attack_by_many_without_a_token_drops_the_oldest(clock: TurningClock) -> None:
    server = Server(clock, max_unauthenticated=3)
    pollers = [Poller(server) for _ in range(5)]
    assert [server.polls.get(it.sid) is not None for it in pollers] == [False, False, True, True, True]
    pollers[2].subscribe()
    assert server.unauthenticated.inside == 2
    assert server.metrics.dropped == 2
    for poller in pollers:
        poller.lose()


def test_a_client_that_never_connects_is_closed(server: Server, poller: Poller) -> None:
    poller.take()
    asked = poller.get()
    server.pass_time(11)
    assert asked.bodies == ["1"]
    assert server.sizes() == (0, 0, 0)
    assert server.unauthenticated.inside == 0


def test_events_that_were_queued_but_never_asked_for_are_replayed(server: Server, joined: Poller) -> None:
    server.publish(publication({"cmd": "kanban:edit", "data": 1}, id=1))
    server.pass_time(1)
    assert joined.take() == ['42["kanban:edit",1]']
    server.publish(publication({"cmd": "kanban:edit", "data": 2}, id=2))
    server.pass_time(1)
    again = Poller(server)
    assert again.subscribe()[1:] == ['42["kanban:edit",2]']
    again.lose()


def test_a_lost_page_gets_what_it_missed_after_many_events_that_it_may_not_see(
    server: Server, joined: Poller
) -> None:
    """They fill the history, so that the last event that the page has got is not in it any more."""
    for number in range(600):
        server.publish(publication(view=lambda groups, user: None, id=1000 + number))
        server.clock.advance(0.001)
    server.publish(publication({"cmd": "kanban:edit", "data": 2}, id=2))
    server.pass_time(1)
    again = Poller(server)
    assert again.subscribe()[1:] == ['42["kanban:edit",2]']
    again.lose()


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_event_that_waits_when_the_token_ends_comes_once(clock: TurningClock, is_lost: bool) -> None:
    tickets = Tickets(brief=identity(expires_at=clock.seconds() + 3), good=identity(expires_at=9999))
    server = Server(clock, tickets)
    poller = Poller(server)
    poller.subscribe("brief")
    server.publish(publication({"cmd": "kanban:edit", "data": 1}, id=1))
    server.pass_time(4)
    assert poller.take() == ['42["kanban:edit",1]', '42["error-jwt","JWTExpired"]']
    if is_lost:
        poller.lose()
        poller = Poller(server)
        assert len(poller.subscribe()) == 1
    else:
        poller.post(subscription())
    server.publish(publication({"cmd": "kanban:edit", "data": 2}, id=2))
    server.pass_time(1)
    assert poller.take() == ['42["kanban:edit",2]']
    poller.lose()
    server.pass_time(1)


def test_what_an_operator_sees_of_a_page(server: Server, joined: Poller) -> None:
    (session,) = server.realm.sessions.values()
    assert session.outlet.description == {
        "type": "socketio",
        "protocol": "engine.io.4.polling",
        "peer": "tcp4:192.168.1.1:7",
    }


def test_injected_fault_ends_the_session_and_is_recorded(
    server: Server, joined: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("injected")

    asked = joined.get()
    monkeypatch.setattr("tuleaprt.socketio.packets.decode", broken)
    joined.post('42["x"]')
    assert asked.bodies == ["1"]
    assert server.metrics.internal_errors == 1
    assert server.sizes() == (0, 0, 0)


# The upgrade.


def test_a_page_upgrades_and_nothing_is_lost_or_doubled(server: Server, joined: Poller) -> None:
    socket = PageSocket(server, joined.sid)
    assert socket.head.startswith("HTTP/1.1 101")
    asked = joined.get()
    assert socket.say_packet("2probe") == ["3probe"]
    assert asked.bodies == ["6"]
    server.publish(publication({"cmd": "kanban:edit", "data": 1}, id=1))
    server.pass_time(1)
    assert socket.say_packet("5") == ['42["kanban:edit",1]']
    server.publish(publication({"cmd": "kanban:edit", "data": 2}, id=2))
    server.pass_time(1)
    assert socket.take() == ['42["kanban:edit",2]']
    assert server.polls.get(joined.sid) is None
    assert server.sizes() == (1, 1, 1)
    assert server.metrics.closes == []
    assert server.unauthenticated.inside == 0
    socket.lose()
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["connection lost"]


def test_a_page_may_upgrade_before_it_subscribes(server: Server, poller: Poller) -> None:
    poller.take()
    poller.post("40")
    socket = PageSocket(server, poller.sid)
    socket.say_packet("2probe")
    assert [it[:2] for it in socket.say_packet("5")] == ["40"]
    assert server.unauthenticated.inside == 1
    socket.say_packet(subscription())
    assert server.unauthenticated.inside == 0
    assert server.sizes() == (1, 1, 1)
    socket.lose()


def test_a_page_may_upgrade_when_the_server_is_full(server: Server, joined: Poller) -> None:
    server.connections.max_connections = 1
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    socket.say_packet("5")
    assert server.sizes() == (1, 1, 1)
    unknown = PageSocket(server, "unknown")
    assert unknown.head.startswith("HTTP/1.1 400")
    unknown.lose()
    socket.lose()


def test_while_a_websocket_is_tested_a_get_is_answered_soon(server: Server, joined: Poller) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    asked = joined.get()
    assert asked.bodies == []
    server.pass_time(0.25)
    assert asked.bodies == ["6"]
    server.publish(publication())
    server.pass_time(1)
    assert joined.take() == ['42["kanban:delete",""]']
    socket.lose()


def test_the_session_goes_on_when_the_websocket_is_lost(server: Server, joined: Poller) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    socket.lose()
    asked = joined.get()
    server.pass_time(1)
    assert asked.bodies == []
    assert server.sizes() == (1, 1, 1)
    other = PageSocket(server, joined.sid)
    assert other.say_packet("2probe") == ["3probe"]
    other.lose()


def test_an_upgrade_that_is_not_completed_is_given_up(server: Server, joined: Poller) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    server.pass_time(10.5)
    assert socket.transport.disconnected
    socket.lose()
    assert server.sizes() == (1, 1, 1)
    assert joined.connection._probe is None


def test_attack_by_a_second_websocket_with_the_same_sid(server: Server, joined: Poller) -> None:
    first = PageSocket(server, joined.sid)
    second = PageSocket(server, joined.sid)
    assert second.head.startswith("HTTP/1.1 400")
    assert first.say_packet("2probe") == ["3probe"]
    first.say_packet("5")
    third = PageSocket(server, joined.sid)
    assert third.head.startswith("HTTP/1.1 400")
    assert server.sizes() == (1, 1, 1)
    for socket in (first, second, third):
        socket.lose()


@pytest.mark.parametrize("packet", ["5", "3probe", "2", "40", "", "x" * 1000])
def test_attack_by_another_packet_in_the_test_drops_the_websocket_only(
    server: Server, joined: Poller, packet: str
) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet(packet)
    assert socket.transport.disconnected
    socket.lose()
    assert server.sizes() == (1, 1, 1)


def test_a_session_that_ends_drops_the_websocket_that_is_tested(server: Server, joined: Poller) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    joined.post("1")
    joined.get()
    assert socket.transport.disconnected
    socket.lose()
    assert server.sizes() == (0, 0, 0)


@pytest.mark.parametrize("is_queued", [False, True])
def test_attack_by_an_upgrade_of_a_session_that_has_ended(
    server: Server, joined: Poller, is_queued: bool
) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    if is_queued:
        # The close waits behind this event.
        server.publish(publication())
    joined.post("garbage")
    received = socket.say_packet("5")
    server.pass_time(3)
    received += socket.take()
    assert received[-1] == (1002, "protocol violation")
    assert received[:-1] == ([] if is_queued else ["1"])
    assert socket.transport.disconnecting
    socket.lose()
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["protocol violation"]


def test_attack_an_upgrade_of_a_session_that_has_ended_leaves_no_connection(
    server: Server, joined: Poller
) -> None:
    """Such a connection would have no deadline, and hold a place in max_connections."""
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    joined.post("garbage")
    assert socket.say_packet("5")[-1] == (1002, "protocol violation")
    socket.lose()
    assert server.sizes() == (0, 0, 0)
    assert server.metrics.closes == ["protocol violation"]
    assert not server.connections._authenticated


def test_a_page_that_is_refused_while_the_fan_out_is_busy_is_closed_after_its_upgrade(
    server: Server, joined: Poller
) -> None:
    socket = PageSocket(server, joined.sid)
    socket.say_packet("2probe")
    server.publish(publication())
    joined.post(subscription("forged"))
    socket.say_packet("5")
    server.pass_time(1)
    assert socket.take() == ["41", (1000, "refused")]
    socket.lose()
    assert server.sizes() == (0, 0, 0)


def test_a_shutdown_closes_a_page_that_upgrades_meanwhile(
    server: Server, joined: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.transport.connections.AT_LEAST", 1)
    other = Poller(server)
    pages = {page.sid: PageSocket(server, page.sid) for page in (joined, other)}
    for socket in pages.values():
        socket.say_packet("2probe")
    gone: list[None] = []
    server.connections.shut_down(7).addCallback(gone.append)
    for socket in pages.values():
        assert any(isinstance(it, tuple) for it in socket.say_packet("5"))
        socket.lose()
    assert gone == [None]
    assert "connection lost" not in server.metrics.closes


def test_events_that_were_taken_after_the_close_are_not_replayed(server: Server, joined: Poller) -> None:
    server.publish(publication({"cmd": "kanban:edit", "data": 1}, id=1))
    server.pass_time(1)
    joined.connection.end(End.SLOW)
    assert joined.take() == ['42["kanban:edit",1]', "1"]
    server.publish(publication({"cmd": "kanban:edit", "data": 2}, id=2))
    again = Poller(server)
    assert again.subscribe()[1:] == ['42["kanban:edit",2]']
    again.lose()
