"""Prints etc/tuleaprt.schema.json, by which editors complete and check the configuration::

python docs/schema.py > etc/tuleaprt.schema.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))
from configuration import sentences

from tuleaprt.configuration.options import EXPECTED, SECTIONS, hint, options


def schema() -> dict[str, Any]:
    """JSON Schema, draft 7: the newest that the usual editors of TOML know."""
    said = sentences()
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for section, option in options():
        kind = hint(section, option.name)
        sections[section][option.name] = {
            **msgspec.json.schema(kind),
            "description": f"{said[section, option.name]} {EXPECTED[kind][0].upper()}{EXPECTED[kind][1:]}.",
            "default": option.default,
        }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration of tuleaprt",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {
                "type": "object",
                "description": (SECTIONS[name].__doc__ or "").strip(),
                "additionalProperties": False,
                "properties": properties,
            }
            for name, properties in sections.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
