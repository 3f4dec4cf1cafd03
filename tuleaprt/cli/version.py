"""``tuleaprt version``: what to say in a report of a bug."""

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

PARTS = ("tuleaprt", "Python", "Twisted", "autobahn")


def add_version(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "version",
        help="print the versions of tuleaprt and what it is made of",
        description="Print the versions of tuleaprt, Python, Twisted and Autobahn.",
    )
    parser.set_defaults(command=show)


def show(arguments: argparse.Namespace) -> int:
    for part in PARTS:
        print(part, _version(part))
    return 0


def _version(part: str) -> str:
    if part == "Python":
        return platform.python_version()
    try:
        return version(part)
    except PackageNotFoundError:
        return "(not installed)"
