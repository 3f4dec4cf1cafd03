"""What is written leads somewhere, and is complete."""

import re
from pathlib import Path

import pytest

from tuleaprt.wamp.outlet import End

ROOT = Path(__file__).parent.parent.parent
PAGES = [*ROOT.glob("*.rst"), *(ROOT / "docs").glob("*.rst")]
DOCS = ROOT / "docs"
TARGETS = re.compile(r"^# make (\w+)", re.MULTILINE)

AS_ASKED = {End.GOODBYE, End.CLOSED, End.REFUSED}
"""Ends that are no trouble, or have rows for each reason."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"<([^<>:\s]+)>`_", page.read_text())
    assert [it for it in links if not (page.parent / it.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_make_are_there(page: Path) -> None:
    known = {*TARGETS.findall((ROOT / "Makefile").read_text()), "lint", "types", "unit"}
    assert set(re.findall(r"(?:``|^ {4,})make (\w+)", page.read_text(), re.MULTILINE)) <= known


def test_the_readme_names_every_page() -> None:
    readme = (ROOT / "README.rst").read_text()
    assert [
        it.name for it in DOCS.glob("*.rst") if it.name != "index.rst" and f"docs/{it.name}" not in readme
    ] == []


@pytest.mark.parametrize("end", [it for it in End if it not in AS_ASKED])
def test_troubleshooting_has_every_way_in_which_a_connection_ends(end: End) -> None:
    assert f"``{end}``" in (DOCS / "troubleshooting.rst").read_text()


def test_deploying_names_every_file_that_is_shipped_for_it() -> None:
    text = "".join((DOCS / it).read_text() for it in ("deploy.rst", "service.rst"))
    for path in (ROOT / "etc").rglob("*"):
        if path.is_file():
            whole, folder = str(path.relative_to(ROOT)), f"{path.parent.relative_to(ROOT)}/tuleaprt*"
            assert whole in text or folder in text, path
