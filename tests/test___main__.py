"""``python -m tuleaprt`` and ``tuleaprt`` are the same."""

from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

from tuleaprt.__main__ import main

ROOT = Path(__file__).parent.parent


def test_what_is_installed_is_the_same_function() -> None:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    name, _, place = parser["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = place.partition(":")
    assert name == "tuleaprt"
    assert getattr(import_module(module), function) is main
