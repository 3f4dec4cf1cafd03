"""The windows of the soak: sessions of WAMP, and pages over socket.io. Each exists to the end and reconnects
whenever its connection has ended.
"""

import asyncio
import time
from typing import TYPE_CHECKING

from connection import RESTART, Connection, Gone, Refused
from engine_io import Transport
from expected import Groups, Listening, Past, Reader, User
from page import PageConnection

if TYPE_CHECKING:
    from crowd import Crowd

OPEN_SECONDS, PAUSE_SECONDS, LONGEST_PAUSE = 30, 0.2, 3.0
TICKET_SECONDS = 1500
TRANSIENT = {503}
TRANSPORTS = {Transport.UPGRADE: 50, Transport.WEBSOCKET: 30, Transport.POLLING: 20}
REACH, REACH_ON_A_BOARD = 1 << 18, 1 << 16
"""The history certainly reaches back over this many bytes, and a replay may have so many."""
AnyConnection = Connection | PageConnection


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
