"""``tuleaprt sessions``: lists sessions, and ends them."""

import argparse
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from autobahn.wamp.exception import ApplicationError

from tuleaprt.cli.answers import BOLD, Screen, printable, read, read_first, read_json, shortened
from tuleaprt.cli.post import request
from tuleaprt.cli.session import Session, connect, run
from tuleaprt.cli.settings import add_session, configuration, private_url, session_settings
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

Command = Callable[[Session], Awaitable[int]]


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
    add_session(counting, argparse.SUPPRESS)
    counting.set_defaults(command=count_sessions)
    _add_killing(actions)


def _add_listing(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=default or False,
        help="one JSON object a line, as wamp.session.get says",
    )
    add_session(parser, default)


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
    add_session(parser, argparse.SUPPRESS)
    parser.set_defaults(command=kill_sessions)


def list_sessions(arguments: argparse.Namespace) -> int:
    screen = Screen(sys.stdout)

    async def show(session: Session) -> int:
        if not arguments.json:
            screen.line(_row(screen, {name: name.upper() for name, _ in COLUMNS}, BOLD))
        for id in read_first(await session.ask(LIST), list[int], LIST):
            if id != session.session_id and (found := await _details(session, id)) is not None:
                row = _cells(read(found, _Row, GET))
                screen.line(json.dumps(found) if arguments.json else _row(screen, row))
        return 0

    return _with_session(arguments, show)


def count_sessions(arguments: argparse.Namespace) -> int:
    async def count(session: Session) -> int:
        print(read_first(await session.ask(COUNT), _Count, COUNT) - 1)
        return 0

    return _with_session(arguments, count)


def kill_sessions(arguments: argparse.Namespace) -> int:
    if arguments.user is not None:
        return _revoke(arguments)

    async def kill(session: Session) -> int:
        status = 0
        for id in arguments.ids:
            try:
                await session.ask("wamp.session.kill", id)
                print(f"session {id} has been ended")
            except ApplicationError as error:
                print(f"session {id}: {printable(error.error_message())}", file=sys.stderr)
                status = 1
        return status

    return _with_session(arguments, kill)


def _revoke(arguments: argparse.Namespace) -> int:
    _, _, ticket = session_settings(arguments)
    url = private_url(arguments.private_url, configuration(arguments, with_key=False), "--private-url")
    answer = request(url, "DELETE", f"/sessions/{arguments.user}", bearer=ticket())
    if answer.status != OK:
        raise CommandFailed(f"the server refuses: {answer.status} {shortened(answer.body)}")
    if read_json(answer.body, Revoked, url).user_id != arguments.user:
        raise InvalidAnswer(f"{url} has revoked the tokens of another user")
    print(f"the sessions of user {arguments.user} have been ended, and the user's tokens are refused")
    return 0


def _with_session(arguments: argparse.Namespace, command: Command) -> int:
    config, url, ticket = session_settings(arguments)

    async def work(reactor: Any) -> int:
        session = await connect(reactor, url, config.realtime.realm, ticket())
        status = await command(session)
        session.leave()
        await session.over()
        return status

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
