"""Autobahn's protocol without unused state behaves as before."""

from autobahn.websocket import protocol as core

from tests.transport.sockets import HELLO, Browser, Server
from tuleaprt.transport.autobahn import Quiet, ServerProtocol


def test_a_connection_has_what_autobahn_would_give_it(server: Server) -> None:
    factory = server.websockets
    lean = factory.buildProtocol(None)
    whole = core.WebSocketServerProtocol()
    whole.factory, whole.peer, whole.log = factory, "", Quiet()
    core.WebSocketServerProtocol._connectionMade(whole)
    ours = {
        "_transport_details",
        "_valid_events",
        "_results",
        "log",
        "is_open",
        "is_closed",
        "send_queue",
        "utf8validator",
        "trafficStats",
        "peer",
    }
    assert {name: getattr(lean, name) for name in vars(whole).keys() - ours} == {
        name: value for name, value in vars(whole).items() if name not in ours
    }


def test_one_connections_state_is_not_anothers(server: Server) -> None:
    one, other = Browser(server), Browser(server)
    one.join()
    assert other.connection.state == ServerProtocol.STATE_CONNECTING
    other.handshake()
    one.send_frame(1, b'["\xff"]')
    one.take()
    assert one.connection.failedByMe
    assert not other.connection.failedByMe
    assert other.say(HELLO) == [[4, "ticket", {}]]
    one.lose()
    other.lose()


def test_nothing_of_the_handshake_is_kept(server: Server) -> None:
    browser = Browser(server)
    browser.join()
    kept = vars(browser.connection)
    assert not [name for name in kept if name.startswith(("http_", "websocket_ext", "_wskey"))]
    assert len(kept) < 40
    browser.lose()


def test_options_that_are_changed_are_those_of_the_next_connection(server: Server) -> None:
    before = server.websockets.buildProtocol(None)
    server.websockets.setProtocolOptions(maxMessagePayloadSize=7)
    assert before.maxMessagePayloadSize != 7
    assert server.websockets.buildProtocol(None).maxMessagePayloadSize == 7


def test_the_log_of_autobahn_is_silent_and_costs_nothing(browser: Browser) -> None:
    class Untouchable:
        def __str__(self) -> str:
            raise AssertionError("it was formatted")

    browser.connection.log.debug("{it}", it=Untouchable())
    assert core.pformat(Untouchable()) == ""


def test_a_connection_is_logged_under_the_module_that_defines_it(browser: Browser) -> None:
    namespace = browser.connection.connection_log.namespace
    assert namespace == "tuleaprt.transport.websocket.WebSocketConnection"
