"""``tuleaprt token``: makes a token for a user or an operator."""

import argparse
import time

from tuleaprt.cli.settings import OPERATOR_SECONDS, add_config, configuration, mint
from tuleaprt.tuleap.topics import parse_id

SECONDS = 1800


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "token",
        help="make a token",
        description="Make a token for a user as Tuleap makes them, or for an operator, and print it."
        " It gives the rights of that user until it expires: treat it as a password.",
    )
    parser.add_argument("user_id", metavar="USER_ID", type=_user_id, help="the user's number in Tuleap")
    parser.add_argument(
        "groups", metavar="GROUP", nargs="*", help="a user group of Tuleap, as @site_active or 101_3"
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        help=f"for how long the token is good (default: {SECONDS}); the server counts at most"
        " [realtime] max_token_lifetime",
    )
    parser.add_argument(
        "--operator",
        action="store_true",
        help=f"for an operator, that sees and may do everything, for at most {OPERATOR_SECONDS} seconds",
    )
    parser.add_argument(
        "--rooms",
        metavar="TOPIC",
        nargs="*",
        help="the only topics that may be subscribed to; without a topic: none",
    )
    add_config(parser)
    parser.set_defaults(command=token, error=parser.error)


def token(arguments: argparse.Namespace) -> int:
    if arguments.operator and arguments.seconds > OPERATOR_SECONDS:
        arguments.error(f"--seconds: an operator's token is good for at most {OPERATOR_SECONDS}")
    ticket = mint(
        configuration(arguments, with_key=True),
        arguments.user_id,
        arguments.groups,
        seconds=arguments.seconds,
        now=time.time(),
        is_operator=arguments.operator,
        rooms=arguments.rooms,
    )
    print(ticket)
    return 0


def _user_id(text: str) -> int:
    if (id := parse_id(text)) is None:
        raise argparse.ArgumentTypeError("it is a whole number from 1 to 2^53-1")
    return id


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:10]) <= 10**9):
        raise argparse.ArgumentTypeError("it is a whole number from 1 to 1000000000")
    return int(text[:10])
