"""``tuleaprt check-config``: checks whether the server would start, and prints the effective configuration.

``tuleaprt version``: prints the versions for a bug report.
"""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from tuleaprt.cli.settings import CONFIG, config_path
from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import effective
from tuleaprt.errors import ConfigError
from tuleaprt.transport.sending import sender


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add_check(commands)
    add_version(commands)


def add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "check-config",
        help="check whether the server would start, and print the effective options",
        description="Check the configuration, the environment (TULEAPRT_…) and the key as the server does"
        " when it starts. Print the effective options with their sources and without secrets, or the"
        " problems, one line each, with exit status 1.",
    )
    parser.add_argument(
        "config",
        metavar="FILE",
        nargs="?",
        help=f"the configuration file (default: ${CONFIG}, or the server's defaults)",
    )
    parser.add_argument(
        "--connect",
        action="store_true",
        help="also try whether the journal's file or Redis can be used; a running server holds the file",
    )
    parser.set_defaults(command=check)


def check(arguments: argparse.Namespace) -> int:
    """
    Raises:
        ConfigError: the server would not start.
    """
    # Importing the server takes a quarter of a second, which version does not need.
    from tuleaprt.application.durability import check_journal
    from tuleaprt.application.service import makeService
    from tuleaprt.cli.session import run

    path = config_path(arguments.config)
    config = load(path, os.environ)
    try:
        makeService({"config": path})
    except SystemExit as error:
        raise ConfigError(*str(error).splitlines()[1:]) from None
    if arguments.connect:
        run(lambda reactor: check_journal(config, reactor))
    print(effective(config))
    return 0


PARTS = ("tuleaprt", "Python", "Twisted", "autobahn")


def add_version(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "version",
        help="print the versions of tuleaprt and what it is made of",
        description="Print the versions of tuleaprt, Python, Twisted and Autobahn, and whether events are"
        " sent in C or in Python.",
    )
    parser.set_defaults(command=show)


def show(arguments: argparse.Namespace) -> int:
    for part in PARTS:
        print(part, _version(part))
    print(f"events are sent {sender()[1]}")
    return 0


def _version(part: str) -> str:
    if part == "Python":
        return platform.python_version()
    try:
        return version(part)
    except PackageNotFoundError:
        return "(not installed)"
