"""``tuleaprt check-config``: whether the server would start, and with what."""

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from tuleaprt.cli.settings import CONFIG, config_path
from tuleaprt.config import SECTIONS, Config, load
from tuleaprt.errors import ConfigError
from tuleaprt.service import makeService


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "check-config",
        help="say whether the server would start, and with what",
        description="Check the configuration, the environment (TULEAPRT_…) and the key as the server does"
        " when it starts. Print all options as they are then, without secrets; or print what is wrong, one"
        " line each, and exit with 1.",
    )
    parser.add_argument(
        "config",
        metavar="FILE",
        nargs="?",
        help=f"the configuration file (default: ${CONFIG}, or the server's defaults)",
    )
    parser.set_defaults(command=check)


def check(arguments: argparse.Namespace) -> int:
    """
    Raises:
        ConfigError: the server would not start.
    """
    path = config_path(arguments.config)
    config = load(path, os.environ)
    try:
        makeService({"config": path})
    except SystemExit as error:
        raise ConfigError(*str(error).splitlines()[1:]) from None
    print("\n".join(effective(config)))
    return 0


def effective(config: Config) -> Iterator[str]:
    """The lines of a TOML file that says the same. Secret is what has no repr."""
    for name, section in SECTIONS.items():
        yield f"[{name}]"
        if name == "realtime":
            yield "# the key: (set)"
        for option in fields(section):
            value = getattr(getattr(config, name), option.name)
            yield f"{option.name} = {_toml(value if option.repr or not value else '(set)')}"
        yield ""


def _toml(value: Any) -> str:
    """JSON's numbers, texts and lists are TOML's, too; DEL is the one character that JSON does not escape."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
