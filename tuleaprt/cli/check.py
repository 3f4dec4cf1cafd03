"""``tuleaprt check-config``: whether the server would start, and with what."""

import argparse
import os

from tuleaprt.application.service import makeService
from tuleaprt.cli.settings import CONFIG, config_path
from tuleaprt.config import effective
from tuleaprt.errors import ConfigError
from tuleaprt.loading import load


def add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    print(effective(config))
    return 0
