"""The way out to one browser: bounded, and closed when it is closed."""

from collections.abc import Iterator

import pytest
from autobahn.wamp.message import Subscribed

from tests.conftest import TurningClock
from tests.fakes import KANBAN, publication
from tests.transport.sockets import Browser, Server
from tuleaprt.transport.line import Line
from tuleaprt.wamp.session import End


@pytest.fixture
def server(clock: TurningClock) -> Iterator[Server]:
    server = Server(clock)
    yield server
    server.pass_time(3)
    server.fanout.stop()


@pytest.fixture
def browser(server: Server) -> Iterator[Browser]:
    browser = Browser(server)
    browser.join()
    yield browser
    browser.lose()


@pytest.fixture
def line(browser: Browser) -> Line:
    session = browser.connection.session
    assert session is not None
    assert isinstance(session.outlet, Line)
    return session.outlet


def test_slow_reader_is_cut_off_and_the_frame_in_hand_is_not_counted(
    browser: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = 0
    monkeypatch.setattr(Line, "waiting", lambda line: waiting)
    browser.say([32, 1, {}, KANBAN])
    waiting = 100
    server.publish(publication({"cmd": "kanban:edit", "data": "x" * 1000}))
    server.clock.advance(0)
    assert [it[0] for it in browser.take()] == [36]
    waiting = 101
    server.publish(publication())
    server.clock.advance(0)
    assert browser.take() == [(1013, "slow reader")]
    server.publish(publication())
    server.clock.advance(0)
    assert browser.take() == []


def test_messages_and_the_close_leave_in_the_order_of_the_calls(browser: Browser, line: Line) -> None:
    line.send(Subscribed(1, 2))
    line.close(End.GOODBYE)
    line.send(Subscribed(3, 4))
    assert browser.take() == [[33, 1, 2], (1000, "goodbye")]


def test_nothing_follows_the_answer_to_the_browsers_own_close(browser: Browser, line: Line) -> None:
    browser.send_frame(8, b"\x03\xe8")
    browser.take()
    line.send(Subscribed(1, 2))
    assert browser.take() == []
