"""The command line in a process of its own. The environment names the server."""

import sys
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_twisted
from coverage import Coverage

from tests.end_to_end.processes import Process
from tests.end_to_end.server import Server
from tests.fakes import FIXTURES

# What these processes run is measured when the tests are; pytest-cov gathers what they leave.
MEASURED = ["-m", "coverage", "run", "--parallel-mode"] if Coverage.current() else []
COMMAND = [sys.executable, *MEASURED, "-m", "tuleaprt"]
KEY_FILE = {"TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key")}

Tuleaprt = Callable[..., Process]


def place(server: Server, public: int | None = None) -> dict[str, str]:
    """The environment of a command for this server."""
    return {
        **KEY_FILE,
        "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{server.private}:interface=127.0.0.1"]',
        "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{public or server.public}:interface=127.0.0.1"]',
    }


@pytest_twisted.async_yield_fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    server = await Server.start()
    yield server
    await server.process.stop("KILL")
    assert server.tracebacks() == []


@pytest.fixture
def alone() -> Tuleaprt:
    """``tuleaprt`` with these arguments and this environment."""
    return lambda *arguments, **environment: Process.start([*COMMAND, *arguments], environment)


@pytest_twisted.async_yield_fixture
async def tuleaprt(server: Server) -> AsyncIterator[Tuleaprt]:
    """The same, of the module's server and with its key; ended when the test is over."""
    started: list[Process] = []

    def start(*arguments: str, on_a_terminal: bool = False, **environment: str) -> Process:
        whole = {**place(server), **environment}
        started.append(Process.start([*COMMAND, *arguments], whole, on_a_terminal=on_a_terminal))
        return started[-1]

    yield start
    for process in started:
        await process.stop("KILL")
        assert not [line for line in process.lines if "Traceback" in line]
