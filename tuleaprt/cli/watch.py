"""``tuleaprt watch``: shows events as they are published, over lost connections and restarts."""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from autobahn.wamp.exception import ApplicationError
from twisted.internet.task import deferLater

from tuleaprt.cli.answers import BOLD, CYAN, DIM, Screen, printable
from tuleaprt.cli.following import Event, Following, Known
from tuleaprt.cli.session import EXPIRED, LOST, SHUTDOWN, Ended, Session, connect, run
from tuleaprt.cli.settings import add_session, session_settings
from tuleaprt.errors import CommandFailed, Unreachable

FIRST_PAUSE, LONGEST_PAUSE = 1, 30
"""The pause between two attempts to connect, in seconds before jitter."""

PASSING = (LOST, SHUTDOWN, EXPIRED, "wamp.error.payload_size_exceeded")
"""The ends of a session after which a client may reconnect (docs/wamp.rst)."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "watch",
        help="show events as they are published",
        description="Show the events of topics as they happen. When the connection is lost or the server"
        " restarts, connect again and show what was missed meanwhile, or say that it is lost. Events go to"
        " stdout, all else to stderr.",
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="+", help="as org.tuleap.kanban.3")
    parser.add_argument(
        "--prefix",
        action="store_true",
        help="all topics with this prefix, such as org.tuleap. (operators only)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help='one JSON object a line: {"publication", "topic", "args", "kwargs"}',
    )
    parser.add_argument("--once", metavar="N", type=_count, help="end after N events")
    add_session(parser)
    parser.set_defaults(command=watch)


def watch(arguments: argparse.Namespace) -> int:
    config, url, ticket = session_settings(arguments)
    watching = Watch(
        arguments.topics,
        is_prefix=arguments.prefix,
        show=json_lines() if arguments.json else pretty_lines(),
        limit=arguments.once,
        status=Screen(sys.stderr),
    )
    run(lambda reactor: watching.run(reactor, lambda: connect(reactor, url, config.realtime.realm, ticket())))
    return 0


def pretty_lines() -> Callable[[Event], None]:
    """Local time, topic, command, data."""
    screen = Screen(sys.stdout)

    def show(event: Event) -> None:
        what: Any = (
            event.kwargs if not event.args else [*event.args, *([event.kwargs] if event.kwargs else [])]
        )
        cmd = ""
        if not event.args and event.kwargs.keys() == {"cmd", "data"}:
            cmd, what = str(event.kwargs["cmd"]), event.kwargs["data"]
        words = [
            screen.coloured(time.strftime("%H:%M:%S"), DIM),
            screen.coloured(event.topic.removeprefix("org.tuleap."), CYAN),
            *([screen.coloured(cmd, BOLD)] if cmd else []),
            printable(json.dumps(what, ensure_ascii=False)),
        ]
        screen.line(" ".join(words))

    return show


def json_lines() -> Callable[[Event], None]:
    screen = Screen(sys.stdout)
    return lambda event: screen.line(json.dumps(event._asdict()))


class Watch:
    """Follows topics over one session after the other, for ``limit`` events or without end."""

    def __init__(
        self,
        topics: list[str],
        *,
        is_prefix: bool,
        show: Callable[[Event], None],
        limit: int | None,
        status: Screen,
    ) -> None:
        known = Known()
        self._followings = [
            Following(topic, is_prefix=is_prefix, known=known, show=self._show, lost=self._lost)
            for topic in dict.fromkeys(topics)
        ]
        self._show_on = show
        self._left = limit
        self._status = status
        self._session: Session | None = None
        self._error: Exception | None = None

    async def run(self, reactor: Any, open_session: Callable[[], Any]) -> None:
        """
        Raises:
            CommandFailed: the server refuses, or the first attempt to connect fails.
            InvalidAnswer: a message cannot be read.
            OSError: the output is closed.
        """
        pause: float = FIRST_PAUSE
        is_first = True
        while True:
            try:
                self._session = await open_session()
                why = await self._follow(self._session, is_first=is_first)
                pause, is_first = FIRST_PAUSE, False
            except Unreachable as error:
                if is_first:
                    raise
                why = str(error)
            if self._error is not None:
                raise self._error
            if self._left == 0:
                return
            seconds = pause * random.uniform(0.5, 1.5)
            self._say(f"{why}; connecting again in {seconds:.1f} seconds")
            await deferLater(reactor, seconds)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _follow(self, session: Session, *, is_first: bool) -> str:
        """Show the events of one session. Returns how it ended."""
        try:
            for following in self._followings:
                await following.subscribe(session)
        except ApplicationError as error:
            if not session.is_over:
                raise CommandFailed(error.error_message()) from None
        else:
            topics = ", ".join(following.topic for following in self._followings)
            verb = "watches" if is_first else "is connected again and watches"
            self._say(f"user {session.authid} {verb} {topics}")
        ended: Ended = await session.over()
        if ended.reason not in PASSING and self._left != 0 and self._error is None:
            raise CommandFailed(f"the server has ended the session: {ended}")
        return f"the connection is lost ({ended.message})" if ended.reason == LOST else str(ended)

    def _show(self, event: Event) -> None:
        if self._left == 0 or self._error is not None:
            return
        try:
            self._show_on(event)
        except Exception as error:
            # Autobahn would only log it.
            self._error = error
        if self._left is not None:
            self._left -= 1
        if self._session is not None and (self._left == 0 or self._error is not None):
            self._session.leave()

    def _lost(self, topic: str) -> None:
        self._say(f"… missed events of {topic} are lost: position lost")

    def _say(self, text: str) -> None:
        self._status.line(self._status.coloured(text, DIM))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:10]) <= 10**9):
        raise argparse.ArgumentTypeError("it is a whole number from 1 to 1000000000")
    return int(text[:10])
