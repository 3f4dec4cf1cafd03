"""The way out to one browser: bounded, and closed when it is closed."""

import pytest
from autobahn.wamp.message import Subscribed

from tests.fakes import KANBAN, publication
from tests.transport.sockets import Browser, Server
from tuleaprt.transport.outbound import Outbound
from tuleaprt.wamp.outlet import End


@pytest.fixture
def outbound(joined: Browser) -> Outbound:
    session = joined.connection.session
    assert session is not None
    assert isinstance(session.outlet, Outbound)
    return session.outlet


def test_slow_reader_is_cut_off_and_the_frame_in_hand_is_not_counted(
    joined: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = 0
    monkeypatch.setattr(Outbound, "waiting", lambda line: waiting)
    joined.say([32, 1, {}, KANBAN])
    waiting = 100
    server.publish(publication({"cmd": "kanban:edit", "data": "x" * 1000}))
    server.clock.advance(0)
    assert [it[0] for it in joined.take()] == [36]
    waiting = 101
    server.publish(publication())
    server.clock.advance(0)
    assert joined.take() == [(1013, "slow reader")]
    server.publish(publication())
    server.clock.advance(0)
    assert joined.take() == []


def test_messages_and_the_close_leave_in_the_order_of_the_calls(joined: Browser, outbound: Outbound) -> None:
    outbound.send(Subscribed(1, 2))
    outbound.close(End.GOODBYE)
    outbound.send(Subscribed(3, 4))
    assert joined.take() == [[33, 1, 2], (1000, "goodbye")]


def test_what_is_late_behind_a_long_fan_out_is_dropped_from_its_time_on(
    joined: Browser, server: Server, outbound: Outbound
) -> None:
    joined.say([32, 1, {}, KANBAN])
    server.publish(publication())
    soon = server.clock.seconds() + 5
    outbound.send(Subscribed(1, 2), until=soon)
    outbound.send(Subscribed(3, 4), until=soon + 1)
    outbound.send(Subscribed(5, 6))
    server.clock.advance(5)
    assert joined.take()[1:] == [[33, 3, 4], [33, 5, 6]]


def test_nothing_follows_the_answer_to_the_browsers_own_close(joined: Browser, outbound: Outbound) -> None:
    joined.send_frame(8, b"\x03\xe8")
    joined.take()
    outbound.send(Subscribed(1, 2))
    assert joined.take() == []


def test_the_close_leaves_behind_the_events_that_were_published_before_it(
    joined: Browser, server: Server, outbound: Outbound
) -> None:
    joined.say([32, 1, {}, KANBAN])
    server.publish(publication())
    outbound.close(End.GOODBYE)
    assert joined.take() == []
    server.clock.advance(0)
    event, close = joined.take()
    assert (event[0], close) == (36, (1000, "goodbye"))


def test_pings_of_a_reader_that_does_not_read_are_not_answered_for_ever(
    joined: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = 100
    monkeypatch.setattr(Outbound, "waiting", lambda line: waiting)
    joined.send_frame(9, b"still there?")
    assert joined.transport.value()[0] == 0x8A
    joined.transport.clear()
    waiting = 101
    joined.send_frame(9, b"still there?")
    assert joined.take() == [(1013, "slow reader")]
