"""What happens to windows all the time: they connect and disconnect, subscribe again, show tokens, stop
reading.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from connection import TRY_LATER, Connection, Gone
from crowd import STAGE, Crowd
from page import PageConnection
from poster import LARGE, Poster
from windows import AnyConnection, Window

REFRESH = "org.tuleap.session.refresh"
STALE_SECONDS, SHORT_LIFE = 60, (1.0, 3.0)
MOST_UNREAD = 12 << 20
"""The kernel takes up to 4 MiB at one end of a connection and 6 at the other before the server keeps any."""
LARGE_PAUSE, NOTICE_SECONDS = 0.02, 20
Action = Callable[[Window, AnyConnection], Awaitable[None]]


class Churn:
    """Causes a number of events each second, while it is not held."""

    def __init__(self, crowd: Crowd, poster: Poster, per_second: float) -> None:
        self.is_held = False
        self._crowd = crowd
        self._world = crowd.world
        self._random = crowd.random
        self._poster = poster
        self._pause = 1 / per_second
        self._actions: tuple[tuple[Action, float], ...] = (
            (self._leave, 20),
            (self._reset, 20),
            (self._resubscribe, 25),
            (self._refresh, 25),
            (self._stale, 5),
            (self._expire, 5),
        )

    async def run(self) -> None:
        actions, weights = zip(*self._actions, strict=True)
        due = time.monotonic()
        while True:
            due = max(due + self._pause, time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))
            window, action = (
                self._random.choice(self._crowd.windows),
                self._random.choices(actions, weights)[0],
            )
            if window.is_open and not window.is_busy and not self.is_held:
                self._crowd.start(self._act(window, action))

    async def _act(self, window: Window, action: Action) -> None:
        assert window.connection is not None
        window.is_busy = True
        try:
            # Half of the time after everything is received, so that all earlier events are known.
            if self._random.random() < 0.5:
                await window.connection.barrier()
            if window.is_open:
                await action(window, window.connection)
                self._world.counts[action.__name__.strip("_")] += 1
        except Gone:
            self._world.counts["cut short"] += 1
        finally:
            window.is_busy = False

    async def _leave(self, window: Window, connection: AnyConnection) -> None:
        connection.leave()

    async def _reset(self, window: Window, connection: AnyConnection) -> None:
        if isinstance(connection, PageConnection) and self._random.random() < 0.5:
            connection.close()
        else:
            connection.reset()

    async def _expire(self, window: Window, connection: AnyConnection) -> None:
        """The next session has a token that expires soon."""
        window.life = self._random.uniform(*SHORT_LIFE)
        connection.leave()

    async def _resubscribe(self, window: Window, connection: AnyConnection) -> None:
        board = self._random.choice(list(connection.boards.values()))
        await connection.unsubscribe(board)
        await asyncio.sleep(self._random.random())
        await connection.subscribe(board)

    async def _refresh(self, window: Window, connection: AnyConnection) -> None:
        """A token with other groups: some are lost, some gained."""
        user, world = window.user, self._world
        if user.is_changing:
            return
        user.is_changing = True
        try:
            groups = self._crowd.some_groups()
            ticket = self._crowd.renew(user, groups)
            user.groups.become((*user.groups.now, groups), world.next_moment())
            end = user.end
            if await connection.call(REFRESH, ticket) is not None:
                connection.shown = end
                user.groups.become((groups,), world.next_moment())
        finally:
            user.is_changing = False

    async def _stale(self, window: Window, connection: AnyConnection) -> None:
        """A token with other groups that expires before another one that was shown. Nothing changes."""
        user, end = window.user, time.time() + STALE_SECONDS
        if len(user.groups.now) == 1 and connection.shown < user.end:
            # Another window of the user has shown a newer token. This one expires between the two.
            end = (connection.shown + user.end) / 2
        await connection.call(REFRESH, self._crowd.ticket(user.id, self._crowd.some_groups(), end))

    async def slow_reader(self) -> None:
        """A window of the stage stops reading. Large posts follow until the server has closed it."""
        ready = [it for it in self._crowd.stage if it.is_open and not it.is_busy]
        if not ready:
            return
        window = self._random.choice(ready)
        assert isinstance(window.connection, Connection)
        window.is_busy = True
        try:
            await self._stall(window, window.connection)
        finally:
            window.is_busy = False

    async def _stall(self, window: Window, connection: Connection) -> None:
        """The client reads again while the server may still say why, or only after its close."""
        poster, slow = self._poster, 'closes_total{reason="slow reader"}'
        async with poster.lock:
            before = await poster.metric(slow)
        connection.stall()
        for _ in range(MOST_UNREAD // LARGE):
            async with poster.lock:
                await poster.post(STAGE, LARGE, everybody=True)
            await asyncio.sleep(LARGE_PAUSE)
        reads_on = self._random.random() < 0.5
        end = time.monotonic() + NOTICE_SECONDS
        while not reads_on and time.monotonic() < end:
            async with poster.lock:
                if await poster.metric(slow) > before:
                    break
            await asyncio.sleep(0.1)
        else:
            if not reads_on:
                self._world.fault("slow", f"{window.reader} has not been cut off")
        connection.read_on()
        await asyncio.wait([connection.ended], timeout=NOTICE_SECONDS)
        if not connection.ended.done():
            self._world.fault("slow", f"{window.reader} was still connected {NOTICE_SECONDS} s later")
            connection.reset()
        self._world.counts["slow"] += 1
        self._world.counts["told 1013"] += connection.code == TRY_LATER
