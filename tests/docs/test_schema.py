"""The schema of the configuration says what the server says."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.docs.pages import printed_by
from tuleaprt.configuration.loading import load
from tuleaprt.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "etc" / "tuleaprt.toml"
SCHEMA = ROOT / "etc" / "tuleaprt.schema.json"
VALIDATOR = Draft7Validator(json.loads(SCHEMA.read_text()))


def test_the_schema_is_up_to_date() -> None:
    assert printed_by("docs/schema.py") == SCHEMA.read_text(), (
        "run: python docs/schema.py > etc/tuleaprt.schema.json"
    )
    Draft7Validator.check_schema(VALIDATOR.schema)


def test_the_shipped_file_names_the_schema_and_is_valid() -> None:
    assert SHIPPED.read_text().startswith(f"#:schema ./{SCHEMA.name}\n")
    assert list(VALIDATOR.iter_errors(tomllib.loads(SHIPPED.read_text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        "[limits]\nmax_outbox = 0",
        '[limits]\nmax_outbox = "many"',
        "[limits]\nunknown = 1",
        "[unknown]\na = 1",
        "[listen]\npublic = []",
        '[listen]\npublic = [""]',
        "[presence]\ngrace = -1",
        '[log]\nformat = "xml"',
        '[realtime]\nalgorithms = ["none"]',
        "[journal]\npatience = 31",
        "[journal]\nreplicas = -1",
        '[journal]\nurl = ""',
    ],
)
def test_what_the_server_refuses_the_schema_refuses(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path, {"PRIVATE_KEY": "k" * 88})
    found: Any = tomllib.loads(text)
    assert list(VALIDATOR.iter_errors(found))


@pytest.mark.parametrize(
    "text", ["", "[limits]\nmax_outbox = 1", "[presence]\ngrace = 0", "[presence]\ngrace = 1.5"]
)
def test_what_the_server_takes_the_schema_takes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text(text)
    load(path, {"PRIVATE_KEY": "k" * 88})
    assert list(VALIDATOR.iter_errors(tomllib.loads(text))) == []
