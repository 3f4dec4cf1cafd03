"""What administrators ask of the private site."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.conftest import Log, TurningClock
from tests.fakes import CAMPAIGN, KEY, CountingMetrics, ticket
from tests.web.requests import Answer, Connection, request
from tuleaprt.errors import JournalUnavailable
from tuleaprt.operations.logs import Faults
from tuleaprt.tuleap.inputs import CampaignSeeded
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.wamp.auth import Identity
from tuleaprt.web.private import ExecutionsResource, OperatorGate, SessionsResource
from tuleaprt.web.site import PrivateSite

SEED = b'[{"execution_id": 39, "status": "passed", "user": {"id": 101}}]'
PUT, DELETE = ("PUT", "/campaigns/9/executions"), ("DELETE", "/sessions/101")


class Harness:
    def __init__(self, clock: TurningClock) -> None:
        self.seeds: list[CampaignSeeded] = []
        self.revoked: list[int] = []
        self.deeds: list[tuple[Any, ...]] = []
        self.full = False
        faults = Faults(CountingMetrics())
        today = Clock()
        today.advance(time.time())
        verifier = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=1800)
        gate = OperatorGate(verifier, clock=today, audit=self.audit)
        children = {
            "campaigns": ExecutionsResource(self.seed, gate, faults),
            "sessions": SessionsResource(self.revoke, gate, faults),
        }
        site = PrivateSite(
            children, hosts=["localhost"], clock=clock, timeout=60, max_body=1000, faults=faults
        )
        self.connection = Connection(site)

    def audit(self, session: None, identity: Identity, deed: str, what: str) -> None:
        self.deeds.append((session, identity.user_id, deed, what))

    async def seed(self, seed: CampaignSeeded) -> int:
        if self.full:
            raise JournalUnavailable
        self.seeds.append(seed)
        return 4711

    async def revoke(self, user_id: int) -> None:
        if self.full:
            raise JournalUnavailable
        self.revoked.append(user_id)

    def ask(self, method: str, path: str, body: bytes | None = SEED, bearer: str | None = None) -> Answer:
        token = ticket(1, [], role="operator") if bearer is None else bearer
        asked = request(method, path, body if method == "PUT" else None, Authorization=f"Bearer {token}")
        (answer,) = self.connection.send(asked)
        return answer


@pytest.fixture
def harness(clock: TurningClock) -> Iterator[Harness]:
    harness = Harness(clock)
    yield harness
    harness.connection.close()


def test_the_results_of_a_campaign_are_taken(harness: Harness) -> None:
    answer = harness.ask(*PUT)
    assert (answer.status, answer.json) == (200, {"publication": 4711})
    (seed,) = harness.seeds
    assert (seed.topic, list(seed.results)) == (CAMPAIGN, [39])
    assert harness.deeds == [(None, 1, "seed", f"{CAMPAIGN}: 1 executions")]


def test_a_user_is_revoked(harness: Harness) -> None:
    answer = harness.ask(*DELETE)
    assert (answer.status, answer.json) == (200, {"user_id": 101})
    assert harness.revoked == [101]
    assert harness.deeds == [(None, 1, "revoke", "user 101")]


@pytest.mark.parametrize(("method", "path"), [PUT, DELETE])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/json; charset=iso-8859-1"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"If_Match": '"tag"'}, 412),
        ({"Content_Range": "bytes 0-1/2"}, 400),
        ({"Expect": "more"}, 417),
    ],
)
def test_what_a_request_says_about_itself_is_not_ignored(
    harness: Harness, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    operator = f"Bearer {ticket(1, [], role='operator')}"
    body = SEED if method == "PUT" else None
    (answer,) = harness.connection.send(request(method, path, body, Authorization=operator, **headers))
    assert answer.status == status
    assert (harness.seeds, harness.revoked) == ([], [])


def test_a_revocation_with_a_body_is_refused(harness: Harness) -> None:
    operator = f"Bearer {ticket(1, [], role='operator')}"
    (answer,) = harness.connection.send(request(*DELETE, SEED, Authorization=operator))
    assert (answer.status, answer.error["code"]) == (400, "unexpected_body")


def test_two_bearers_are_none(harness: Harness) -> None:
    asked = request(*DELETE, None, Authorization=f"Bearer {ticket(1, [], role='operator')}")
    twice = asked.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer x\r\n\r\n")
    (answer,) = harness.connection.send(twice)
    assert answer.status == 401


@pytest.mark.parametrize(("method", "path"), [PUT, DELETE])
@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        ("", 401),
        ("x", 401),
        (ticket(1, [], role="operator", key=b"k" * 64), 401),
        (ticket(1, [], role="operator", exp=time.time() - 1), 401),
        (ticket(1, ["@gpig_project_admin"]), 403),
    ],
    ids=["none", "nonsense", "forged", "expired", "a user's"],
)
def test_whoever_is_no_operator_does_nothing(
    harness: Harness, method: str, path: str, bearer: str, status: int
) -> None:
    answer = harness.ask(method, path, bearer=bearer)
    assert answer.status == status
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert (harness.seeds, harness.revoked, harness.deeds) == ([], [], [])


def test_what_is_refused_is_a_line_in_the_log_without_the_ticket(harness: Harness, log: Log) -> None:
    harness.ask(*DELETE, bearer=(user := ticket(1, [])))
    harness.ask(*PUT, b"{}")
    lines = [it for it in log.lines if "refused" in it]
    assert lines == [
        "revocation refused: 403 not_operator: this is a user's token; an operator's is needed",
        "seed refused: 422 invalid_executions at $: Expected `array`, got `object`",
    ]
    assert user not in "".join(log.lines)


@pytest.mark.parametrize("given", [None, "Basic eDp5", "bearer x", "Bearer \xe9"])
def test_other_credentials_are_none(harness: Harness, given: str | None) -> None:
    (answer,) = harness.connection.send(request(*DELETE, None, Authorization=given))
    assert answer.status == 401


@pytest.mark.parametrize("id", ["0", "09", "-1", "x", "9.0", "%209", "9007199254740992", "%D9%A9", ""])
def test_what_is_no_canonical_id_is_refused(harness: Harness, id: str) -> None:
    for method, path in (("PUT", f"/campaigns/{id}/executions"), ("DELETE", f"/sessions/{id}")):
        answer = harness.ask(method, path)
        assert (answer.status, answer.error["code"]) == (400, "invalid_id")
    assert (harness.seeds, harness.revoked) == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        "/campaigns",
        "/campaigns/9",
        "/campaigns/9/",
        "/campaigns/9/other",
        "/campaigns/9/executions/1",
        "/sessions",
        "/sessions/101/x",
    ],
)
def test_other_paths_are_nothing(harness: Harness, path: str) -> None:
    assert harness.ask("DELETE", path).status == 404


def test_other_methods_are_not_allowed(harness: Harness) -> None:
    for method, (own, path) in (("GET", PUT), ("POST", PUT), ("GET", DELETE)):
        answer = harness.ask(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, own)


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"[", 400, "$"),
        (b"{}", 422, "$"),
        (json.dumps([{"execution_id": 0, "status": None, "user": None}]).encode(), 422, "$[0].execution_id"),
        (b"[" + b" " * 1000 + b"]", 413, None),
    ],
    ids=["no json", "no list", "no id", "too long"],
)
def test_a_body_that_is_not_accepted_is_told_with_its_place(
    harness: Harness, body: bytes, status: int, path: str | None
) -> None:
    answer = harness.ask(*PUT, body)
    assert (answer.status, answer.error.get("path")) == (status, path)
    assert (harness.seeds, harness.deeds) == ([], [])


def test_a_journal_that_takes_nothing_is_said_to(harness: Harness) -> None:
    harness.full = True
    for method, path in (PUT, DELETE):
        answer = harness.ask(method, path)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert harness.deeds == []
