"""All connections together."""

import pytest

from tests.transport.sockets import Browser, Program, Server


def test_shutting_down_tells_everybody_to_come_back_and_waits_for_them(server: Server) -> None:
    browsers = [Browser(server) for _ in range(3)]
    for browser in browsers:
        browser.join()
    program = Program(server)
    program.join()
    done: list[None] = []
    server.connections.shut_down(10).addCallback(done.append)
    assert [it.take() for it in browsers] == [[(1012, "shutdown")]] * 3
    for peer in (*browsers, program):
        assert done == []
        peer.lose()
    assert done == [None]


def test_who_does_not_answer_the_shutdown_is_dropped(server: Server) -> None:
    browser = Browser(server)
    browser.join()
    server.connections.shut_down(10)
    server.pass_time(2)
    assert browser.transport.disconnecting
    browser.lose()


def test_with_nobody_there_shutting_down_is_immediate(server: Server) -> None:
    done: list[None] = []
    server.connections.shut_down(10).addCallback(done.append)
    assert done == [None]


def test_who_is_in_the_middle_of_a_handshake_at_the_shutdown_is_refused(server: Server) -> None:
    browser = Browser(server)
    done: list[None] = []
    server.connections.shut_down(10).addCallback(done.append)
    assert browser.handshake().startswith("HTTP/1.1 503 ")
    assert done == [None]
    assert not server.connections.open
    browser.lose()


def test_many_are_sent_away_a_few_at_a_time_over_the_time_that_there_is(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.transport.connections.AT_LEAST", 1)
    server.connections.max_connections = 100
    browsers = [Browser(server) for _ in range(70)]
    for browser in browsers:
        browser.join()
    told: list[int] = []
    server.connections.shut_down(10).addCallback(lambda _: told.append(-1))
    for _ in range(71):
        leaving = [it for it in browsers if it.take() == [(1012, "shutdown")]]
        told.append(len(leaving))
        for browser in leaving:
            browser.lose()
        server.clock.advance(0.1)
    assert told == [1] * 70 + [-1, 0]
    server.pass_time(2)


def test_who_is_still_here_at_the_end_is_dropped(server: Server) -> None:
    browser = Browser(server)
    browser.join()
    done: list[None] = []
    server.connections.shut_down(0.5).addCallback(done.append)
    server.clock.advance(0.5)
    assert browser.transport.disconnected
    browser.lose()
    assert done == [None]
    assert server.metrics.closes == ["shutdown"]
    server.pass_time(2)
