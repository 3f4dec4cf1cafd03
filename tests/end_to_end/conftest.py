"""One server and one Node for each module, and windows of either kind of client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.end_to_end.clients import Client, Node, PythonClient
from tests.end_to_end.server import Server
from tests.end_to_end.tuleap_pages import Pages
from tests.fakes import KANBAN, ticket


@pytest_twisted.async_yield_fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    server = await Server.start()
    yield server
    await server.process.stop("KILL")


@pytest_twisted.async_yield_fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Starts servers for one test, with the environment that it wants."""
    started: list[Server] = []

    async def start(**environment: str) -> Server:
        started.append(await Server.start(**environment))
        return started[-1]

    yield start
    for server in started:
        await server.process.stop("KILL")
        assert server.tracebacks() == []


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    node = Node()
    yield node
    pytest_twisted.blockon(ensureDeferred(node.process.stop("KILL")))


@pytest.fixture(scope="session")
def pages() -> Iterator[Pages]:
    pages = Pages()
    yield pages
    pytest_twisted.blockon(ensureDeferred(pages.process.stop("KILL")))


@pytest.fixture(params=["autobahn-js", "autobahn-python"])
def window(request: pytest.FixtureRequest, server: Server) -> Any:
    """Makes windows: clients that are not open yet."""
    make: Callable[[], Client]
    if request.param == "autobahn-js":
        node: Node = request.getfixturevalue("node")
        make = lambda: node.client(server.url)  # noqa: E731
    else:
        make = lambda: PythonClient(server.url)  # noqa: E731
    made: list[Client] = []

    def window() -> Client:
        made.append(make())
        return made[-1]

    yield window
    for client in made:
        pytest_twisted.blockon(ensureDeferred(_close(client)))


@pytest_twisted.async_yield_fixture
async def bystander(server: Server) -> AsyncIterator[Client]:
    """A window that watches a board and must not notice what others do to the server."""
    client = PythonClient(server.url)
    await client.open(ticket())
    await client.subscribe(KANBAN)
    yield client
    await client.leave()
    await client.closed


async def _close(client: Client) -> None:
    if not client.closed.called:
        await client.leave()
        await client.closed
