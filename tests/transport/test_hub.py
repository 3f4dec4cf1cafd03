"""All connections together."""

from tests.transport.sockets import Browser, Program, Server


def test_shutting_down_tells_everybody_to_come_back_and_waits_for_them(server: Server) -> None:
    browsers = [Browser(server) for _ in range(3)]
    for browser in browsers:
        browser.join()
    program = Program(server)
    program.join()
    done: list[None] = []
    server.hub.shut_down().addCallback(done.append)
    assert [it.take() for it in browsers] == [[(1012, "shutdown")]] * 3
    for peer in (*browsers, program):
        assert done == []
        peer.lose()
    assert done == [None]


def test_who_does_not_answer_the_shutdown_is_dropped(server: Server) -> None:
    browser = Browser(server)
    browser.join()
    server.hub.shut_down()
    server.pass_time(2)
    assert browser.transport.disconnecting
    browser.lose()


def test_with_nobody_there_shutting_down_is_immediate(server: Server) -> None:
    done: list[None] = []
    server.hub.shut_down().addCallback(done.append)
    assert done == [None]


def test_who_is_in_the_middle_of_a_handshake_at_the_shutdown_is_refused(server: Server) -> None:
    browser = Browser(server)
    done: list[None] = []
    server.hub.shut_down().addCallback(done.append)
    assert browser.handshake().startswith("HTTP/1.1 503 ")
    assert done == [None]
    assert not server.hub.connections
    browser.lose()
