"""``tuleaprt token``: a ticket for a user, or an operator's."""

import argparse
import time

from tuleaprt.cli.settings import OPERATOR_SECONDS, add_config, configuration, mint
from tuleaprt.tuleap.topics import parse_id

SECONDS = 1800


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "token",
        help="make a ticket",
        description="Make a ticket for a user as Tuleap makes them, or for an operator, and print it."
        " Whoever has it is that user until it ends: treat it as a password.",
    )
    parser.add_argument("user_id", metavar="USER_ID", type=_user_id, help="the user's number in Tuleap")
    parser.add_argument(
        "groups", metavar="GROUP", nargs="*", help="a user group of Tuleap, as @site_active or 101_3"
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        help=f"how long it is good (default: {SECONDS}); the server counts at most"
        " [realtime] max_token_lifetime",
    )
    parser.add_argument(
        "--operator",
        action="store_true",
        help=f"of an operator, who sees and may do everything, for at most {OPERATOR_SECONDS} seconds",
    )
    parser.add_argument(
        "--rooms",
        metavar="TOPIC",
        nargs="*",
        help="the only topics that may be subscribed; none, if there is none here",
    )
    add_config(parser)
    parser.set_defaults(command=token, error=parser.error)


def token(arguments: argparse.Namespace) -> int:
    if arguments.operator and arguments.seconds > OPERATOR_SECONDS:
        arguments.error(f"--seconds: an operator's ticket is good for at most {OPERATOR_SECONDS}")
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
