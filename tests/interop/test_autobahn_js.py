"""autobahn-js as pages use it: when it reconnects, and when it does not."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.end_to_end.clients import WampError
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import ticket
from tests.interop.conftest import SERIALIZERS, url
from tests.interop.drivers import Driver

ensure = pytest_twisted.ensureDeferred


@pytest.mark.parametrize("serializer", SERIALIZERS)
@ensure
async def test_a_page_comes_back_when_the_server_is_there_again(autobahn_js: Driver, serializer: str) -> None:
    server = await Server.start()
    page = await autobahn_js.open(server.url, serializer, ticket())
    await server.process.stop()
    assert await page.end() == "comes back"
    back = Deferred.fromCoroutine(page.next_event())
    again = await Server.start(TULEAPRT_LISTEN__PUBLIC=f'["tcp:{server.public}:interface=127.0.0.1"]')
    assert (await back)["welcome"]["authid"] == "102"
    await page.leave()
    await again.process.stop()


@ensure
async def test_a_page_whose_ticket_has_expired_stays_away(autobahn_js: Driver) -> None:
    server = await Server.start(TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="0.5")
    page = await autobahn_js.open(server.url, "json", ticket())
    assert await page.end() == "for good"
    await server.process.stop()


@ensure
async def test_a_page_that_was_sent_away_stays_away(autobahn_js: Driver, server: Server) -> None:
    page = await autobahn_js.open(server.url, "json", ticket())
    operator = await autobahn_js.open(url(server, "websocket", debug=True), "json")
    await operator.call("wamp.session.kill", page.welcome["id"])
    assert await page.end() == "for good"
    await operator.leave()


@ensure
async def test_a_page_that_was_refused_stays_away(autobahn_js: Driver, server: Server) -> None:
    with pytest.raises(WampError, match=r"^wamp\.error\.authentication_denied$"):
        await autobahn_js.open(server.url, "json", ticket(key=b"k" * 64))


@ensure
async def test_a_page_that_its_own_copy_has_replaced_stays_away(autobahn_js: Driver) -> None:
    server = await Server.start(TULEAPRT_LISTEN__DEBUG=ANY_PORT)
    first = await autobahn_js.open(server.url, "json", ticket(), "the same window")
    second = await autobahn_js.open(server.url, "json", ticket(), "the same window")
    assert await first.end() == "for good"
    assert not second.closed.called
    await second.leave()
    await server.process.stop()
