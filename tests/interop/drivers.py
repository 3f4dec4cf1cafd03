"""Client libraries of other projects, each in a process of its own that reads commands line by line."""

import json
import sys
from collections.abc import Awaitable, Sequence
from itertools import count
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from tests.end_to_end.clients import WampError
from tests.end_to_end.processes import ROOT, Process, patiently

AUTOBAHN_JS = ["/usr/bin/env", "node", "tests/interop/autobahn_js_client.mjs"]
AUTOBAHN_PYTHON = [sys.executable, "tests/interop/autobahn_python_client.py"]
WAMPY = ["/usr/bin/env", "node", "tests/interop/wampy_client.mjs"]
# xconn brings an event loop, a web framework and cryptography that the server must do without.
XCONN = [str(ROOT / ".venv-interop" / "bin" / "python"), "tests/interop/xconn_client.py"]


class Driver:
    """One process with any number of sessions of one library."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._ids = count(1)
        self._answers: dict[int, Deferred[Any]] = {}
        self._sessions: dict[int, Session] = {}
        self.process = Process.start(arguments, {})
        self.process.line = self._line  # type: ignore[method-assign]
        self.process.ended().addCallback(self._ended)

    async def open(
        self, url: str, serializer: str, ticket: str | None = None, uuid: str | None = None
    ) -> "Session":
        """A session with this token, or an anonymous one. Only autobahn-js can name its window.

        Raises:
            WampError: the URI of the ABORT.
        """
        session = Session(self, next(self._ids))
        self._sessions[session.number] = session
        window = {} if uuid is None else {"uuid": uuid}
        session.welcome = await session.do("open", url=url, serializer=serializer, ticket=ticket, **window)
        return session

    async def command(self, command: str, **arguments: Any) -> Any:
        if self.process.exit is not None:
            raise self._failure()
        id = next(self._ids)
        answer = self._answers[id] = Deferred()
        line = json.dumps({"id": id, "command": command, **arguments}) + "\n"
        self.process.transport.write(line.encode())
        return await patiently(answer, f"{command} by {self.process.lines}")

    def _line(self, line: str) -> None:
        self.process.lines.append(line)
        # The libraries print, too.
        if not line.startswith('{"'):
            return
        message = json.loads(line)
        if "id" in message:
            answer = self._answers.pop(message["id"])
            if "error" in message:
                answer.errback(WampError(message["error"]))
            else:
                answer.callback(message["result"])
        elif "event" in message:
            self._sessions[message["session"]].got(message["event"])
        elif not (closed := self._sessions[message["session"]].closed).called:
            closed.callback(message["closed"])

    def _ended(self, exit: int) -> None:
        for answer in self._answers.values():
            answer.errback(self._failure())

    def _failure(self) -> AssertionError:
        return AssertionError("the library's process has ended; it wrote:\n" + "\n".join(self.process.lines))


class Session:
    """A session of a library. ``events`` are the EVENTs that it got, ``closed`` what became of it."""

    welcome: dict[str, Any]

    def __init__(self, driver: Driver, number: int) -> None:
        self.number = number
        self.events: list[dict[str, Any]] = []
        self.closed: Deferred[str] = Deferred()
        self._driver = driver
        self._next: Deferred[dict[str, Any]] = Deferred()

    def got(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        came, self._next = self._next, Deferred()
        came.callback(event)

    async def next_event(self) -> dict[str, Any]:
        """The next event."""
        return await patiently(self._next, "an event")

    async def end(self) -> str:
        """Whether the library means to come back, when the session has ended without its doing."""
        return await patiently(self.closed, "the end of the session")

    async def do(self, command: str, **arguments: Any) -> Any:
        """
        Raises:
            WampError: the URI of the ERROR.
        """
        return await self._driver.command(command, session=self.number, **arguments)

    async def subscribe(self, topic: str, **options: Any) -> int:
        id: int = await self.do("subscribe", topic=topic, options=options)
        return id

    async def unsubscribe(self, id: int) -> None:
        await self.do("unsubscribe", subscription=id)

    async def call(self, procedure: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The ``args`` and ``kwargs`` of the RESULT."""
        result: dict[str, Any] = await self.do("call", procedure=procedure, args=args, kwargs=kwargs)
        return result

    async def publish(self, topic: str, kwargs: dict[str, Any], **options: Any) -> None:
        """With ``acknowledge``."""
        await self.do("publish", topic=topic, kwargs=kwargs, options=options)

    async def leave(self) -> None:
        await self.do("leave")


class Join(Protocol):
    """Joins with a token; without one, anonymously at the debug endpoint."""

    def __call__(self, ticket: str | None = None) -> Awaitable[Session]: ...
