"""The command line: what there is, and what becomes of an error.

====  ===================================================================
0     done, or the reader of the output has had enough
1     what was asked for failed: refused, unreachable, a bad configuration
2     the command line cannot be understood
70    a mistake in tuleaprt (sysexits.h: EX_SOFTWARE)
130   Ctrl-C
====  ===================================================================
"""

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from tuleaprt.cli.answers import printable
from tuleaprt.errors import ConfigError, TuleaprtError

DEBUG = "TULEAPRT_DEBUG"
COLUMNS = 96
INTERNAL_ERROR, INTERRUPTED = 70, 130

EPILOG = (
    "exit status: 0 done, 1 what was asked for failed, 2 wrong usage, 130 Ctrl-C,"
    f" 70 a mistake in tuleaprt ({DEBUG}=1 shows where)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments (without the program's name) say; the exit status."""
    is_debugging = bool(os.environ.get(DEBUG))
    try:
        if not is_debugging:
            _silence()
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        arguments = _parser().parse_args(argv)
        status: int = arguments.command(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends.
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
    """Libraries have nothing to say here; what matters comes as an exception."""
    from twisted.logger import globalLogBeginner

    warnings.simplefilter("ignore")
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


def _parser() -> argparse.ArgumentParser:
    # Twisted and Autobahn take their time to be imported, and Ctrl-C must be quiet meanwhile.
    from tuleaprt.cli import installation, post, sessions, token, watch

    parser = _Parser(prog="tuleaprt", description="See and direct the real-time server of Tuleap.")
    commands: Any = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (token, watch, post, sessions, installation):
        command.add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """What holds for all commands, and commands of commands."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, epilog=EPILOG, **keywords)


class _Formatter(argparse.HelpFormatter):
    """The same everywhere, however wide the terminal is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=COLUMNS)
