"""The place of a node in the Redis stream, and whether it can go on from there.

After each connection, the last record that the node has applied must still be there, in the same epoch. If
not, records may be missing that the node has not seen:

* The epoch is another one: Redis has begun anew, or another node has found that records are missing.
* Redis has lost the newest records, in a failover or a crash. The node renews the epoch, so that no id of a
  publication can stand for two.
* The stream has been trimmed beyond the record: this node was away for too long. The others are not
  concerned, so the epoch stays.

A connection may also outlive the loss: its server has become a replica, and has taken over the data of the
new primary. Then the next record does not name the last one that the node has applied (streams.py).
"""

import secrets
from typing import NoReturn

from tuleaprt.journal.redis_connection import Connection
from tuleaprt.journal.streams import APPEND, RENEW, Keys, entries, id_of

EPOCH_BYTES = 32


class PlaceLost(Exception):
    """Records that this node has not applied may be missing."""


async def check_place(connection: Connection, keys: Keys, epoch: bytes, applied: int) -> None:
    """``applied`` is the position of the last record that the node has applied; 0: none.

    Raises:
        PlaceLost, RedisAway, RedisRefused: also if the server is a replica.
    """
    await try_to_write(connection, keys)
    if await connection.ask("GET", keys.epoch) != epoch:
        raise PlaceLost("the journal has begun anew")
    if not applied or await has(connection, keys, applied):
        return
    first = entries(await connection.ask("XRANGE", keys.journal, "-", "+", "COUNT", 1))
    # The first record of a stream has no entry before it: this is another stream.
    if first and first[0].position > applied and first[0].before != 0:
        raise PlaceLost("the journal was trimmed while this node was away")
    await renew(connection, keys, epoch)
    raise PlaceLost("Redis has lost records that this node has applied")


async def lose_place(connection: Connection, keys: Keys, epoch: bytes, applied: int) -> NoReturn:
    """The next record does not come after the last one that the node has applied.

    Raises:
        PlaceLost, RedisAway, RedisRefused.
    """
    await check_place(connection, keys, epoch, applied)
    await renew(connection, keys, epoch)
    raise PlaceLost("records of the journal are missing")


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
    new = secrets.token_bytes(EPOCH_BYTES)
    await connection.ask("EVAL", RENEW, 2, keys.epoch, keys.journal, epoch, new)


async def try_commands(connection: Connection, keys: Keys) -> None:
    """Ask for what the journal needs, as far as it changes nothing.

    Raises:
        RedisAway, RedisRefused.
    """
    absent = keys.once("", 0)
    for command in (
        ("GET", keys.epoch),
        ("HKEYS", keys.snapshots),
        ("XRANGE", keys.journal, "-", "+", "COUNT", 1),
        ("XREVRANGE", keys.journal, "+", "-", "COUNT", 1),
        ("XREAD", "COUNT", 1, "STREAMS", keys.journal, "0"),
        ("HGETALL", absent),
        ("HDEL", absent, ""),
        ("SET", absent, "", "XX"),
        ("XADD", absent, "NOMKSTREAM", "*", "r", ""),
    ):
        await connection.ask(*command)
    await try_to_write(connection, keys)
    await connection.ask("EVALSHA", await connection.ask("SCRIPT", "LOAD", "return 1"), 0)
    await connection.ask("EVAL", "return 1", 0)
    await connection.ask("SCRIPT", "LOAD", APPEND)


async def try_to_write(connection: Connection, keys: Keys) -> None:
    """A write that changes nothing. Redis 6.2 is the first that knows MINID.

    Raises:
        RedisAway, RedisRefused: also if the server is a replica.
    """
    await connection.ask("XTRIM", keys.journal, "MINID", "0")
