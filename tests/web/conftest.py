"""A private and a public site without a network."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import TurningClock
from tests.fakes import CountingMetrics
from tests.web.requests import Answer, Connection
from tuleaprt.operations.logs import Faults
from tuleaprt.web.resource import Leaf
from tuleaprt.web.site import BoundedSite, PrivateSite

MAX_BODY = 1000


class Echo(Leaf):
    method = "POST"
    name = "echo"

    async def answer(self, request: Any) -> bytes:
        body: bytes = request.body()
        return body


@pytest.fixture
def metrics() -> CountingMetrics:
    return CountingMetrics()


@pytest.fixture
def connection(clock: TurningClock, metrics: CountingMetrics) -> Iterator[Connection]:
    faults = Faults(metrics)
    site = PrivateSite(
        {"message": Echo(faults)},
        hosts=["localhost", "127.0.0.1", "[::1]"],
        clock=clock,
        timeout=60,
        max_body=MAX_BODY,
        faults=faults,
    )
    connection = Connection(site)
    yield connection
    connection.close()


@pytest.fixture
def public(clock: TurningClock, metrics: CountingMetrics) -> Iterator[Connection]:
    site = BoundedSite({}, clock=clock, timeout=9, max_body=0, faults=Faults(metrics), closes=True)
    connection = Connection(site)
    yield connection
    connection.close()


def answer(connection: Connection, data: bytes) -> Answer:
    (answer,) = connection.send(data)
    return answer
