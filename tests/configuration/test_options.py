"""The options: what is shipped of them, and how they are shown."""

import tomllib
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest

from tuleaprt.configuration.options import (
    EXPECTED,
    LIVE,
    SECTIONS,
    Config,
    Limits,
    Realtime,
    changes,
    effective,
    hint,
    options,
    toml,
)

ROOT = Path(__file__).parent.parent.parent
KEY = b"k" * 88
CONFIG = Config(key=KEY)


def test_the_shipped_file_has_every_option_and_its_default() -> None:
    shipped = tomllib.loads((ROOT / "etc" / "tuleaprt.toml").read_text())
    written = [
        (section, option, value) for section, table in shipped.items() for option, value in table.items()
    ]
    known = []
    for section, cls in SECTIONS.items():
        for option in fields(cls):
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            known.append((section, option.name, default))
    assert written == known


def test_the_shipped_file_says_a_sentence_about_every_option() -> None:
    lines = (ROOT / "etc" / "tuleaprt.toml").read_text().splitlines()
    for above, line in pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert above.startswith("# "), line
            assert above.endswith("."), line


def test_what_every_option_wants_can_be_said_in_words() -> None:
    assert [option.name for section, option in options() if hint(section, option.name) not in EXPECTED] == []


def test_what_can_change_live_are_options() -> None:
    assert {f"{section}.{option.name}" for section, option in options()} >= LIVE


def test_what_holds_is_shown_as_a_file_that_says_the_same() -> None:
    shown = tomllib.loads(effective(CONFIG))
    shipped = tomllib.loads((ROOT / "etc" / "tuleaprt.toml").read_text())
    assert shown["realtime"].pop("post_secret") == "(not set)"
    del shipped["realtime"]["post_secret"]
    assert shown == shipped


def test_of_secrets_only_that_they_are_there_is_shown() -> None:
    shown = effective(replace(CONFIG, realtime=Realtime(post_secret="s3cr3t"), post_secret=b"s3cr3t"))
    assert "# The key: (set), of key_file." in shown
    assert 'post_secret = "(set)"' in shown
    assert "s3cr3t" not in shown
    assert KEY.decode() not in shown
    assert "of PRIVATE_KEY" in effective(replace(CONFIG, key_is_fixed=True))


@pytest.mark.parametrize("value", ['a "b" \\ c', "é\n\x7f\x00", ["a", "b"], [], 5, 0.5, True, 1e16])
def test_values_are_shown_as_toml_on_one_line(value: object) -> None:
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}
    assert "\n" not in toml(value)


def test_a_text_that_is_no_utf_8_can_be_shown() -> None:
    assert toml("a\udcff") == '"a\\udcff"'


def test_what_has_changed_is_named() -> None:
    assert changes(CONFIG, CONFIG) == []
    other = replace(CONFIG, limits=Limits(max_outbox=1, max_connections=1), key=b"other" * 9)
    assert changes(CONFIG, other) == ["limits.max_connections", "limits.max_outbox"]


def test_a_secret_that_has_changed_in_its_file_is_named() -> None:
    assert changes(CONFIG, replace(CONFIG, post_secret=b"s3cr3t")) == ["realtime.post_secret"]
