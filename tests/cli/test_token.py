"""``tuleaprt token``: what Tuleap would have made."""

import time
from pathlib import Path

import jwt
import pytest
import pytest_twisted

from tests.cli.conftest import KEY_FILE, Tuleaprt
from tests.fakes import KANBAN, KEY
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.wamp.auth import Role

ensure = pytest_twisted.ensureDeferred


@ensure
async def test_the_claims_are_those_of_tuleap(alone: Tuleaprt) -> None:
    before = time.time()
    process = alone("token", "102", "@site_active", "101_3", "--seconds", "60", **KEY_FILE)
    assert await process.ended() == 0
    (ticket,) = process.lines
    claims = jwt.decode(ticket, KEY, algorithms=["HS512"])
    assert claims.pop("data") == {"user_id": 102, "user_rights": ["@site_active", "101_3"]}
    assert before + 60 <= claims.pop("exp") <= time.time() + 60
    assert claims == {}


@ensure
async def test_the_server_takes_an_operators_ticket(alone: Tuleaprt) -> None:
    process = alone("token", "102", "--operator", "--rooms", KANBAN, **KEY_FILE)
    assert await process.ended() == 0
    verifier = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=1800)
    identity = verifier.authenticate(process.lines[0], time.time())
    assert (identity.role, identity.topics, identity.groups) == (Role.OPERATOR, {KANBAN}, frozenset())


@ensure
async def test_it_is_signed_with_the_first_algorithm_of_the_file(tmp_path: Path, alone: Tuleaprt) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text('[realtime]\nalgorithms = ["HS256", "HS512"]\n')
    for arguments, environment in ((["--config", str(path)], {}), ([], {"TULEAPRT_CONFIG": str(path)})):
        process = alone("token", "102", *arguments, PRIVATE_KEY="k" * 40, **environment)
        assert await process.ended() == 0
        assert jwt.decode(process.lines[0], "k" * 40, algorithms=["HS256"])["data"]["user_rights"] == []


@pytest.mark.parametrize(
    "arguments",
    [["0"], ["x"], ["9007199254740992"], ["102", "--seconds", "0"], ["102", "--seconds", "1e3"], []],
)
@ensure
async def test_what_makes_no_ticket_is_wrong_usage(alone: Tuleaprt, arguments: list[str]) -> None:
    process = alone("token", *arguments, **KEY_FILE)
    assert await process.ended() == 2
    assert process.lines[-1].startswith("tuleaprt token: error: ")


@ensure
async def test_no_operator_for_longer_than_an_hour(alone: Tuleaprt) -> None:
    process = alone("token", "102", "--operator", "--seconds", "3601", **KEY_FILE)
    assert await process.ended() == 2
    assert process.lines[-1].endswith("--seconds: an operator's token is good for at most 3600")


@ensure
async def test_without_a_key_it_says_so_in_one_line(tmp_path: Path, alone: Tuleaprt) -> None:
    process = alone("token", "102", TULEAPRT_REALTIME__KEY_FILE=str(tmp_path / "none"))
    assert await process.ended() == 1
    (line,) = process.lines
    assert line.startswith("tuleaprt: TULEAPRT_REALTIME__KEY_FILE: [realtime] key_file: expected a file")
    assert line.endswith('none": No such file or directory')
