"""The page about the configuration says what the code and the shipped file say."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tuleaprt.configuration.options import LIVE, environment_name, toml

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "configuration.rst").read_text()
ROW = re.compile(r" {3}\* - \| ``(\w+)``\n {7}\| ``(\w+)``\n {5}- ``(.*)``\n {5}- (.*)\n {5}- (.*)\n")


def test_the_page_is_up_to_date() -> None:
    script = [sys.executable, "docs/configuration.py"]
    made = subprocess.run(
        script, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True, encoding="utf-8"
    )
    assert made.stdout == PAGE, "run: python docs/configuration.py > docs/configuration.rst"


def test_every_option_of_the_shipped_file_has_its_row() -> None:
    shipped = tomllib.loads((ROOT / "etc" / "tuleaprt.toml").read_text())
    expected = [
        (option, environment_name(section, option), toml(value), _changes(section, option))
        for section, table in shipped.items()
        for option, value in table.items()
    ]
    assert [
        (name, variable, default, changes) for name, variable, default, _, changes in ROW.findall(PAGE)
    ] == (expected)


def test_every_row_has_a_sentence() -> None:
    assert [row for row in ROW.findall(PAGE) if not row[3].endswith(".")] == []


def _changes(section: str, option: str) -> str:
    return "live" if f"{section}.{option}" in LIVE else "restart"
