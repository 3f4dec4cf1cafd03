"""What xconn does that no other client does."""

import pytest
import pytest_twisted

from tests.end_to_end.clients import WampError
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import ticket
from tests.interop.conftest import SHORT_GOODBYE, url
from tests.interop.drivers import Driver

ensure = pytest_twisted.ensureDeferred
transports = pytest.mark.parametrize("transport", ["websocket", "rawsocket"])


@transports
@ensure
async def test_its_pings_are_answered(server: Server, xconn: Driver, transport: str) -> None:
    page = await xconn.open(url(server, transport), "cbor", ticket())
    await page.do("ping")
    await page.leave()


@transports
@ensure
async def test_it_needs_a_ticket(server: Server, xconn: Driver, transport: str) -> None:
    with pytest.raises(WampError, match=r"^wamp\.error\.no_matching_auth_method$"):
        await xconn.open(url(server, transport), "cbor")


@transports
@ensure
async def test_it_is_let_go_though_it_does_not_answer_goodbye(xconn: Driver, transport: str) -> None:
    server = await Server.start(
        TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="0.5", TULEAPRT_LISTEN__RAWSOCKET=ANY_PORT, **SHORT_GOODBYE
    )
    page = await xconn.open(url(server, transport), "cbor", ticket())
    assert await page.end() == "for good"
    await server.process.stop()


@transports
@ensure
async def test_it_notices_that_the_server_has_stopped(xconn: Driver, transport: str) -> None:
    server = await Server.start(TULEAPRT_LISTEN__RAWSOCKET=ANY_PORT)
    page = await xconn.open(url(server, transport), "cbor", ticket())
    await server.process.stop()
    assert await page.end() == "for good"
