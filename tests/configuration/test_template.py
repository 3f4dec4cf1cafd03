"""The shipped file with other values."""

import tomllib

import pytest

from tuleaprt.configuration.options import options
from tuleaprt.configuration.template import Setting, filled, shipped


def test_the_package_has_the_shipped_file() -> None:
    read = tomllib.loads(shipped())
    assert {(section, name) for section in read for name in read[section]} == {
        (section, option.name) for section, option in options()
    }


def test_without_settings_only_the_line_for_editors_may_go() -> None:
    assert filled(shipped(), {}, names_schema=True) == shipped()
    assert "#:schema" in shipped().splitlines()[0]
    assert filled(shipped(), {}, names_schema=False) == shipped().partition("\n")[2]


def test_a_value_is_below_its_reason_and_all_else_stays() -> None:
    settings = {
        ("listen", "public"): Setting(["unix:/run/a b.sock"], "It is free."),
        ("realtime", "realm"): Setting('a "quoted" name', "So be it."),
    }
    text = filled(shipped(), settings, names_schema=True)
    assert '# It is free.\npublic = ["unix:/run/a b.sock"]\n' in text
    read, before = tomllib.loads(text), tomllib.loads(shipped())
    assert read["realtime"]["realm"] == 'a "quoted" name'
    before["listen"]["public"], before["realtime"]["realm"] = ["unix:/run/a b.sock"], 'a "quoted" name'
    assert read == before


def test_an_option_of_the_same_name_in_another_section_stays() -> None:
    template = '[a]\n# One.\nurl = "x"\n[b]\n# Two.\nurl = "y"\n'
    text = filled(template, {("b", "url"): Setting("z", "Three.")}, names_schema=False)
    assert tomllib.loads(text) == {"a": {"url": "x"}, "b": {"url": "z"}}


def test_an_option_without_a_line_is_not_lost() -> None:
    with pytest.raises(KeyError, match=r"\[listen\] pubic"):
        filled(shipped(), {("listen", "pubic"): Setting([], "")}, names_schema=False)
