"""The shipped configuration file with other values: each option keeps its comment."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from tuleaprt.configuration.options import toml

SCHEMA = "#:schema "
"""What the line begins with that names the schema for editors."""


class Setting(NamedTuple):
    """A value for an option, and a sentence why."""

    value: Any
    reason: str


def shipped() -> str:
    """``etc/tuleaprt.toml``, which is also in the package."""
    return files("tuleaprt.configuration").joinpath("tuleaprt.toml").read_text(encoding="utf-8")


def filled(template: str, settings: Mapping[tuple[str, str], Setting], *, names_schema: bool) -> str:
    """The template with these values, each below its reason. ``names_schema``: keep the line for editors.

    Raises:
        KeyError: the template has no line for an option.
    """
    left = dict(settings)
    section, lines = "", list[str]()
    for line in template.splitlines():
        if line.startswith(SCHEMA) and not names_schema:
            continue
        if line.startswith("["):
            section = line.strip("[]")
        name, is_option, _ = line.partition(" = ")
        setting = left.pop((section, name), None) if is_option and not line.startswith("#") else None
        if setting is None:
            lines.append(line)
        else:
            lines += [f"# {setting.reason}", f"{name} = {toml(setting.value)}"]
    if left:
        raise KeyError(", ".join(f"[{section}] {name}" for section, name in left))
    return "\n".join(lines) + "\n"
