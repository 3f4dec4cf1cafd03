"""The crowd of the soak: all its windows, and what they share."""

import asyncio
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import jwt
from engine_io import NOTHING_MORE, exchange
from expected import Groups, World
from windows import TICKET_SECONDS, AnyConnection, PageWindow, Person, Window

AT_A_TIME = 32
"""Connections that are opened at once: fewer than Twisted's backlog of 50, above which Linux drops a SYN for
a second.
"""
GROUPS = range(1, 13)
IN_GROUP, GROUP_SETS = 0.4, 200
FIRST_USER = 1000
HALL, STAGE, FIRST_BOARD = 1, 2, 10
"""The board with many windows, the one with large posts, and the first of those with a hundred windows each.
"""
PAGES = 3
"""One window of so many is a page over socket.io."""
LIVE = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
STARTING = "starting"


class Crowd:
    """All windows. ``life`` counts the starts of the server. ``is_restarting`` is "", the signal that stops
    the server, or STARTING.
    """

    def __init__(self, world: World, key: str, ports: tuple[int, int], random: Random) -> None:
        self.world = world
        self.port, self.private = ports
        self.life = 0
        self.random = random
        self.entrance = asyncio.Semaphore(AT_A_TIME)
        self.is_restarting = ""
        self.is_leaving = False
        self.windows: list[Window] = []
        self.boards: list[int] = []
        """The boards with a hundred windows."""
        self.stage: list[Window] = []
        """The windows of the stage."""
        self._key = key
        self._sets = [frozenset(it for it in GROUPS if random.random() < IN_GROUP) for _ in range(GROUP_SETS)]
        self._on: dict[int, list[Window]] = {}
        self._connections: set[AnyConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def populate(self, count: int) -> None:
        """A fifth of the windows are second ones of a user; a tenth are on the hall's board, too. A third are
        pages, which have one board.
        """
        boards = max(3, count // 100)
        stage = max(6, count // 500)
        pages = set(self.random.sample(range(stage, count), count // PAGES))
        for number in range(count):
            if number % 5 == 4:
                user = self.windows[-1].user
            else:
                user = Person(FIRST_USER + number, self.some_groups())
                self.renew(user, user.groups.now[0])
            board = STAGE if number < stage else FIRST_BOARD + number % boards
            also = (HALL,) if number % 10 == 0 else ()
            if number in pages:
                self.windows.append(PageWindow(self, number, user, (*also, board)[0]))
            else:
                self.windows.append(Window(self, number, user, (board, *also)))
        self.boards = list(range(FIRST_BOARD, FIRST_BOARD + boards))
        self.stage = self.windows[:stage]
        for window in self.windows:
            for board in window.reader.listening:
                self._on.setdefault(board, []).append(window)

    def on(self, board: int) -> list[Window]:
        """The windows of a board, subscribed now or not."""
        return self._on[board]

    def some_groups(self) -> Groups:
        """There are fewer sets of groups than users, as in a company."""
        return self.random.choice(self._sets)

    def renew(self, user: Person, groups: Groups) -> str:
        """Make a token of the user that expires last."""
        user.end = max(user.end + 1, time.time() + TICKET_SECONDS)
        user.newest = self.ticket(user.id, groups, user.end)
        return user.newest

    def ticket(self, user: int, groups: Groups, end: float) -> str:
        names = ["@site_active", *(f"@ug_{100 + it}" for it in sorted(groups))]
        claims = {"data": {"user_id": user, "user_rights": names}, "exp": end}
        return jwt.encode(claims, self._key, algorithm="HS512", sort_headers=False)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it beside the rest. An error of it is a fault."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def is_noticed(self) -> bool:
        """Wait until the server has read what was sent before. False: it is down.

        It reads from all connections in turn, so it has done so before its second answer.
        """
        try:
            for _ in range(2):
                await exchange(await asyncio.open_connection("127.0.0.1", self.private), LIVE)
        except NOTHING_MORE:
            return False
        return not self.is_restarting

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.world.fault("broken", f"the soak itself: {error!r}")

    async def connect(self, window: Window) -> AnyConnection:
        parting = "midway" if self.is_restarting and self.is_restarting != STARTING else ""
        it = await window.connect(parting)
        self._connections.add(it)
        it.ended.add_done_callback(lambda _: self._connections.discard(it))
        return it

    def stopping(self, signal: str) -> None:
        """The server is being stopped by this signal, so all connections will end."""
        self.is_restarting = signal
        self.life += 1
        for it in self._connections:
            # Nothing is expected of connections that are opening or ending.
            it.parting = signal if it.opened.done() and not it.parting else "midway"

    async def stopped(self, seconds: float) -> None:
        """Wait until all windows have noticed."""
        if them := [it.ended for it in self._connections]:
            _, late = await asyncio.wait(them, timeout=seconds)
            if late:
                self.world.fault("ended", f"{len(late)} connections outlive the server")
        self.is_restarting = STARTING

    def open_windows(self) -> list[Window]:
        return [it for it in self.windows if it.is_open]

    def begin(self) -> None:
        for it in self.windows:
            self.start(it.keep())

    async def leave(self, seconds: float) -> None:
        """All windows disconnect for good."""
        self.is_leaving = True
        for it in self.windows:
            if it.is_open and it.connection is not None:
                it.connection.leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        if self._tasks:
            self.world.fault("ended", f"{len(self._tasks)} windows had not left after {seconds} s")
