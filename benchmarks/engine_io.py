"""Engine.IO 4 as a client needs it: requests over polling, and WebSockets. Each request has a connection."""

import asyncio
from enum import Enum

from connection import SHORT, Refused

PATH = "/local-socket.io/?EIO=4&transport="
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
CONTENT = "Connection: close\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: "
SEPARATOR = "\x1e"
LONGEST = 1 << 20
NOTHING_MORE = (OSError, EOFError)
"""The connection has ended."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Transport(Enum):
    """``UPGRADE`` begins with polling."""

    WEBSOCKET = "websocket"
    POLLING = "polling"
    UPGRADE = "upgrade"


async def connected(port: int) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port, limit=LONGEST)


async def exchange(streams: Streams, request: str) -> tuple[int, str]:
    """The status and the body of the answer. The connection is closed.

    Raises:
        OSError, EOFError: there is none.
    """
    reader, writer = streams
    try:
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(it.partition(":")[2]) for it in head.split("\r\n") if it.lower().startswith("content-length:")
        )
        return int(head.split(" ", 2)[1]), (await reader.readexactly(length)).decode()
    finally:
        writer.close()


def poll(sid: str, packet: str | None = None) -> str:
    """A request over polling: a POST if there is a packet. ``sid`` is empty at the handshake."""
    method, header = ("GET", "Connection: close") if packet is None else ("POST", f"{CONTENT}{len(packet)}")
    return _request(method, "polling", sid, header) + (packet or "")


async def upgraded(port: int, sid: str) -> Streams:
    """A WebSocket, of a session over polling unless ``sid`` is empty.

    Raises:
        Refused: it was answered otherwise.
        OSError, EOFError
    """
    reader, writer = await connected(port)
    try:
        writer.write(_request("GET", "websocket", sid, UPGRADE).encode())
        status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
        if status != 101:
            raise Refused(status)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def next_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The type and the payload of a frame."""
    opcode, size = await reader.readexactly(2)
    if size >= SHORT:
        size = int.from_bytes(await reader.readexactly(2 if size == SHORT else 8))
    return opcode & 0x0F, await reader.readexactly(size)


def _request(method: str, transport: str, sid: str, header: str) -> str:
    path = f"{PATH}{transport}" + (f"&sid={sid}" if sid else "")
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n"
