"""A server and its clients, in memory."""

from collections.abc import Iterator

import pytest

from tests.conftest import TurningClock
from tests.transport.sockets import Browser, Poller, Server


@pytest.fixture
def server(clock: TurningClock) -> Iterator[Server]:
    server = Server(clock)
    yield server
    server.pass_time(3)
    server.fanout.stop()


@pytest.fixture
def browser(server: Server) -> Iterator[Browser]:
    browser = Browser(server)
    yield browser
    browser.lose()


@pytest.fixture
def poller(server: Server) -> Iterator[Poller]:
    poller = Poller(server)
    yield poller
    poller.lose()


@pytest.fixture
def joined(browser: Browser) -> Browser:
    browser.join()
    return browser
