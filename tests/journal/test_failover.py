"""The journal when another server becomes the primary of Redis. The name of the primary, as of DNS, is here a
link to its Unix socket.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.end_to_end.processes import patiently
from tests.journal.nodes import Node
from tests.journal.test_redis import KEYS, until
from tests.redis_server import RedisServer
from tuleaprt.journal.address import parse
from tuleaprt.journal.redis_connection import connect
from tuleaprt.journal.streams import APPEND, ONCE_SECONDS, id_of

ensure = pytest_twisted.ensureDeferred


class Pair:
    """A primary and its replica."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "redis.sock"
        sockets = []
        for name in ("primary", "replica"):
            (folder / name).mkdir()
            sockets.append(str(folder / name / "s"))
        self.primary = RedisServer(folder / "primary", unixsocket=sockets[0]).start()
        to = f"127.0.0.1 {self.primary.port}"
        self.replica = RedisServer(folder / "replica", unixsocket=sockets[1], replicaof=to).start()
        self.link.symlink_to(sockets[0])
        self.url = f"unix://{self.link}"

    async def in_step(self) -> None:
        """The replica has all records."""
        length = self.primary.ask("XLEN", KEYS.journal)
        await until(lambda: self.replica.ask("XLEN", KEYS.journal) == length)

    def part(self) -> None:
        """The replica goes on by itself."""
        self.replica.ask("REPLICAOF", "NO", "ONE")

    async def change(self) -> None:
        """The primary becomes the replica, and takes over what that has. Only then the name leads there."""
        self.primary.ask("REPLICAOF", "127.0.0.1", self.replica.port)
        await until(lambda: "master_link_status:up" in self.primary.ask("INFO", "replication"))
        self.link.unlink()
        self.link.symlink_to(self.replica.options["unixsocket"])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.primary.stop()
    pair.replica.stop()


@ensure
async def test_a_node_follows_the_primary_without_a_loss(pair: Pair) -> None:
    nodes = [await Node(pair.url, it, patience=20).start() for it in "ab"]
    await nodes[0].append("before")
    await pair.in_step()
    pair.part()
    await pair.change()
    await nodes[0].append("after")
    for node in nodes:
        assert await node.has(2) == ["before", "after"]
        await node.journal.close()
    assert pair.replica.ask("XLEN", KEYS.journal) == "2"


@ensure
async def test_a_node_says_that_the_new_primary_lacks_records(pair: Pair) -> None:
    node = await Node(pair.url, patience=20).start()
    await node.append("kept")
    await pair.in_step()
    pair.part()
    await node.append("lost")
    await pair.change()
    other = await Node(pair.url, "b").start()
    assert other.inputs == ["kept"]
    await other.append("new")
    assert await patiently(node.lost, "the end") == "Redis has lost records that this node has applied"
    assert node.inputs == ["kept", "lost"]
    await node.journal.close()
    await other.journal.close()


@ensure
@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("the last record", "Redis has lost records that this node has applied"),
        ("all records", "Redis has lost records that this node has applied"),
        ("a record that was not read", "records of the journal are missing"),
    ],
)
async def test_a_node_whose_connection_goes_on_sees_at_the_next_record_that_some_are_gone(
    pair: Pair, gone: str, reason: str
) -> None:
    node = await Node(pair.url).start()
    await node.append("kept")
    (last,) = await node.append("last")
    if gone == "all records":
        pair.primary.ask("DEL", KEYS.journal)
    elif gone == "the last record":
        pair.primary.ask("XDEL", KEYS.journal, id_of(last))
    other = await Node(pair.url, "b").start()
    if gone == "a record that was not read":
        # As it would be named by the next one.
        pair.primary.ask("XADD", KEYS.journal, "*", "r", "new", "p", id_of(last + 1))
    else:
        await other.append("new")
    assert await patiently(node.lost, "the end") == reason
    assert node.inputs == ["kept", "last"]
    # The other has no part in the loss, but its ids of publications are of the epoch that has ended.
    assert await patiently(other.lost, "the end of the other") == "the journal has begun anew"
    await node.journal.close()
    await other.journal.close()


@ensure
async def test_a_node_without_records_sees_that_some_are_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.journal.redis.REPLY_SECONDS", 0.3)
    node = await Node(pair.url).start()
    (last,) = await node.append("last")
    pair.primary.ask("XDEL", KEYS.journal, id_of(last))
    assert await patiently(node.lost, "the end") == "Redis has lost records that this node has applied"
    await node.journal.close()


@ensure
async def test_a_repeated_append_waits_for_the_replicas_as_the_first_one(pair: Pair) -> None:
    """The connection of the second one has written nothing, but WAIT covers what was written before."""
    node = await Node(pair.url).start()
    await node.append("before")
    await pair.in_step()
    pair.replica.signal(signal.SIGSTOP)
    keys = (KEYS.journal, KEYS.epoch, KEYS.once("other", 1))
    ids, replicas = set(), []
    for _ in range(2):
        connection = await connect(parse(pair.url), b"", reactor)
        append = ("EVAL", APPEND, len(keys), *keys, node.journal.epoch, b"x", ONCE_SECONDS)
        ids.add(await connection.ask(*append))
        replicas.append(await connection.ask("WAIT", 1, 50))
        connection.close()
    pair.replica.signal(signal.SIGCONT)
    assert len(ids) == 1
    assert replicas == [0, 0]
    await node.journal.close()
