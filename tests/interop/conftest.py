"""One server with all endpoints for each module, and sessions of each library at each of them."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.end_to_end.processes import Process, patiently
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import ticket
from tests.interop.drivers import AUTOBAHN_JS, AUTOBAHN_PYTHON, WAMPY, XCONN, Driver, Join, Session

SERIALIZERS = ["json", "msgpack", "cbor"]
WAYS = [
    *(("autobahn_js", "websocket", it) for it in SERIALIZERS),
    *(("autobahn_python", "websocket", it) for it in SERIALIZERS),
    *(("autobahn_python", "rawsocket", it) for it in SERIALIZERS),
    *(("wampy", "websocket", it) for it in SERIALIZERS),
    *(("xconn", "websocket", it) for it in SERIALIZERS),
    *(("xconn", "rawsocket", it) for it in SERIALIZERS),
]

# Some do not answer GOODBYE; the server waits for that as long as for the answer to a ping.
SHORT_GOODBYE = {"TULEAPRT_WEBSOCKET__PING_TIMEOUT": "0.5", "TULEAPRT_WEBSOCKET__PING_INTERVAL": "600"}


@pytest_twisted.async_yield_fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    server = await Server.start(
        TULEAPRT_LISTEN__RAWSOCKET=ANY_PORT, TULEAPRT_LISTEN__DEBUG=ANY_PORT, **SHORT_GOODBYE
    )
    yield server
    tracebacks = server.tracebacks()
    await server.process.stop("KILL")
    assert tracebacks == []


@pytest.fixture(scope="session")
def autobahn_js() -> Iterator[Driver]:
    yield from _running(AUTOBAHN_JS)


@pytest.fixture(scope="session")
def autobahn_python() -> Iterator[Driver]:
    yield from _running(AUTOBAHN_PYTHON)


@pytest.fixture(scope="session")
def wampy() -> Iterator[Driver]:
    yield from _running(WAMPY)


@pytest.fixture(scope="session")
def xconn() -> Iterator[Driver]:
    yield from _running(XCONN)


def _running(arguments: list[str]) -> Iterator[Driver]:
    driver = Driver(arguments)
    yield driver
    pytest_twisted.blockon(ensureDeferred(driver.process.stop("KILL")))


def operator() -> str:
    """An operator's token."""
    return ticket(1, [], role="operator")


async def exit_status(tool: Process) -> int:
    """The exit status of the tool."""
    return await patiently(tool.ended(), f"the end of a tool that wrote {tool.lines}")


def url(server: Server, transport: str, *, debug: bool = False) -> str:
    if transport == "websocket":
        return f"ws://127.0.0.1:{server.debug if debug else server.public}/ws"
    return f"rs://127.0.0.1:{server.debug if debug else server.rawsocket}"


@pytest.fixture(params=WAYS, ids="-".join)
def join(request: pytest.FixtureRequest, server: Server) -> Iterator[Join]:
    """Opens sessions of one library over one transport by one serializer."""
    library, transport, serializer = request.param
    driver: Driver = request.getfixturevalue(library)
    joined: list[Session] = []

    async def join(ticket: str | None = None) -> Session:
        session = await driver.open(url(server, transport, debug=ticket is None), serializer, ticket)
        joined.append(session)
        return session

    yield join
    for session in joined:
        if not session.closed.called:
            pytest_twisted.blockon(ensureDeferred(session.leave()))
