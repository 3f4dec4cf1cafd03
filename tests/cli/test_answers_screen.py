"""What reaches a terminal."""

import io

import pytest

from tuleaprt.cli.answers import CYAN, Screen, printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b31m", "\r", "\x07", "\x7f", "\u202e", "\u2028", "\x00"])
def test_attack_an_event_steers_the_terminal(evil: str) -> None:
    safe = printable(f"a{evil}b")
    assert safe.isprintable()
    assert safe.startswith("a\\")


def test_what_people_write_stays_as_it_is() -> None:
    assert printable('{"label": "Fußgänger 東京 🚲"}') == '{"label": "Fußgänger 東京 🚲"}'


def test_colours_are_for_terminals_and_those_who_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Screen(Terminal()).coloured("x", CYAN) == "\x1b[36mx\x1b[0m"
    assert Screen(io.StringIO()).coloured("x", CYAN) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen(Terminal()).coloured("x", CYAN) == "x"
