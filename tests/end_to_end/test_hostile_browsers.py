"""Hostile input at the public site: the protocol's answer, one log line, no effect on other clients."""

import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import Client, received
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, ticket, wire

ensure = pytest_twisted.ensureDeferred
HELLO = [1, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"]}]
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: wamp.2.json\r\n"
)


def frame(payload: object, opcode: int = 1) -> bytes:
    """A client's frame, with a mask of zeros."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if len(raw) < 126:
        size = bytes([0x80 | len(raw)])
    elif len(raw) < 65536:
        size = b"\xfe" + struct.pack("!H", len(raw))
    else:
        size = b"\xff" + struct.pack("!Q", len(raw))
    return bytes([0x80 | opcode]) + size + bytes(4) + raw


def talk(port: int, opening: bytes, *frames: bytes) -> bytes:
    """Send the opening, then the frames if it was accepted, and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(opening)
        answer = b""
        while frames and b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        # A client in the middle of a message that is too long is not read any more, and reset after a second.
        with suppress(ConnectionResetError, BrokenPipeError):
            for data in frames:
                connection.sendall(data)
            while data := connection.recv(65536):
                answer += data
                if code := close_code(answer):
                    # As a browser does.
                    connection.sendall(frame(code, 8))
        return answer


def close_code(answer: bytes) -> bytes:
    """The code of the close frame, if there is one."""
    rest = answer.partition(b"\r\n\r\n")[2]
    while len(rest) > 3:
        length, start = (int.from_bytes(rest[2:4]), 4) if rest[1] == 126 else (rest[1], 2)
        if rest[0] == 0x88:
            return rest[start : start + 2]
        rest = rest[start + length :]
    return b""


@pytest_twisted.async_yield_fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    server = await Server.start(TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="1.5")
    yield server
    await server.process.stop("KILL")


async def is_unharmed(server: Server, bystander: Client, lines_before: int, *, lines: int = 1) -> None:
    """The bystander still receives its events, and the attack has caused this many log lines and no
    traceback.
    """
    answer = await server.post(wire("kanban_item_create"))
    assert [it["publication"] for it in await received(bystander)] == [answer.json["publication"]]
    assert await server.metric("internal_errors_total") == 0
    assert server.tracebacks() == []
    written = server.process.lines[lines_before:]
    assert len(written) == lines, written


JOIN = [frame(HELLO), frame([5, "TICKET", {}])]
STATES: dict[str, list[bytes]] = {"connected": [], "challenged": JOIN[:1], "joined": JOIN}
ATTACKS: dict[str, tuple[bytes, bytes]] = {
    "text_that_is_no_wamp": (frame(b"hello"), b"protocol_violation"),
    "empty_text": (frame(b""), b"protocol_violation"),
    "binary": (frame(b"\x93\x01\x02\x03", 2), b"protocol_violation"),
    "no_message_at_all": (frame({}), b"protocol_violation"),
    "ticket_that_is_null": (frame([5, None, {}]), b"protocol_violation"),
    "unknown_message": (frame([999]), b"protocol_violation"),
    "a_routers_message": (frame([2, 1, {}]), b"protocol_violation"),
    "a_reply_to_nothing": (frame([70, 1, {}]), b"protocol_violation"),
    "nested_100000_deep": (frame(b"[" * 100_000), b"protocol_violation"),
    "id_of_5000_digits": (frame(b"[32," + b"9" * 5000 + b',{},"a.b"]'), b"protocol_violation"),
    "what_autobahn_only_asserts": (frame([32, 1, {"forward_for": [1]}, "a.b"]), b"protocol_violation"),
    "message_of_1_mib": (frame(b"[" + b" " * 2**20 + b"]"), b"\x03\xf1"),
    "invalid_utf8": (frame(b'["\xff"]'), b"\x03\xef"),
    "unmasked": (b"\x81\x02[]", b"\x03\xea"),
    "reserved_opcode": (frame(b"", 5), b"\x03\xea"),
    "fragmented_ping": (b"\x09\x80\0\0\0\0", b"\x03\xea"),
}
WRONG_STATE = {
    "ticket_before_hello": ("connected", [5, "x", {}]),
    "subscribe_before_hello": ("connected", [32, 1, {}, KANBAN]),
    "subscribe_before_the_ticket": ("challenged", [32, 1, {}, KANBAN]),
    "second_hello": ("challenged", HELLO),
    "hello_after_welcome": ("joined", HELLO),
    "ticket_after_welcome": ("joined", [5, "x", {}]),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("attack", ATTACKS)
@ensure
async def test_attack(server: Server, bystander: Client, attack: str, state: str) -> None:
    data, answer = ATTACKS[attack]
    await attacked(server, bystander, state, data, answer)


@pytest.mark.parametrize("attack", WRONG_STATE)
@ensure
async def test_message_of_the_wrong_state(server: Server, bystander: Client, attack: str) -> None:
    state, message = WRONG_STATE[attack]
    await attacked(server, bystander, state, frame(message), b"protocol_violation")


async def attacked(server: Server, bystander: Client, state: str, data: bytes, expected: bytes) -> None:
    lines = len(server.process.lines)
    before = [it if b"TICKET" not in it else frame([5, ticket(), {}]) for it in STATES[state]]
    answer = await deferToThread(talk, server.public, UPGRADE + b"\r\n", *before, data)
    assert expected in answer
    await server.process.written_since(lines, "closed: protocol violation")
    await is_unharmed(server, bystander, lines)


@pytest.mark.parametrize("state", ["connected", "challenged"])
@ensure
async def test_silence_for_the_open_timeout(server: Server, bystander: Client, state: str) -> None:
    lines = len(server.process.lines)
    answer = await deferToThread(talk, server.public, UPGRADE + b"\r\n", *STATES[state])
    assert b"open timeout" in answer
    await server.process.written_since(lines, "closed: open timeout")
    await is_unharmed(server, bystander, lines)


@pytest.mark.parametrize("data", [b"", b"GET /ws HT", UPGRADE])
@ensure
async def test_silence_before_the_handshake(server: Server, bystander: Client, data: bytes) -> None:
    lines = len(server.process.lines)
    assert await deferToThread(talk, server.public, data) == b""
    await is_unharmed(server, bystander, lines)


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"NONSENSE\r\n\r\n", b"GET /ws\r\n\r\n"]
)
@ensure
async def test_what_is_no_http(server: Server, bystander: Client, data: bytes) -> None:
    lines = len(server.process.lines)
    answer = await deferToThread(talk, server.public, data + b"\r\n\r\n")
    assert answer == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    await server.process.written_since(lines, "request refused: 400 malformed")
    await is_unharmed(server, bystander, lines)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Origin: https://evil.example\r\n", b" 403 "),
        (b"Origin: null\r\n", b" 40"),
        (b"Sec-WebSocket-Protocol: wamp.2.ubjson\r\n", b" 400 "),
        (b"Sec-WebSocket-Version: 8\r\n", b" 400 "),
    ],
)
@ensure
async def test_handshake_that_is_refused(
    server: Server, bystander: Client, line: bytes, status: bytes
) -> None:
    lines = len(server.process.lines)
    name = line.partition(b":")[0]
    kept = b"".join(it for it in UPGRADE.splitlines(keepends=True) if not it.startswith(name))
    answer = await deferToThread(talk, server.public, kept + line + b"\r\n")
    assert status in answer.splitlines()[0]
    await server.process.written_since(lines, "refused: ")
    await is_unharmed(server, bystander, lines)


@ensure
async def test_who_vanishes_without_a_word_leaves_nothing(server: Server, bystander: Client) -> None:
    def vanish(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(UPGRADE + b"\r\n" + frame(HELLO))
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    lines = len(server.process.lines)
    await deferToThread(vanish, server.public)
    await server.process.written_since(lines, "closed: connection lost")
    await is_unharmed(server, bystander, lines)


@ensure
async def test_nothing_was_left_open(server: Server) -> None:
    assert await server.metric("connections") == 0
