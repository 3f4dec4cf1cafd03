"""The place of a node in the Redis stream, and whether it can go on from there.

After each connection, the last record that the node has applied must still be there, in the same epoch. If
not, records may be missing that the node has not seen:

* The epoch is another one: Redis has begun anew, or another node has found that records are missing.
* Redis has lost the newest records, in a failover or a crash. The node renews the epoch, so that no id of a
  publication can stand for two.
* The stream has been trimmed beyond the record: this node was away for too long. The others are not
  concerned, so the epoch stays.
"""

import secrets

from tuleaprt.journal.redis_connection import Connection
from tuleaprt.journal.streams import APPEND, RENEW, Keys, entries, id_of, position

EPOCH_BYTES = 32


class PlaceLost(Exception):
    """Records that this node has not applied may be missing."""


async def check_place(connection: Connection, keys: Keys, epoch: bytes, applied: int) -> None:
    """``applied`` is the position of the last record that the node has applied; 0: none.

    Raises:
        PlaceLost, RedisAway, RedisRefused.
    """
    if await connection.ask("GET", keys.epoch) != epoch:
        raise PlaceLost("the journal has begun anew")
    if not applied or await has(connection, keys, applied):
        return
    first = entries(await connection.ask("XRANGE", keys.journal, "-", "+", "COUNT", 1))
    if first and position(first[0][0]) > applied:
        raise PlaceLost("the journal was trimmed while this node was away")
    await renew(connection, keys, epoch)
    raise PlaceLost("Redis has lost records that this node has applied")


async def has(connection: Connection, keys: Keys, position: int) -> bool:
    """Whether the record at this position is in the stream.

    Raises:
        RedisAway, RedisRefused.
    """
    id = id_of(position)
    return bool(await connection.ask("XRANGE", keys.journal, id, id))


async def renew(connection: Connection, keys: Keys, epoch: bytes) -> None:
    """Begin a new epoch, unless another node has done it.

    Raises:
        RedisAway, RedisRefused.
    """
    await connection.ask("EVAL", RENEW, 1, keys.epoch, epoch, secrets.token_bytes(EPOCH_BYTES))


async def try_commands(connection: Connection, keys: Keys) -> None:
    """Ask for what the journal needs, as far as it changes nothing.

    Raises:
        RedisAway, RedisRefused.
    """
    await connection.ask("GET", keys.epoch)
    await connection.ask("HKEYS", keys.snapshots)
    await connection.ask("XRANGE", keys.journal, "-", "+", "COUNT", 1)
    # Redis 6.2 is the first that knows MINID.
    await connection.ask("XTRIM", keys.journal, "MINID", "0")
    await connection.ask("SCRIPT", "LOAD", APPEND)
