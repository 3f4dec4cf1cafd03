"""The command line: its commands and its exit statuses.

====  ===================================================================
0     done, or the reader of the output has closed it
1     the command has failed: refused, unreachable, wrong configuration
2     wrong usage
70    a fault of tuleaprt (sysexits.h: EX_SOFTWARE)
130   Ctrl-C
====  ===================================================================
"""

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tuleaprt.cli.answers import printable
from tuleaprt.errors import ConfigError, TuleaprtError

DEBUG = "TULEAPRT_DEBUG"
COLUMNS = 96
INTERNAL_ERROR, INTERRUPTED = 70, 130

COMMANDS = {
    "init": "init",
    "token": "token",
    "watch": "watch",
    "post": "post",
    "sessions": "sessions",
    "check-config": "installation",
    "version": "installation",
    "check-delivery": "delivery",
    "takeover": "takeover",
    "completion": "completion",
}
"""The modules of the commands. Their function ``add`` describes them."""

EPILOG = (
    "exit status: 0 done, 1 the command failed, 2 wrong usage, 130 Ctrl-C,"
    f" 70 a fault of tuleaprt ({DEBUG}=1 shows where)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (without the program's name), and return the exit status."""
    is_debugging = bool(os.environ.get(DEBUG))
    try:
        if not is_debugging:
            _silence()
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        given = sys.argv[1:] if argv is None else list(argv)
        arguments = parser_of(given).parse_args(given)
        status: int = arguments.command(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except TuleaprtError as error:
        for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
            print(f"tuleaprt: {printable(problem)}", file=sys.stderr)
        return 1
    except Exception as error:
        if is_debugging:
            traceback.print_exc()
        print(f"tuleaprt: internal error: {type(error).__name__}", file=sys.stderr)
        return INTERNAL_ERROR


def _silence() -> None:
    """Silence the logs and warnings of libraries. Errors arrive as exceptions."""
    from twisted.logger import globalLogBeginner

    warnings.simplefilter("ignore")
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


def parser_of(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser with the command that comes first, or with all of them: importing all takes a quarter of a
    second.
    """
    modules = [COMMANDS[argv[0]]] if argv and argv[0] in COMMANDS else dict.fromkeys(COMMANDS.values())
    parser = _Parser(prog="tuleaprt", description="Watch and manage Tuleap's real-time server.")
    commands: Any = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in modules:
        import_module(f"tuleaprt.cli.{module}").add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """What all commands and subcommands share."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, epilog=EPILOG, **keywords)


class _Formatter(argparse.HelpFormatter):
    """The same width on every terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=COLUMNS)
