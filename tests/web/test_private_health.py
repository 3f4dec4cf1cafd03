"""GET /health/live and /health/ready."""

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics
from tests.web.requests import Answer, Connection, request
from tuleaprt.operations.logs import Faults
from tuleaprt.web.private import HealthResource
from tuleaprt.web.site import BoundedSite

Ask = Callable[[str], Answer]
PROBLEMS: list[str] = []


@pytest.fixture
def ask(clock: TurningClock) -> Iterator[Ask]:
    PROBLEMS.clear()
    faults = Faults(CountingMetrics())
    health = HealthResource(lambda: PROBLEMS, faults)
    connection = Connection(
        BoundedSite({"health": health}, clock=clock, timeout=60, max_body=0, faults=faults)
    )

    def ask(path: str) -> Answer:
        (answer,) = connection.send(request("GET", path, None))
        return answer

    yield ask
    connection.close()


def test_it_lives_and_is_ready(ask: Ask) -> None:
    assert (ask("/health/live").status, ask("/health/live").json) == (200, {"status": "live"})
    assert (ask("/health/ready").status, ask("/health/ready").json) == (200, {"status": "ready"})


def test_it_says_why_it_is_not_ready_and_lives_all_the_same(ask: Ask, log: Log) -> None:
    PROBLEMS.append("shutting down")
    answer = ask("/health/ready")
    assert (answer.status, answer.json) == (503, {"status": "not ready", "problems": ["shutting down"]})
    assert ask("/health/live").status == 200
    assert log.lines == []


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_head_is_answered_as_get_without_the_body(clock: TurningClock, path: str) -> None:
    faults = Faults(CountingMetrics())
    health = HealthResource(list, faults)
    connection = Connection(
        BoundedSite({"health": health}, clock=clock, timeout=60, max_body=0, faults=faults)
    )
    (answer,) = connection.send(request("GET", path, None))
    connection.channel.dataReceived(request("HEAD", path, None))
    head = connection.transport.value()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"Content-Length: %d\r\n\r\n" % len(answer.body))
    connection.transport.clear()
    (refused,) = connection.send(request("POST", path))
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    connection.close()


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/dead", "/health/live/long"])
def test_there_is_nothing_else(ask: Ask, path: str) -> None:
    assert ask(path).status == 404
