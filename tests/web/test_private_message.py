"""POST /message."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Log, TurningClock
from tests.fakes import WIRE, CountingMetrics, cases, wire
from tests.web.requests import Answer, Connection, request
from tuleaprt.errors import JournalUnavailable
from tuleaprt.operations.logs import Faults
from tuleaprt.tuleap.message import Message
from tuleaprt.web.private import MessageResource
from tuleaprt.web.site import PrivateSite

MAX_BODY = 8_388_608
CREATE = wire("kanban_item_create")


class Harness:
    def __init__(self, clock: TurningClock, secret: bytes = b"") -> None:
        self.accepted: list[Message] = []
        self.full = False
        self.metrics = CountingMetrics()
        faults = Faults(self.metrics)
        post = MessageResource(self.accept, secret=secret, metrics=self.metrics, faults=faults)
        site = PrivateSite(
            {"message": post},
            hosts=["localhost"],
            clock=clock,
            timeout=60,
            max_body=MAX_BODY,
            faults=faults,
        )
        self.connection = Connection(site)

    async def accept(self, message: Message) -> int:
        if self.full:
            raise JournalUnavailable
        self.accepted.append(message)
        return 4711

    def send(self, data: bytes) -> Answer:
        (answer,) = self.connection.send(data)
        return answer

    def post(self, body: bytes, **headers: str | None) -> Answer:
        return self.send(request(body=body, **headers))


@pytest.fixture
def harness(clock: TurningClock) -> Iterator[Harness]:
    harness = Harness(clock)
    yield harness
    harness.connection.close()


@pytest.fixture
def guarded(clock: TurningClock) -> Iterator[Harness]:
    harness = Harness(clock, b"s3cr3t")
    yield harness
    harness.connection.close()


@pytest.mark.parametrize("path", WIRE, ids=lambda path: path.stem)
def test_what_tuleap_posts_is_accepted(harness: Harness, path: Any) -> None:
    answer = harness.post(path.read_bytes())
    assert (answer.status, answer.json) == (200, {"publication": 4711})
    assert len(harness.accepted) == 1
    assert harness.metrics.messages == ["200"]


@pytest.mark.parametrize("case", cases("http_cases.json"), ids=lambda case: str(case["id"]))
def test_case(harness: Harness, case: dict[str, Any]) -> None:
    asked, expected = case["request"], case["tuleaprt"]
    headers = {name.replace("-", "_"): value for name, value in asked.get("headers", {}).items()}
    answer = harness.send(
        request(asked["method"], asked["path"], odd_body(asked), **({"Content_Type": None} | headers))
    )
    allowed = expected["status"] if isinstance(expected["status"], list) else [expected["status"]]
    assert answer.status in allowed, case["better"]
    if expected.get("html") is False:
        assert "html" not in answer.headers["content-type"]
        assert b"Traceback" not in answer.body


def odd_body(asked: dict[str, Any]) -> bytes | None:
    body = asked.get("body")
    if isinstance(body, dict):
        ordinary = next(it for it in cases("http_cases.json") if it["id"] == "W01")["request"]["body"]
        head = ordinary.removesuffix("{}}") + '"'
        return (head + "a" * (body["bytes"] - len(head) - 2) + '"}').encode()
    return None if body is None else body.encode()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'application/json; charset="UTF-8"',
        "Application/JSON",
    ],
)
def test_json_is_told_by_its_type(harness: Harness, content_type: str) -> None:
    assert harness.post(CREATE, Content_Type=content_type).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/json; charset=iso-8859-1",
        "application/jsonp",
        "application/x-www-form-urlencoded",
    ],
)
def test_wrong_content_type_is_refused(harness: Harness, content_type: str | None) -> None:
    assert harness.post(CREATE, Content_Type=content_type).status == 415
    assert harness.accepted == []


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_encoded_body_is_refused_even_if_it_is_json(harness: Harness, coding: str) -> None:
    answer = harness.post(CREATE, Content_Encoding=coding)
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in answer.error["message"]
    assert harness.accepted == []


def test_two_content_types_are_none(harness: Harness) -> None:
    twice = request(body=CREATE).replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1)
    assert harness.send(twice).status == 415
    assert harness.accepted == []


def test_body_of_9_mib_is_refused_and_8_mib_is_not(harness: Harness) -> None:
    assert harness.post(b" " * (9 * 2**20)).status == 413
    assert harness.post(CREATE + b" " * (MAX_BODY - len(CREATE))).status == 200


def test_nothing_is_accepted_when_the_journal_is_full(harness: Harness) -> None:
    harness.full = True
    assert harness.post(CREATE).status == 503


def test_what_is_wrong_is_said_with_its_place_and_logged_in_one_line(harness: Harness, log: Log) -> None:
    answer = harness.post(CREATE.replace(b'"room_id":3', b'"room_id":"03"'))
    assert (answer.status, answer.error["path"]) == (422, "$.room_id")
    assert log.lines == [
        "post refused: 422 unknown_room at $.room_id: a room is a kanban id or testmanagement_<campaign id>"
    ]
    assert log.tracebacks == []
    assert harness.metrics.messages == ["422"]


def test_accepted_posts_are_not_logged(harness: Harness, log: Log) -> None:
    harness.post(CREATE)
    assert log.lines == []


def test_with_a_secret_a_post_must_carry_it(guarded: Harness) -> None:
    assert guarded.post(CREATE, Authorization="Bearer s3cr3t").status == 200


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer s3cr3", "Bearer s3cr3tx", "Basic s3cr3t", "s3cr3t"]
)
def test_guessed_secret_is_refused(guarded: Harness, given: str | None) -> None:
    answer = guarded.post(CREATE, Authorization=given)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.accepted == []
