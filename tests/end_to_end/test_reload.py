"""A running server whose key and configuration change."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.end_to_end.crowd import Crowd, Reader
from tests.end_to_end.server import Server
from tests.fakes import body, ticket

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]
KEYS = [letter * 88 for letter in "abc"]
WINDOWS = 50


def write_key(path: Path, key: str) -> None:
    """As Tuleap does, over what is there."""
    path.write_text(f"PRIVATE_KEY={key}")
    path.chmod(0o600)


async def hang_up(server: Server, pattern: str) -> list[str]:
    """Send SIGHUP and wait for this line. Returns the log lines since, except those about connections."""
    start = len(server.process.lines)
    server.process.transport.signalProcess("HUP")  # type: ignore[union-attr]
    await server.process.written_since(start, pattern)
    return [line.partition("] ")[2] for line in server.process.lines[start:] if "tcp4:" not in line]


async def status(server: Server, origin: str | None = None) -> int:
    """What a handshake is answered."""

    def ask() -> int:
        reader = Reader(server.public)
        head = "" if origin is None else f"Origin: {origin}\r\n"
        reader.socket.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: wamp.2.json\r\n" + head.encode() + b"\r\n"
        )
        while not reader.status and reader.closed is None:
            reader.read()
        reader.close()
        return reader.status

    return await deferToThread(ask)  # type: ignore[no-any-return]


async def may_join(server: Server, key: str) -> bool:
    def join() -> bool:
        reader = Reader(server.public)
        reader.ask(token=ticket(key=key.encode()))
        # SUBSCRIBED, or ABORT.
        reader.receive(1)
        reader.close()
        return bool(reader.messages[0][0] == 33)

    return await deferToThread(join)  # type: ignore[no-any-return]


def read_up_to(reader: Reader, id: int) -> None:
    while not reader.messages or reader.messages[-1][2] != id:
        assert reader.closed is None
        reader.read()


class Posting:
    """Posts one message after the other until it is stopped."""

    def __init__(self, server: Server) -> None:
        self.ids: list[int] = []
        self._server = server
        self._goes_on = True
        self._done: Deferred[None] = ensureDeferred(self._post())

    async def _post(self) -> None:
        while self._goes_on:
            answer = await self._server.post(body())
            assert answer.status == 200
            self.ids.append(answer.json["publication"])

    async def stop(self) -> list[int]:
        self._goes_on = False
        await self._done
        return self.ids


@ensure
async def test_keys_change_under_load_and_nobody_misses_anything(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key(path, KEYS[0])
    server = await start(TULEAPRT_REALTIME__KEY_FILE=str(path), TULEAPRT_REALTIME__OLD_KEY_SECONDS="4")
    with Crowd(server.public, WINDOWS) as crowd:
        for user, reader in enumerate(crowd.readers, 1000):
            await deferToThread(reader.join, user_id=user, token=ticket(user, key=KEYS[0].encode()))
        posting = Posting(server)
        newcomers: list[Reader] = []
        for before, after in pairwise(KEYS):
            seen = len(server.process.lines)
            assert not await may_join(server, after)
            write_key(path, after)
            await server.process.written_since(
                seen, "the key has changed: .*; the one before stays good for 4 s$"
            )
            assert await gatherResults(
                [ensureDeferred(may_join(server, key)) for key in (before, after)]
            ) == [True, True]
            newcomers.append(Reader(server.public))
            await deferToThread(newcomers[-1].join, token=ticket(900, key=after.encode()))
        while await may_join(server, KEYS[-2]):
            pass
        assert await may_join(server, KEYS[-1])
        ids = await posting.stop()
        await deferToThread(crowd.receive, len(ids))
        for reader in crowd.readers:
            assert [message[2] for message in reader.messages] == ids
            assert reader.closed is None
        for reader in newcomers:
            await deferToThread(read_up_to, reader, ids[-1])
            assert [message[2] for message in reader.messages] == ids[-len(reader.messages) :]
            reader.close()
    output = "\n".join(server.process.lines)
    assert not [key for key in KEYS if key in output]


@ensure
async def test_a_hangup_changes_limits_and_origins_and_says_what_it_cannot(tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text("")
    server = await Server.start(path)
    assert await status(server) == 101
    assert await status(server, "https://tuleap.example.com") == 403
    path.write_text(
        '[limits]\nmax_connections = 1\n[websocket]\nallowed_origins = ["https://tuleap.example.com"]\n'
        "ping_interval = 5\n"
    )
    assert await hang_up(server, "needs a restart$") == [
        "reloaded: websocket.allowed_origins, limits.max_connections",
        "websocket.ping_interval has changed, which needs a restart",
    ]
    assert await status(server, "https://tuleap.example.com") == 101
    only = Reader(server.public)
    await deferToThread(only.join)
    assert await status(server) == 503
    only.close()
    await server.process.stop()
    assert server.tracebacks() == []


@ensure
async def test_a_hangup_with_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text("")
    server = await Server.start(path)
    path.write_text(
        '[limits]\nmax_connections = 0\nmax_boats = 1\n[websocket]\nallowed_origins = ["https://a"]\n'
    )
    assert await hang_up(server, "nothing has changed$") == [
        f"{path}: [limits] max_connections: expected a whole number, 1 or more, given 0",
        f"{path}: [limits] max_boats: there is no such option",
        "not reloaded: nothing has changed",
    ]
    path.write_text("[limits")
    assert (await hang_up(server, "nothing has changed$"))[0].startswith(f"{path}: ")
    assert await status(server) == 101
    assert await status(server, "https://a") == 403
    await server.process.stop()
    assert server.tracebacks() == []


@ensure
async def test_a_hangup_takes_a_new_key_at_once_but_not_from_the_environment(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    write_key(path, KEYS[0])
    server = await start(TULEAPRT_REALTIME__KEY_FILE=str(path))
    write_key(path, KEYS[1])
    await hang_up(server, "the key has changed|reloaded")
    assert await may_join(server, KEYS[1])
    fixed = await start(PRIVATE_KEY=KEYS[0])
    assert await hang_up(fixed, "PRIVATE_KEY") == [
        "reloaded: no option has changed that can change at runtime",
        "the key is that of PRIVATE_KEY, which needs a restart to change",
    ]


@ensure
async def test_a_key_that_others_may_read_is_warned_of_at_the_start(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_key(path, KEYS[0])
    path.chmod(0o644)
    server = await start(TULEAPRT_REALTIME__KEY_FILE=str(path))
    (warning,) = [line for line in server.process.lines if "other users can read the key" in line]
    assert f"{path} has mode 0644" in warning
