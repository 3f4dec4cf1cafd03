"""One WAMP session, and what can go wrong until it is open."""

import pytest
import pytest_twisted
from autobahn.wamp.exception import ApplicationError
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import Factory, Protocol

import tuleaprt.cli.session
from tests.end_to_end.processes import patiently
from tests.end_to_end.server import Server
from tests.fakes import ticket
from tuleaprt.cli.session import LOST, Refused, connect
from tuleaprt.errors import CommandFailed, Unreachable

ensure = pytest_twisted.ensureDeferred


@ensure
async def test_it_asks_and_leaves(server: Server) -> None:
    session = await connect(reactor, server.url, "tuleap", ticket(role="operator"))
    assert (await session.ask("wamp.session.count")).results == (1,)
    session.leave()
    assert (await patiently(session.ended, "the end")).reason == "wamp.close.goodbye_and_out"


@ensure
async def test_a_refused_ticket_is_said_with_its_reason_and_not_shown(server: Server) -> None:
    for bad, reason in (("nonsense", "authentication_denied"), (ticket(exp=1), "token_expired")):
        with pytest.raises(Refused, match=reason) as error:
            await connect(reactor, server.url, "tuleap", bad)
        assert bad not in str(error.value)


@ensure
async def test_a_site_without_websocket_is_unreachable(server: Server) -> None:
    with pytest.raises(Unreachable, match="cannot open a session at"):
        await connect(reactor, f"ws://127.0.0.1:{server.private}/ws", "tuleap", ticket())
    with pytest.raises(Unreachable, match=r"cannot (open a session at|connect to)"):
        await connect(reactor, server.url.replace("ws://", "wss://"), "tuleap", ticket())


@pytest.mark.parametrize("url", ["", "http://x/ws", "ws://", "ws://x:y/ws", "ws://x:99999/ws", "x"])
@ensure
async def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(CommandFailed, match="is not the URL of a WebSocket"):
        await connect(reactor, url, "tuleap", "x")


@ensure
async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuleaprt.cli.session, "OPEN_SECONDS", 0.2)
    port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
    try:
        with pytest.raises(Unreachable, match="cannot open a session"):
            await connect(reactor, f"ws://127.0.0.1:{port.getHost().port}/ws", "tuleap", "x")
    finally:
        await port.stopListening()


@ensure
async def test_what_is_asked_of_a_server_that_dies_fails() -> None:
    server = await Server.start()
    session = await connect(reactor, server.url, "tuleap", ticket(role="operator"))
    server.process.transport.signalProcess("STOP")  # type: ignore[union-attr]
    asked = ensureDeferred(session.ask("wamp.session.count"))
    await server.process.stop("KILL")
    with pytest.raises(ApplicationError):
        await patiently(asked, "the answer")
    assert session.is_over
    assert (await patiently(session.ended, "the end")).reason == LOST
