"""The place of a node in the stream, on a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.redis_server import RedisServer
from tuleaprt.journal.address import parse
from tuleaprt.journal.place import PlaceLost, check_place, renew
from tuleaprt.journal.redis_connection import Connection, connect
from tuleaprt.journal.streams import Keys, position

ensure = pytest_twisted.ensureDeferred
KEYS = Keys("tuleap")


@pytest_twisted.async_yield_fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    server = RedisServer(tmp_path).start()
    connection = await connect(parse(server.url), b"", reactor)
    await connection.ask("SET", KEYS.epoch, b"epoch")
    for id in ("5-0", "6-0", "7-0"):
        await connection.ask("XADD", KEYS.journal, id, "r", "x")
    yield connection
    connection.close()
    server.stop()


@ensure
@pytest.mark.parametrize("applied", [0, position(b"5-0"), position(b"7-0")])
async def test_the_node_can_go_on(connection: Connection, applied: int) -> None:
    await check_place(connection, KEYS, b"epoch", applied)


@ensure
@pytest.mark.parametrize(
    ("applied", "reason", "is_renewed"),
    [
        (b"4-0", "trimmed", False),
        (b"6-1", "lost records", True),
        (b"8-0", "lost records", True),
    ],
)
async def test_the_node_cannot_go_on(
    connection: Connection, applied: bytes, reason: str, is_renewed: bool
) -> None:
    with pytest.raises(PlaceLost, match=reason):
        await check_place(connection, KEYS, b"epoch", position(applied))
    assert (await connection.ask("GET", KEYS.epoch) != b"epoch") == is_renewed


@ensure
async def test_another_epoch_is_another_journal(connection: Connection) -> None:
    with pytest.raises(PlaceLost, match="begun anew"):
        await check_place(connection, KEYS, b"another", position(b"5-0"))


@ensure
async def test_the_first_of_several_nodes_renews_the_epoch(connection: Connection) -> None:
    await renew(connection, KEYS, b"epoch")
    renewed = await connection.ask("GET", KEYS.epoch)
    await renew(connection, KEYS, b"epoch")
    assert await connection.ask("GET", KEYS.epoch) == renewed != b"epoch"
