"""What is at one path of a site."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics
from tests.web.requests import Connection, request
from tuleaprt import errors
from tuleaprt.operations.logs import Faults
from tuleaprt.web.resource import HttpError, Leaf
from tuleaprt.web.site import BoundedSite


class Scripted(Leaf):
    method = "POST"
    name = "thing"

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.result: Any = b"{}"
        self.answers: list[HttpError | None] = []

    async def answer(self, request: Any) -> bytes:
        if isinstance(self.result, Exception):
            raise self.result
        if isinstance(self.result, Deferred):
            await self.result
        return b"{}"

    def answered(self, error: HttpError | None, seconds: float) -> None:
        self.answers.append(error)


class Harness:
    def __init__(self, clock: TurningClock) -> None:
        self.metrics = CountingMetrics()
        self.leaf = Scripted(Faults(self.metrics))
        self.connection = Connection(
            BoundedSite(
                {"message": self.leaf}, clock=clock, timeout=60, max_body=9, faults=Faults(self.metrics)
            )
        )


@pytest.fixture
def harness(clock: TurningClock) -> Any:
    harness = Harness(clock)
    yield harness
    harness.connection.close()


def test_an_error_says_what_and_where(harness: Harness) -> None:
    harness.leaf.result = errors.RefusedMessage("invalid_rights", "Expected `int`", "$.rights.submitter_id")
    (answer,) = harness.connection.send(request())
    assert (answer.status, answer.headers["content-type"]) == (422, "application/json")
    assert answer.json == {
        "error": {"code": "invalid_rights", "message": "Expected `int`", "path": "$.rights.submitter_id"}
    }


def test_a_journal_that_takes_nothing_asks_to_come_back(harness: Harness) -> None:
    harness.leaf.result = errors.JournalUnavailable()
    (answer,) = harness.connection.send(request())
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_injected_fault_is_a_constant_to_the_peer_and_a_traceback_in_the_log(
    harness: Harness, log: Log
) -> None:
    harness.leaf.result = ZeroDivisionError("s3cr3t")
    (answer,) = harness.connection.send(request())
    assert answer.status == 500
    assert answer.json == {
        "error": {"code": "internal_error", "message": "an internal error; it has been logged"}
    }
    assert log.tracebacks == ["s3cr3t"]
    assert harness.metrics.internal_errors == 1


def test_an_answer_that_nobody_waits_for_any_more_is_not_written(harness: Harness, log: Log) -> None:
    waiting: Deferred[None] = Deferred()
    harness.leaf.result = waiting
    assert harness.connection.send(request()) == []
    harness.connection.close()
    waiting.callback(None)
    assert harness.leaf.answers == [None]
    assert log.tracebacks == []


def test_answers_are_reported(harness: Harness) -> None:
    harness.connection.send(request() + request("GET", body=None))
    first, second = harness.leaf.answers
    assert first is None
    assert second is not None
    assert second.status == 405


def test_what_a_request_says_about_itself_is_asked_of_every_path(harness: Harness) -> None:
    assert [it.status for it in harness.connection.send(request(If_Match="*") + request(Expect="x"))] == [
        412,
        417,
    ]
    assert [error and error.status for error in harness.leaf.answers] == [412, 417]
