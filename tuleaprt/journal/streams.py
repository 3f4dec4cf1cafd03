"""The journal in a Redis stream: its keys, its scripts, and positions.

::

    tuleaprt:{<realm>}:journal         stream   the records, in the field "r" (tuleap/records.py); the field
                                                "p" is the id of the entry before. The field "e" says that a
                                                new epoch has begun
    tuleaprt:{<realm>}:epoch           string   32 random bytes
    tuleaprt:{<realm>}:snapshots       hash     id of a record → what follows from the records up to it
    tuleaprt:{<realm>}:once:<node>:<n> string   the id of the n-th record of a node, for ``ONCE_SECONDS``

All keys are in one slot of a cluster, so scripts may use them together.

Each record names the entry before it, so a node that reads it knows whether it has read all that came
before. Otherwise the node would read on without notice when its server becomes a replica of one that has lost
records.
"""

from typing import Any, NamedTuple

ONCE_SECONDS = 60
"""How long an append may be repeated without a second record. It must be longer than any patience."""

SEQUENCE_BITS = 20
"""A stream's id is milliseconds and a number within them. With this many bits for the number, a position has
at most 63 bits until the year 2248.
"""

APPEND = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
    return redis.error_reply('EPOCH the journal has begun anew')
end
local known = redis.call('GET', KEYS[3])
if known then
    return known
end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local id = redis.call('XADD', KEYS[1], '*', 'r', ARGV[2], 'p', last and last[1] or '0-0')
redis.call('SET', KEYS[3], id, 'EX', ARGV[3])
return id
"""
"""KEYS: journal, epoch, once. ARGV: epoch, record, seconds. Returns the id of the record, old or new."""

SAVE = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
    return redis.error_reply('EPOCH the journal has begun anew')
end
local function time(id)
    return tonumber(string.match(id, '^%d+'))
end
local ids = redis.call('HKEYS', KEYS[3])
for _, id in ipairs(ids) do
    if time(ARGV[2]) - time(id) < tonumber(ARGV[4]) then
        return 0
    end
end
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
table.insert(ids, ARGV[2])
table.sort(ids, function(one, other) return time(one) > time(other) end)
for at = 3, #ids do
    redis.call('HDEL', KEYS[3], ids[at])
end
if ids[2] then
    redis.call('XTRIM', KEYS[1], 'MINID', ids[2])
end
return 1
"""
"""KEYS: journal, epoch, snapshots. ARGV: epoch, id, snapshot, milliseconds between two snapshots. Keeps the
last two snapshots and the records from the older one. Returns 0 if the last one is younger than that.
"""

RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
    redis.call('XADD', KEYS[2], '*', 'e', '')
end
return 1
"""
"""KEYS: epoch, journal. ARGV: the epoch that has ended, and a new one. The first of several nodes sets it,
and the others read so in the stream.
"""


class Keys:
    """The keys of a realm."""

    def __init__(self, realm: str) -> None:
        self._prefix = f"tuleaprt:{{{realm}}}:"
        self.journal = self._prefix + "journal"
        self.epoch = self._prefix + "epoch"
        self.snapshots = self._prefix + "snapshots"

    def once(self, node: str, number: int) -> str:
        return f"{self._prefix}once:{node}:{number}"


def position(id: bytes) -> int:
    """The position of a record, from its id in the stream.

    Raises:
        ValueError: this is no id, or has no position.
    """
    milliseconds, number = (int(it) for it in id.split(b"-"))
    if number >= 1 << SEQUENCE_BITS:
        raise ValueError("too many records in one millisecond")
    return milliseconds << SEQUENCE_BITS | number


def id_of(position: int) -> str:
    """The id of the record in the stream."""
    return f"{position >> SEQUENCE_BITS}-{position & ((1 << SEQUENCE_BITS) - 1)}"


def time_of(position: int) -> float:
    """When Redis has taken the record, in seconds since the epoch."""
    return (position >> SEQUENCE_BITS) / 1000


class Entry(NamedTuple):
    """``body`` is None if the entry is not a record. ``before`` is the position of the entry before; None: it
    is not known. ``is_new_epoch``: a new epoch has begun.
    """

    position: int
    body: bytes | None = None
    before: int | None = None
    is_new_epoch: bool = False


def entries(reply: Any) -> list[Entry]:
    """The entries of a reply to XRANGE."""
    return [_entry(position(id), fields) for id, fields in reply or ()]


def _entry(at: int, fields: list[bytes]) -> Entry:
    if fields[:1] != [b"r"]:
        return Entry(at, is_new_epoch=fields[:1] == [b"e"])
    return Entry(at, fields[1], position(fields[3]) if fields[2:3] == [b"p"] else None)
