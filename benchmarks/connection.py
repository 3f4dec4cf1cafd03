"""One connection of a window, from the TCP connection to its end: WebSocket, and WAMP in JSON.

The mask of client frames is zero, which is allowed, so payloads need no masking.
"""

import asyncio
import math
import socket
import struct
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, NamedTuple, Protocol

import msgspec
from expected import Listening, Reader

HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR = 1, 2, 3, 4, 5, 6, 8
SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, EVENT, CALL, RESULT = 32, 33, 34, 35, 36, 48, 50
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FINAL, MASKED, SHORT, LONG = 0x80, 0x80, 126, 127
RESTART, TRY_LATER = 1012, 1013
SMALL_BUFFER, LARGE_BUFFER = 4096, 4 << 20

UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
)


class Crowd(Protocol):
    """All windows, to one connection."""

    port: int

    def start(self, work: Coroutine[Any, Any, None]) -> object:
        """Run it to its end."""


class Window(Protocol):
    """The window of a connection."""

    uuid: str
    reader: Reader

    @property
    def crowd(self) -> Crowd: ...

    def ticket_to_show(self, connection: "Connection") -> str: ...

    def was_welcomed(self) -> None: ...


class Gone(Exception):
    """The connection has ended before the awaited message came."""


class Refused(Exception):
    """The handshake was answered with this status."""


class Asked(NamedTuple):
    """A request in progress. Posts up to ``horizon`` were answered before it was sent."""

    answer: asyncio.Future[Any]
    horizon: int
    then: Callable[[list[Any]], None]


def frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < SHORT:
        head = struct.pack("!BB", FINAL | opcode, MASKED | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", FINAL | opcode, MASKED | SHORT, size)
    else:
        head = struct.pack("!BBQ", FINAL | opcode, MASKED | LONG, size)
    return head + bytes(4) + payload


def topic_of(board: int) -> str:
    return f"org.tuleap.kanban.{board}"


class Connection(asyncio.Protocol):
    """``opened`` is done when all boards are subscribed, ``ended`` when the connection is closed.

    ``parting`` is why its end is expected; "" while it is not.
    """

    transport: asyncio.Transport

    def __init__(self, window: Window, parting: str) -> None:
        loop = asyncio.get_running_loop()
        self.window = window
        self.reader: Reader = window.reader
        self.parting = parting
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.boards: dict[int, int] = {}
        """The board of each subscription."""
        self.code = 0
        """The code of the server's close frame."""
        self.goodbye = ""
        self.ends_at = math.inf
        self.shown = 0.0
        """The end of the newest token that this session has shown."""
        self._rest = b""
        self._is_upgraded = False
        self._ids = count(1)
        self._asked: dict[int, Asked] = {}
        self._messages: dict[int, Callable[[list[Any]], None]] = {
            CHALLENGE: self._challenge,
            WELCOME: self._welcome,
            ABORT: self._abort,
            GOODBYE: self._goodbye,
            EVENT: self._event,
            SUBSCRIBED: self._answered,
            UNSUBSCRIBED: self._answered,
            RESULT: self._answered,
            ERROR: self._failed,
        }

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(UPGRADE.format(self.window.crowd.port).encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._is_upgraded:
            head, end, rest = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = data
                return
            data = rest
            self._upgraded(head)
        at = 0
        while (end_of := self._frame(data, at)) != at:
            at = end_of
        self._rest = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        self.reader.gone()
        for future in (self.opened, *(it.answer for it in self._asked.values())):
            if not future.done():
                future.set_exception(Gone())
                # Nothing may be waiting for it any more.
                future.exception()
        self._asked.clear()
        self.ended.set_result(None)

    # Called by its window.

    async def barrier(self) -> None:
        """Wait until all earlier publications have arrived."""
        await self._ask(CALL, {}, "test.no.such.procedure")

    async def call(self, procedure: str, *args: Any) -> Any:
        """The arguments of the result; None: the call has failed."""
        return await self._ask(CALL, {}, procedure, args)

    async def subscribe(self, board: int) -> None:
        def subscribed(message: list[Any]) -> None:
            # Now, because events may follow in the same segment.
            self.boards[message[2]] = board
            self.reader.become(Listening.YES, board)

        self.reader.become(Listening.PERHAPS, board)
        await self._ask(SUBSCRIBE, {}, topic_of(board), then=subscribed)

    async def unsubscribe(self, board: int) -> None:
        subscription = next(id for id, it in self.boards.items() if it == board)

        def unsubscribed(message: list[Any]) -> None:
            del self.boards[subscription]
            self.reader.become(Listening.NO, board)

        self.reader.become(Listening.PERHAPS, board)
        await self._ask(UNSUBSCRIBE, subscription, then=unsubscribed)

    def leave(self) -> None:
        """End the session with GOODBYE."""
        self.parting = "clean"
        self._say(GOODBYE, {}, "wamp.close.normal")

    def reset(self) -> None:
        """Drop the connection."""
        self.parting = "reset"
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def stall(self) -> None:
        """Stop reading."""
        self.parting = "slow"
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        for board in self.boards.values():
            self.reader.become(Listening.PERHAPS, board)
        self.transport.pause_reading()

    def read_on(self) -> None:
        """Read again with a large buffer. A small one would take minutes."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE_BUFFER)
        self.transport.resume_reading()

    # Internal.

    def _say(self, *message: Any) -> None:
        self.transport.write(frame(TEXT, msgspec.json.encode(message)))

    def _ask(
        self, code: int, *rest: Any, then: Callable[[list[Any]], None] = lambda _: None
    ) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.ended.done():
            answer.set_exception(Gone())
            return answer
        request = next(self._ids)
        self._asked[request] = Asked(answer, self.reader.world.answered, then)
        self._say(code, request, *rest)
        return answer

    def _upgraded(self, head: bytes) -> None:
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            self.opened.set_exception(Refused(status))
            self.transport.abort()
            return
        self._is_upgraded = True
        extra = {"uuid": self.window.uuid}
        self._say(
            HELLO, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"], "authextra": extra}
        )

    def _frame(self, data: bytes, at: int) -> int:
        """Handle the frame at this offset if it is complete, and return its end."""
        if len(data) < at + 2:
            return at
        opcode, size, start = data[at] & 0x0F, data[at + 1], at + 2
        if size >= SHORT:
            width = 2 if size == SHORT else 8
            size, start = int.from_bytes(data[start : start + width]), start + width
        # The rest of the frame has not arrived.
        if len(data) < start + size:
            return at
        payload = data[start : start + size]
        if opcode == TEXT:
            message = msgspec.json.decode(payload)
            self._messages[message[0]](message)
        elif opcode == PING:
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2])
            self.transport.write(frame(CLOSE, payload[:2]))
        return start + size

    def _challenge(self, message: list[Any]) -> None:
        self._say(AUTHENTICATE, self.window.ticket_to_show(self), {})

    def _welcome(self, message: list[Any]) -> None:
        self.ends_at = message[2]["authextra"]["expires_at"]
        self.window.was_welcomed()
        self.window.crowd.start(self._subscribe_all())

    async def _subscribe_all(self) -> None:
        try:
            for board in self.reader.listening:
                await self.subscribe(board)
        except Gone:
            return
        if not self.opened.done():
            self.opened.set_result(None)

    def _abort(self, message: list[Any]) -> None:
        self.reader.world.fault("refused", f"{self.reader}: {message[2]}")

    def _goodbye(self, message: list[Any]) -> None:
        self.goodbye = message[2]
        if self.parting != "clean":
            self._say(GOODBYE, {}, "wamp.close.goodbye_and_out")

    def _event(self, message: list[Any]) -> None:
        board, data = self.boards.get(message[1]), message[5]["data"]
        if board is None:
            # The answer to SUBSCRIBE comes before the events; that to UNSUBSCRIBE after them.
            self.reader.world.fault("leaked", f"post {data['n']} to {self.reader}: no subscription of his")
        else:
            self.reader.got(data["n"], board, len(data["pad"]), self.ends_at)

    def _answered(self, message: list[Any]) -> None:
        asked = self._asked.pop(message[1])
        self.reader.settle(asked.horizon)
        asked.then(message)
        asked.answer.set_result(message[3] if len(message) > 3 else [])

    def _failed(self, message: list[Any]) -> None:
        asked = self._asked.pop(message[2])
        self.reader.settle(asked.horizon)
        if message[4] != "wamp.error.no_such_procedure":
            self.reader.world.fault("refused", f"{self.reader}: {message[4]}")
        asked.answer.set_result(None)
