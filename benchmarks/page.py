"""One socket of a Tuleap page, from its handshake to its end: Engine.IO over polling, WebSocket, or polling
and then WebSocket, as socket.io-client does it.

A page subscribes when it is loaded, and again after ``error-jwt``. After it has lost its connection, it
connects again and says nothing.
"""

import asyncio
import json
import math
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from connection import CLOSE, PING, PONG, TEXT, Gone, Refused, frame
from engine_io import (
    NOTHING_MORE,
    SEPARATOR,
    Streams,
    Transport,
    connected,
    exchange,
    next_frame,
    poll,
    upgraded,
)
from expected import Listening, Reader


class Crowd(Protocol):
    """All windows, to one page."""

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run it to its end."""

    async def is_noticed(self) -> bool:
        """Wait until the server has read what was sent before. False: it is down."""


class Window(Protocol):
    """The window of a page."""

    uuid: str
    reader: Reader
    board: int
    port: int
    how: Transport

    @property
    def crowd(self) -> Crowd: ...

    def ticket_to_show(self, connection: Any) -> str: ...

    def was_welcomed(self) -> None: ...

    def expired(self) -> None:
        """The page has been asked for a token."""

    def subscribes(self) -> None:
        """The page is about to subscribe."""


class PageConnection:
    """``opened`` is done when the page has subscribed, ``ended`` when the connection is closed.

    ``parting`` is why its end, or that of its subscription, is expected; "" while it is not.
    """

    def __init__(self, window: Window, parting: str, *, is_silent: bool) -> None:
        loop = asyncio.get_running_loop()
        self.window = window
        self.reader = window.reader
        self.parting = parting
        self.is_silent = is_silent
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.boards = {0: window.board}
        self.code = 0
        """The code of the server's close frame."""
        self.goodbye = ""
        """The packet with which the server has ended the socket, if there was one."""
        self.ends_at = math.inf
        self.shown = 0.0
        self._sid = ""
        self._is_going = False
        self._is_upgrading = False
        self.is_on_websocket = False
        self._socket: Streams | None = None
        self._held: Streams | None = None
        self._polled = asyncio.Event()
        self._posting = asyncio.Lock()
        self._heard = asyncio.Event()
        self._task = window.crowd.start(self._run())

    # Called by its window.

    async def barrier(self) -> None:
        """Wait until the newest post to all users of the board has arrived."""
        wanted = self.reader.world.beacons.get(self.window.board, 0)
        while self.reader.last < wanted:
            if self.ended.done():
                raise Gone
            self._heard.clear()
            await self._heard.wait()

    async def call(self, procedure: str, ticket: str) -> Any:
        """Show another token."""
        await self._emit("token", {"token": ticket})
        return []

    async def unsubscribe(self, board: int) -> None:
        """Do nothing: a page cannot."""

    async def subscribe(self, board: int) -> None:
        """Subscribe to the board that it has, as after ``error-jwt``."""
        await self._subscribe()

    def leave(self) -> None:
        """Send DISCONNECT."""
        self.parting = "clean"
        self.window.crowd.start(self._say_last("41"))

    def close(self) -> None:
        """Leave as a page that is closed: without DISCONNECT."""
        self.parting = "closed"
        self.window.crowd.start(self._say_last("1"))

    def reset(self) -> None:
        """Drop everything."""
        self.parting = "reset"
        for streams in (self._socket, self._held):
            if streams is not None:
                sock = streams[1].get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                streams[1].transport.abort()
        self._task.cancel()

    # The transports.

    async def _run(self) -> None:
        try:
            if self.window.how is Transport.WEBSOCKET:
                await self._open_websocket("")
                self.is_on_websocket = True
                await self._read_frames()
            else:
                await self._poll_until_the_end()
        except NOTHING_MORE:
            pass
        except Refused as error:
            self.opened.set_exception(error)
        finally:
            for streams in (self._socket, self._held):
                if streams is not None:
                    streams[1].close()
            self.reader.away()
            if not self.opened.done():
                self.opened.set_exception(Gone())
                # Nothing may be waiting for it any more.
                self.opened.exception()
            self.ended.set_result(None)
            self._heard.set()
            self._polled.set()

    async def _poll_until_the_end(self) -> None:
        await self._get()
        while not self._is_going:
            if self._is_upgrading:
                self._polled.set()
                await self._read_frames()
            await self._get()

    async def _get(self) -> None:
        streams = self._held = await connected(self.window.port)
        try:
            status, body = await exchange(streams, poll(self._sid))
        finally:
            self._held = None
        if status != 200:
            if not self._sid:
                raise Refused(status)
            raise EOFError
        for packet in body.split(SEPARATOR):
            self._received(packet)

    async def _post(self, packet: str) -> None:
        status, _ = await exchange(await connected(self.window.port), poll(self._sid, packet))
        if status != 200:
            raise Gone

    async def _upgrade(self) -> None:
        """Test a WebSocket, stop polling, and go on with it."""
        try:
            await self._open_websocket(self._sid)
            assert self._socket is not None
            reader, writer = self._socket
            writer.write(frame(TEXT, b"2probe"))
            if await next_frame(reader) != (TEXT, b"3probe"):
                raise EOFError
            self._is_upgrading = True
            async with self._posting:
                await self._polled.wait()
                if self.ended.done():
                    raise EOFError
                writer.write(frame(TEXT, b"5"))
                self.is_on_websocket = True
                self.reader.world.counts["upgrades"] += 1
        except (*NOTHING_MORE, Refused) as error:
            if not self.parting and not self.ended.done():
                self.reader.world.fault("refused", f"{self.reader}: no upgrade, {error!r}")

    async def _open_websocket(self, sid: str) -> None:
        self._socket = streams = await upgraded(self.window.port, sid)
        if self.ended.done():
            streams[1].close()

    async def _read_frames(self) -> None:
        assert self._socket is not None
        reader, writer = self._socket
        while True:
            opcode, payload = await next_frame(reader)
            if opcode == TEXT:
                self._received(payload.decode())
            elif opcode == PING:
                writer.write(frame(PONG, payload))
            elif opcode == CLOSE:
                self.code = int.from_bytes(payload[:2])
                writer.write(frame(CLOSE, payload[:2]))

    # Packets.

    def _received(self, packet: str) -> None:
        if packet.startswith("0"):
            self._sid = json.loads(packet[1:])["sid"]
            self._start(self._say("40"))
            if self.window.how is Transport.UPGRADE:
                self._start(self._upgrade())
        elif packet == "2":
            self._start(self._say("3"))
        elif packet.startswith("40"):
            if not self.is_silent:
                self._start(self._subscribe())
        elif packet.startswith("42"):
            name, argument = msgspec.json.decode(packet[2:])
            self._event(name, argument)
        elif packet in ("1", "41"):
            self.goodbye = packet
            self._is_going = packet == "1" or self._is_going
        elif packet != "6":
            self.reader.world.fault("wrong", f"packet {packet[:20]} to {self.reader}")

    def _event(self, name: str, argument: Any) -> None:
        if name == "error-jwt":
            self.reader.world.counts["error-jwt"] += 1
            self.window.expired()
            self._start(self._subscribe())
        else:
            self.reader.got(argument["n"], self.window.board, len(argument["pad"]), self.ends_at)
            self._heard.set()

    async def _subscribe(self) -> None:
        was_brief = self.parting == "expired"
        token = self.window.ticket_to_show(self)
        self.ends_at = self.shown
        self.window.subscribes()
        await self._emit(
            "subscription",
            {
                "nodejs_server_version": "2.0.0",
                "token": token,
                "room_id": self.window.board,
                "uuid": self.window.uuid,
            },
        )
        self.reader.become(Listening.YES, self.window.board)
        self.window.was_welcomed()
        if was_brief and self.parting == "expired":
            self.parting = ""
        if not self.opened.done():
            self.opened.set_result(None)

    async def _emit(self, name: str, argument: Any) -> None:
        """Send the event, and wait until the server has read it.

        Raises:
            Gone: the connection has ended before.
        """
        await self._say("42" + msgspec.json.encode([name, argument]).decode())
        if not await self.window.crowd.is_noticed() or self.ended.done():
            raise Gone

    async def _say(self, packet: str) -> None:
        """
        Raises:
            Gone.
        """
        try:
            async with self._posting:
                if self.ended.done():
                    raise Gone
                if self.is_on_websocket and self._socket is not None:
                    self._socket[1].write(frame(TEXT, packet.encode()))
                else:
                    await self._post(packet)
        except NOTHING_MORE:
            raise Gone from None

    async def _say_last(self, packet: str) -> None:
        try:
            await self._say(packet)
        except Gone:
            return
        self._is_going = True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside the rest. The end of the connection ends it."""

        async def until_gone() -> None:
            with suppress(Gone):
                await work

        self.window.crowd.start(until_gone())
