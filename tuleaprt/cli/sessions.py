"""``tuleaprt sessions``: lists sessions, and ends them."""

import argparse
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from autobahn.wamp.exception import ApplicationError

from tuleaprt.cli.answers import BOLD, Screen, printable, read, read_first, read_json, shortened
from tuleaprt.cli.post import request
from tuleaprt.cli.session import Session, connect, run
from tuleaprt.cli.settings import (
    add_session,
    configuration,
    private_url,
    settings_of_several,
)
from tuleaprt.errors import CommandFailed, InvalidAnswer
from tuleaprt.tuleap.topics import parse_id

COLUMNS = (("session", 16), ("user", 10), ("role", 8), ("transport", 24), ("peer", 0))
OK = 200

LIST, COUNT, GET = "wamp.session.list", "wamp.session.count", "wamp.session.get"


class Revoked(msgspec.Struct):
    """The body of the answer to ``DELETE /sessions/<user id>``."""

    user_id: int


class _Transport(msgspec.Struct):
    type: str | None = None
    protocol: str | None = None
    peer: str | None = None


class _Row(msgspec.Struct):
    """The columns of the table, from ``wamp.session.get``."""

    session: int
    authid: str | None
    authrole: str | None
    transport: _Transport = msgspec.field(default_factory=_Transport)


_Count = Annotated[int, msgspec.Meta(ge=1)]
"""The number of sessions, with the session that asks."""

T = TypeVar("T")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "sessions",
        help="list, count and end sessions",
        description="List, count and end the sessions of the server, except the session of this"
        " command. It needs an operator's token.",
    )
    _add_listing(parser)
    parser.set_defaults(command=list_sessions)
    actions = parser.add_subparsers(title="what to do", metavar="ACTION")
    # Options after the action default to those before it.
    listing = actions.add_parser(
        "list", help="print a table (the default)", description="Print a table of the sessions."
    )
    _add_listing(listing, argparse.SUPPRESS)
    counting = actions.add_parser(
        "count", help="print their number", description="Print the number of sessions."
    )
    add_session(counting, argparse.SUPPRESS, of_several=True)
    counting.set_defaults(command=count_sessions)
    _add_killing(actions)


def _add_listing(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=default or False,
        help="one JSON object a line, as wamp.session.get says",
    )
    add_session(parser, default, of_several=True)


def _add_killing(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = actions.add_parser(
        "kill",
        help="end sessions, or all sessions of a user",
        description="End sessions: their pages do not reconnect by themselves, but the user may load them"
        " again. With --user, end all sessions of a user and refuse the user's tokens: the user is out until"
        " Tuleap makes a new token, with the rights of that moment.",
    )
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("ids", metavar="ID", nargs="*", type=_id, default=[], help="the id of a session")
    who.add_argument("--user", metavar="USER_ID", type=_id, help="the user's number in Tuleap")
    parser.add_argument(
        "--private-url",
        metavar="URL",
        help="for --user: the private site (default: the first tcp endpoint of [listen] private)",
    )
    add_session(parser, argparse.SUPPRESS, of_several=True)
    parser.set_defaults(command=kill_sessions)


def list_sessions(arguments: argparse.Namespace) -> int:
    screen = Screen(sys.stdout)
    heading = [] if arguments.json else [_row(screen, {name: name.upper() for name, _ in COLUMNS}, BOLD)]

    async def show(session: Session) -> None:
        while heading:
            screen.line(heading.pop())
        for id in read_first(await session.ask(LIST), list[int], LIST):
            if id != session.session_id and (found := await _details(session, id)) is not None:
                row = _cells(read(found, _Row, GET))
                screen.line(json.dumps(found) if arguments.json else _row(screen, row))

    _with_sessions(arguments, show)
    return 0


def count_sessions(arguments: argparse.Namespace) -> int:
    async def count(session: Session) -> int:
        return read_first(await session.ask(COUNT), _Count, COUNT) - 1

    print(sum(_with_sessions(arguments, count)))
    return 0


def kill_sessions(arguments: argparse.Namespace) -> int:
    if arguments.user is not None:
        return _revoke(arguments)
    refused: dict[int, str] = dict.fromkeys(arguments.ids, "")

    async def kill(session: Session) -> None:
        for id in list(refused):
            try:
                await session.ask("wamp.session.kill", id)
            except ApplicationError as error:
                refused[id] = printable(error.error_message())
            else:
                del refused[id]
                print(f"session {id} has been ended")

    _with_sessions(arguments, kill)
    for id, why in refused.items():
        print(f"session {id}: {why}", file=sys.stderr)
    return 1 if refused else 0


def _revoke(arguments: argparse.Namespace) -> int:
    _, _, ticket = settings_of_several(arguments)
    url = private_url(arguments.private_url, configuration(arguments, with_key=False), "--private-url")
    answer = request(url, "DELETE", f"/sessions/{arguments.user}", bearer=ticket())
    if answer.status != OK:
        raise CommandFailed(f"the server refuses: {answer.status} {shortened(answer.body)}")
    if read_json(answer.body, Revoked, url).user_id != arguments.user:
        raise InvalidAnswer(f"{url} has revoked the tokens of another user")
    print(f"the sessions of user {arguments.user} have been ended, and the user's tokens are refused")
    return 0


def _with_sessions(arguments: argparse.Namespace, command: Callable[[Session], Awaitable[T]]) -> list[T]:
    """Run the command with a session at each server, one after the other."""
    config, urls, ticket = settings_of_several(arguments)

    async def work(reactor: Any) -> list[T]:
        results: list[T] = []
        for url in urls:
            session = await connect(reactor, url, config.realtime.realm, ticket())
            results.append(await command(session))
            session.leave()
            await session.over()
        return results

    return run(work)


async def _details(session: Session, id: int) -> dict[str, Any] | None:
    """The details of a session; None: it has ended."""
    try:
        return read_first(await session.ask(GET, id), dict[str, Any], GET)
    except ApplicationError as error:
        if error.error == ApplicationError.NO_SUCH_SESSION:
            return None
        raise


def _cells(row: _Row) -> dict[str, str]:
    return {
        "session": str(row.session),
        "user": str(row.authid),
        "role": str(row.authrole),
        "transport": f"{row.transport.type} {row.transport.protocol}",
        "peer": str(row.transport.peer),
    }


def _row(screen: Screen, cells: dict[str, str], colour: str = "") -> str:
    line = "  ".join(cells[name].ljust(width) for name, width in COLUMNS).rstrip()
    return screen.coloured(line, colour) if colour else printable(line)


def _id(text: str) -> int:
    if (id := parse_id(text)) is None:
        raise argparse.ArgumentTypeError("it is a whole number from 1 to 2^53-1")
    return id
