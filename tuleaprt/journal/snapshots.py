"""The snapshots in Redis, and where a start begins.

The last two snapshots are kept, and the records from the older one. A start begins with the older one, so it
has the state and a whole interval of history. With one snapshot all records are still there.

Before each snapshot is the epoch in which it was made. If a new epoch has begun since, records after the
snapshot have been lost.
"""

import secrets
from typing import NamedTuple

from twisted.logger import Logger

from tuleaprt.journal.journal import Snapshot
from tuleaprt.journal.place import EPOCH_BYTES, has, renew, try_commands
from tuleaprt.journal.redis_connection import Connection
from tuleaprt.journal.streams import SAVE, Keys, entries, id_of, position, time_of

_log = Logger()


class Beginning(NamedTuple):
    """``is_in_stream``: the record of the snapshot is still in the stream."""

    epoch: bytes
    snapshot: Snapshot
    is_in_stream: bool = True


async def begin(connection: Connection, keys: Keys) -> Beginning:
    """Where a start begins. If the records after the snapshots are gone, a new epoch begins.

    Raises:
        RedisAway, RedisRefused.
    """
    await try_commands(connection, keys)
    await connection.ask("SET", keys.epoch, secrets.token_bytes(EPOCH_BYTES), "NX")
    epoch = await connection.ask("GET", keys.epoch)
    flat = await connection.ask("HGETALL", keys.snapshots)
    kept = sorted((position(id), body) for id, body in zip(flat[::2], flat[1::2], strict=True))
    if not kept:
        return Beginning(epoch, Snapshot())
    if await has(connection, keys, kept[0][0]):
        return Beginning(epoch, _snapshot(*kept[0], epoch) if len(kept) > 1 else Snapshot())
    if kept[0][1].startswith(epoch):
        _log.error("Redis has lost records of the journal", event="journal.lost")
        await renew(connection, keys, epoch)
        epoch = await connection.ask("GET", keys.epoch)
    at, body = kept[-1]
    return Beginning(epoch, _snapshot(at, body, epoch), await has(connection, keys, at))


def _snapshot(at: int, body: bytes, epoch: bytes) -> Snapshot:
    return Snapshot(at, body[EPOCH_BYTES:], body.startswith(epoch))


async def newest(connection: Connection, keys: Keys) -> int:
    """The position of the newest entry of the stream; 0: it is empty.

    Raises:
        RedisAway, RedisRefused.
    """
    last = entries(await connection.ask("XREVRANGE", keys.journal, "+", "-", "COUNT", 1))
    return last[0].position if last else 0


async def is_due(connection: Connection, keys: Keys, at: int, interval: float) -> bool:
    """Whether the last snapshot is older than the interval (seconds), as of the record at this position.

    Raises:
        RedisAway, RedisRefused.
    """
    ids = await connection.ask("HKEYS", keys.snapshots)
    return not ids or time_of(at) - max(time_of(position(it)) for it in ids) >= interval


async def keep(
    connection: Connection, keys: Keys, epoch: bytes, at: int, body: bytes, interval: float
) -> bool:
    """Keep a snapshot as of the record at this position, unless another node has just done it. Returns
    whether it was kept.

    Raises:
        RedisAway, RedisRefused.
    """
    saved = await connection.ask(
        *("EVAL", SAVE, 3, keys.journal, keys.epoch, keys.snapshots),
        *(epoch, id_of(at), epoch + body, round(interval * 1000)),
    )
    return bool(saved)
