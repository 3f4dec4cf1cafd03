"""docs/openapi.json says what the private site does. schemathesis sends requests that it allows and requests
that it does not allow, and compares each answer with it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from jsonschema import Draft202012Validator

from tests.docs.pages import printed_by
from tests.end_to_end.processes import ROOT, Process, patiently
from tests.end_to_end.server import Server
from tests.fakes import WIRE, ticket

ensure = pytest_twisted.ensureDeferred
FILE = ROOT / "docs" / "openapi.json"
DOCUMENT = json.loads(FILE.read_text())


def valid(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    )


def test_the_description_is_up_to_date() -> None:
    assert printed_by("docs/openapi.py") == FILE.read_text(), (
        "run: python docs/openapi.py > docs/openapi.json"
    )


@pytest.mark.parametrize("path", WIRE, ids=lambda path: str(path.stem))
def test_what_tuleap_posts_is_described(path: Path) -> None:
    assert list(valid("Message").iter_errors(json.loads(path.read_bytes()))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("cmd", "token_has_been_updated"), ("cmd", 1), ("room_id", "x"), ("room_id", 0)),
        *(("rights", {}), ("rights", None), ("sender_user_id", -1), ("sender_uuid", 1)),
    ],
)
@ensure
async def test_what_the_server_refuses_is_not_described(server: Server, key: str, value: Any) -> None:
    body = json.loads(WIRE[0].read_bytes()) | {key: value}
    assert (await server.post(body)).status in (400, 422)
    assert list(valid("Message").iter_errors(body))


@ensure
async def test_no_answer_differs_from_the_description(server: Server, tmp_path: Path) -> None:
    run = Process.start(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "run", str(FILE)),
            *("--url", f"http://127.0.0.1:{server.private}", "--workers", "1", "--seed", "7"),
            *("--phases", "coverage,fuzzing", "--max-examples", "30"),
            # JSON Schema takes 1.0 for an integer, and the server does not.
            *("--exclude-checks", "positive_data_acceptance"),
            *("-H", f"Authorization: Bearer {ticket(1, [], role='operator')}"),
        ],
        {},
        # It leaves its notes in the working folder.
        folder=tmp_path,
    )
    assert await patiently(run.ended(), "schemathesis") == 0, "\n".join(run.lines[-60:])
    assert server.tracebacks() == []
    assert await server.metric("internal_errors_total") == 0
