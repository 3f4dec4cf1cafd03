"""All browsers together."""

import pytest

from tests.conftest import TurningClock
from tests.transport.sockets import Browser, Server


@pytest.fixture
def server(clock: TurningClock) -> Server:
    return Server(clock)


def test_shutting_down_tells_everybody_to_come_back_and_waits_for_them(server: Server) -> None:
    browsers = [Browser(server) for _ in range(3)]
    for browser in browsers:
        browser.join()
    done: list[None] = []
    server.factory.shut_down().addCallback(done.append)
    assert [it.take() for it in browsers] == [[(1012, "shutdown")]] * 3
    for browser in browsers:
        assert done == []
        browser.lose()
    assert done == [None]
    server.pass_time(3)


def test_who_does_not_answer_the_shutdown_is_dropped(server: Server) -> None:
    browser = Browser(server)
    browser.join()
    server.factory.shut_down()
    server.pass_time(2)
    assert browser.transport.disconnecting
    browser.lose()


def test_with_nobody_there_shutting_down_is_immediate(server: Server) -> None:
    done: list[None] = []
    server.factory.shut_down().addCallback(done.append)
    assert done == [None]


def test_too_many_connections_are_refused_at_the_handshake(server: Server) -> None:
    server.factory.setProtocolOptions(maxConnections=1)
    first = Browser(server)
    assert first.handshake().startswith("HTTP/1.1 101 ")
    second = Browser(server)
    assert second.handshake().startswith("HTTP/1.1 503 ")
    for browser in (first, second):
        browser.lose()
    server.pass_time(3)


def test_who_is_in_the_middle_of_a_handshake_at_the_shutdown_is_refused(server: Server) -> None:
    browser = Browser(server)
    done: list[None] = []
    server.factory.shut_down().addCallback(done.append)
    assert browser.handshake().startswith("HTTP/1.1 503 ")
    assert done == [None]
    assert not server.factory.connections
    browser.lose()
    server.pass_time(3)
