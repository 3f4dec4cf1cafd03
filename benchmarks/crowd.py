"""All windows. Each exists to the end and reconnects whenever its connection has ended."""

import asyncio
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import jwt
from connection import RESTART, Connection, Gone, Refused
from expected import Groups, Listening, Past, Reader, User, World
from page import NOTHING_MORE, PageConnection, Transport, exchange

AT_A_TIME = 32
"""Connections that are opened at once: fewer than Twisted's backlog of 50, above which Linux drops a SYN for
a second.
"""
OPEN_SECONDS, PAUSE_SECONDS, LONGEST_PAUSE = 30, 0.2, 3.0
TICKET_SECONDS = 1500
GROUPS = range(1, 13)
IN_GROUP, GROUP_SETS = 0.4, 200
FIRST_USER = 1000
HALL, STAGE, FIRST_BOARD = 1, 2, 10
"""The board with many windows, the one with large posts, and the first of those with a hundred windows each.
"""
TRANSIENT = {503}
PAGES = 3
"""One window of so many is a page over socket.io."""
TRANSPORTS = {Transport.UPGRADE: 50, Transport.WEBSOCKET: 30, Transport.POLLING: 20}
REACH, REACH_ON_A_BOARD = 1 << 18, 1 << 16
"""The history certainly reaches back over this many bytes, and a replay may have so many."""
LIVE = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
AnyConnection = Connection | PageConnection
STARTING = "starting"


class Person(User):
    """A user with tokens; ``newest`` expires last, at ``end``."""

    __slots__ = ("end", "is_changing", "newest")

    def __init__(self, id: int, groups: Groups) -> None:
        super().__init__(id, Past((groups,)))
        self.end = 0.0
        self.newest = ""
        self.is_changing = False


class Window:
    """A window. ``life`` is the life of the next session's token, if it is short."""

    def __init__(self, crowd: "Crowd", number: int, user: Person, boards: tuple[int, ...]) -> None:
        self.crowd = crowd
        self.user = user
        self.uuid = f"window-{number}"
        self.reader = Reader(crowd.world, number, user, boards)
        self.connection: AnyConnection | None = None
        self.is_busy = False
        self.life: float | None = None
        self._shown = ""

    @property
    def is_open(self) -> bool:
        it = self.connection
        return it is not None and it.opened.done() and not it.ended.done() and not it.parting

    async def keep(self) -> None:
        """Stay connected until the end."""
        pause = PAUSE_SECONDS
        while not self.crowd.is_leaving:
            is_open = await self._open()
            pause = PAUSE_SECONDS if is_open else min(pause * 2, LONGEST_PAUSE)
            if is_open and self.connection is not None:
                await self.connection.ended
                self.check_the_end(self.connection)
            await self.be_away()
            await asyncio.sleep(pause * (0.5 + self.crowd.random.random()))

    async def connect(self, parting: str) -> AnyConnection:
        loop = asyncio.get_running_loop()
        _, it = await loop.create_connection(lambda: Connection(self, parting), "127.0.0.1", self.crowd.port)
        return it

    async def be_away(self) -> None:
        """The connection has ended, or could not be opened."""

    async def _open(self) -> bool:
        crowd = self.crowd
        async with crowd.entrance:
            if crowd.is_leaving:
                return False
            is_forgiven = crowd.is_restarting
            self.connection = None
            try:
                self.connection = await crowd.connect(self)
                async with asyncio.timeout(OPEN_SECONDS):
                    await asyncio.shield(self.connection.opened)
            except (OSError, Gone):
                if not (is_forgiven or crowd.is_restarting or (self.connection and self.connection.parting)):
                    crowd.world.fault("refused", f"{self.reader}: no session")
            except Refused as refused:
                if refused.args[0] not in TRANSIENT:
                    crowd.world.fault("refused", f"{self.reader}: status {refused.args[0]}")
                crowd.world.counts["refused 503"] += 1
            except TimeoutError:
                crowd.world.fault("refused", f"{self.reader}: no session in {OPEN_SECONDS} s")
                if self.connection is not None:
                    self.connection.reset()
            else:
                crowd.world.counts["sessions"] += 1
                return True
            return False

    def check_the_end(self, it: AnyConnection) -> None:
        ends = {
            "clean": it.goodbye == "wamp.close.goodbye_and_out" and it.code == 1000,
            "expired": it.goodbye == "org.tuleap.error.token_expired" and it.code == 1000,
            "SIGTERM": it.code == RESTART,
        }
        if not it.parting and it.goodbye == "org.tuleap.error.token_expired" and time.time() >= it.ends_at:
            it.parting = "expired"
        if not it.parting or not ends.get(it.parting, True):
            how = f"{it.parting or 'by the server'}, close code {it.code}, {it.goodbye or 'no GOODBYE'}"
            self.crowd.world.fault("ended", f"{self.reader}: {how}")
        self.crowd.world.counts[f"ended {it.parting}"] += 1

    def ticket_to_show(self, connection: AnyConnection) -> str:
        now, user = time.time(), self.user
        if self.life is None:
            if user.end < now + TICKET_SECONDS / 10:
                groups = user.groups.now[-1]
                self.crowd.renew(user, groups)
                # The groups are uncertain until the token is shown.
                user.groups.become((*user.groups.now, groups), self.crowd.world.next_moment())
            self._shown, connection.shown = user.newest, user.end
            return self._shown
        end, self.life, self._shown = now + self.life, None, ""
        connection.shown = end
        connection.parting = connection.parting or "expired"
        return self.crowd.ticket(user.id, user.groups.now[-1], end)

    def was_welcomed(self) -> None:
        if self._shown == self.user.newest:
            groups = self.user.groups
            if len(groups.now) > 1:
                groups.become(groups.now[-1:], self.crowd.world.next_moment())


class PageWindow(Window):
    """A window that is a page over socket.io. ``absent_since`` is when it lost its subscription: the life of
    the server, the moment, and the weight of all posts before. None: it has one, or was never subscribed.
    """

    def __init__(self, crowd: "Crowd", number: int, user: Person, board: int) -> None:
        super().__init__(crowd, number, user, (board,))
        self.board = board
        self.how = crowd.random.choices(list(TRANSPORTS), list(TRANSPORTS.values()))[0]
        self.port = crowd.random.choice((crowd.port, crowd.private))
        self.is_loaded = False
        self.absent_since: tuple[int, int, int] | None = None

    async def connect(self, parting: str) -> AnyConnection:
        return PageConnection(self, parting, is_silent=self.is_loaded)

    async def be_away(self) -> None:
        it = self.connection
        if it is not None and it.parting == "clean":
            # The page that is loaded next has nothing of this one.
            self.reader.gone()
            self.is_loaded = False
            self.absent_since = None
        elif self.is_loaded:
            self.expired()
            life = self.crowd.life
            if self.crowd.is_restarting:
                # The history is lost.
                self.reader.gone()
            elif await self.crowd.is_noticed() and life == self.crowd.life:
                # From now on, everything is replayed.
                self.reader.become(Listening.YES, self.board)

    def expired(self) -> None:
        if self.absent_since is None and self.is_loaded:
            world, life = self.crowd.world, self.crowd.life - bool(self.crowd.is_restarting)
            self.absent_since = (life, world.moment, world.weight)

    def subscribes(self) -> None:
        crowd, reader = self.crowd, self.reader
        self.is_loaded = True
        if self.absent_since is None:
            if reader.listening[self.board].now is Listening.NO:
                reader.become(Listening.PERHAPS, self.board)
            return
        (life, moment, weight), self.absent_since = self.absent_since, None
        if life != crowd.life:
            crowd.world.counts["forgotten"] += 1
            reader.become(Listening.NO, self.board)
            reader.become(Listening.PERHAPS, self.board)
        elif (
            crowd.world.weight - weight > REACH
            or crowd.world.weight_on(self.board, moment) > REACH_ON_A_BOARD
        ):
            crowd.world.counts["too far"] += 1
            reader.become(Listening.PERHAPS, self.board)
        else:
            crowd.world.counts["resumed"] += 1

    def check_the_end(self, it: AnyConnection) -> None:
        assert isinstance(it, PageConnection)
        ends = {
            "SIGTERM": it.code == RESTART or not it.is_on_websocket,
            # The page would stay away for good.
            "clean": True,
        }
        if not it.parting or it.goodbye == "41" or not ends.get(it.parting, True):
            how = f"{it.parting or 'by the server'}, close code {it.code}, packet {it.goodbye or 'none'}"
            self.crowd.world.fault("ended", f"{self.reader}, a page by {self.how.value}: {how}")
        self.crowd.world.counts[f"ended {it.parting}"] += 1


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
        return jwt.encode(claims, self._key, algorithm="HS512")

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
