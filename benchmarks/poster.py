"""Tuleap's part in the soak: one post at a time, with rights of every kind, and the audience that each kind
means.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
from crowd import GROUPS, HALL, STAGE, Crowd
from expected import Audience, Post

EVERYBODY, NOBODY = "@site_active", "@ug_99"
SIZES = (0, 40, 400, 4000, 20_000)
LARGE = 131_072
RETRY_SECONDS = 0.1
Kind = Callable[[str, int, str, int, int], tuple[dict[str, Any], Audience]]


def rights(
    tracker: str, artifact: str = "", submitter: int | None = None, only: str = "", can_view: bool = True
) -> dict[str, Any]:
    return {
        "submitter_id": submitter,
        "submitter_can_view": submitter is not None and can_view,
        "submitter_only": [only] if only else [],
        "artifact": [artifact] if artifact else [],
        "tracker": [tracker],
    }


def one(group: int) -> Audience:
    return Audience(frozenset({group}))


# The audience of each kind is written independently of the server's rule, which is compared with it.
KINDS: tuple[Kind, ...] = (
    lambda a, _a, _b, _bb, user: (rights(EVERYBODY), Audience(frozenset())),
    lambda a, aa, _b, _bb, user: (rights(a), one(aa)),
    lambda a, aa, _b, _bb, user: (rights(EVERYBODY, a), one(aa)),
    lambda a, aa, b, bb, user: (rights(a, b), Audience(frozenset({aa, bb}))),
    lambda a, aa, _b, _bb, user: (rights(a, "", user, EVERYBODY), Audience(frozenset({aa}), user)),
    lambda a, aa, _b, _bb, user: (rights(EVERYBODY, NOBODY, user, EVERYBODY), Audience(None, user)),
    lambda a, aa, _b, _bb, user: (rights(NOBODY, "", user, EVERYBODY, can_view=False), Audience(None)),
    lambda a, aa, _b, _bb, user: (rights(a, "", user, NOBODY), one(aa)),
    lambda a, aa, _b, _bb, user: (rights(NOBODY), Audience(None)),
)


class Poster:
    """Posts at a fixed rate. The holder of ``lock`` has the connection, and nothing else is posted."""

    def __init__(self, crowd: Crowd, port: int, per_second: float) -> None:
        self.lock = asyncio.Lock()
        self._crowd = crowd
        self._world = crowd.world
        self._random = crowd.random
        self._port = port
        self._pause = 1 / per_second
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._pause, time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))
            async with self.lock:
                await self.post(self._board(), self._random.choice(SIZES))

    async def post(self, board: int, size: int, *, everybody: bool = False) -> None:
        """Call it with the lock."""
        sender = None
        if not everybody and self._random.random() < 0.3:
            sender = self._random.choice(self._crowd.on(board))
        allowed, audience = self._rights(board, KINDS[0] if everybody else self._random.choice(KINDS))
        post = self._world.sending(
            board,
            audience,
            window=-1 if sender is None else sender.reader.window,
            size=size,
            at=time.time(),
        )
        body = {
            "sender_user_id": 0 if sender is None else sender.user.id,
            "sender_uuid": None if sender is None else sender.uuid,
            "room_id": board,
            "rights": allowed,
            "cmd": "kanban_item:update",
            "data": {"n": post.number, "pad": "x" * size},
        }
        await self._send(post, msgspec.json.encode(body))

    async def beacons(self) -> None:
        """Post to each board what all users receive. Call it with the lock."""
        for board in (HALL, STAGE, *self._crowd.boards):
            await self.post(board, 0, everybody=True)
            self._world.beacons[board] = self._world.answered

    async def metric(self, name: str) -> float:
        """The sum of the samples whose names begin so."""
        _, text = await self.request("GET", "/metrics", b"")
        lines = re.findall(rf"^tuleaprt_{re.escape(name)}.* (\S+)$", text.decode(), re.MULTILINE)
        return sum(map(float, lines))

    async def request(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """
        Raises:
            OSError, EOFError: no answer.
        """
        if self._stream is None:
            self._stream = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._stream
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
            text = await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, EOFError):
            self.close()
            raise
        return int(answer.split(b" ", 2)[1]), text

    def close(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None

    async def _send(self, post: Post, body: bytes) -> None:
        try:
            status, _ = await self.request("POST", "/message", body)
        except (OSError, EOFError) as error:
            if not self._crowd.is_restarting:
                self._world.fault("refused", f"post {post.number}: {error!r}")
            await asyncio.sleep(RETRY_SECONDS)
            return
        if status == 200:
            self._world.was_answered(post)
            self._world.counts["posts"] += 1
        elif not self._crowd.is_restarting:
            self._world.fault("refused", f"post {post.number}: status {status}")

    def _board(self) -> int:
        # Boards with many windows get few posts.
        chance = self._random.random()
        if chance < 0.1:
            return HALL if chance < 0.08 else STAGE
        return self._random.choice(self._crowd.boards)

    def _rights(self, board: int, kind: Kind) -> tuple[dict[str, Any], Audience]:
        a, b = self._random.sample(GROUPS, 2)
        user = self._random.choice(self._crowd.on(board)).user.id
        return kind(f"@ug_{100 + a}", a, f"@ug_{100 + b}", b, user)
