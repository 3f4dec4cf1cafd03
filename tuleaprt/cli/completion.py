"""``tuleaprt completion``: prints a script by which a shell completes commands, options and files."""

import argparse
from collections.abc import Iterator
from typing import Any

import shtab

SHELLS = ("bash", "zsh", "fish")
FILE = "FILE"
"""What the help calls an argument that is a file."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "completion",
        help="print a script by which a shell completes commands",
        description="Print the script for a shell. bash: source <(tuleaprt completion bash); fish: tuleaprt"
        " completion fish | source; zsh: write it to the file _tuleaprt in a folder of $fpath.",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(command=completion)


def completion(arguments: argparse.Namespace) -> int:
    # It imports the commands, of which this is one.
    from tuleaprt.cli.main import parser_of

    parser = parser_of([])
    for action in _actions(parser):
        if action.metavar == FILE:
            action.complete = shtab.FILE
    print(shtab.complete(parser, arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[Any]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
