"""Where a start begins: the snapshots in Redis, and what is told if records after them are gone."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.conftest import Log
from tests.end_to_end.processes import patiently
from tests.journal.nodes import Node
from tests.journal.test_redis import KEYS, Start, until
from tests.redis_server import RedisServer
from tuleaprt.journal.journal import Snapshot

ensure = pytest_twisted.ensureDeferred


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


@pytest_twisted.async_yield_fixture
async def start(redis: RedisServer) -> AsyncIterator[Start]:
    nodes: list[Node] = []

    async def started(name: str = "a") -> Node:
        nodes.append(Node(redis.url, name))
        return await nodes[-1].start()

    yield started
    for node in nodes:
        await node.journal.close()


async def beginning(redis: RedisServer) -> tuple[Snapshot, bytes]:
    """What a start begins with, and the epoch."""
    node = Node(redis.url)
    await node.journal.open()
    await node.journal.close()
    return node.journal.snapshot(), node.journal.epoch


async def with_snapshots(node: Node, count: int) -> list[int]:
    """The positions of this many snapshots."""
    made = []
    for number in range(count):
        made += await node.append(str(number))
        assert await node.journal.save(lambda number=number: b"state %d" % number, 0.0)  # type: ignore[misc]
        # The next one has another time.
        await deferLater(reactor, 0.002)
    return made


@ensure
async def test_a_start_begins_with_the_older_of_two(start: Start, redis: RedisServer) -> None:
    node = await start()
    at = await with_snapshots(node, 3)
    assert await beginning(redis) == (Snapshot(at[1], b"state 1"), node.journal.epoch)


@ensure
async def test_there_is_no_snapshot_before_the_first_record(start: Start, redis: RedisServer) -> None:
    node = await start()
    assert not await node.journal.save(lambda: b"nothing", 0.0)
    await with_snapshots(node, 1)
    assert await beginning(redis) == (Snapshot(), node.journal.epoch)


@ensure
async def test_what_was_before_a_loss_is_not_followed_by_what_came_then(
    start: Start, redis: RedisServer
) -> None:
    node = await start()
    at = await with_snapshots(node, 2)
    await node.append("lost")
    redis.ask("XDEL", KEYS.journal, redis.ask("XREVRANGE", KEYS.journal, "+", "-", "COUNT", 1).split()[0])
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await patiently(node.lost, "the end") == "Redis has lost records that this node has applied"
    assert (await beginning(redis))[0] == Snapshot(at[0], b"state 0", is_followed=False)


@ensure
@pytest.mark.parametrize("count", [1, 2])
async def test_after_the_loss_of_the_stream_one_new_epoch_begins_and_all_nodes_go_on_in_it(
    start: Start, redis: RedisServer, log: Log, count: int
) -> None:
    """The snapshots stay where they are until two new ones have been made, over many starts."""
    former = await start()
    at = await with_snapshots(former, count)
    await former.journal.close()
    redis.ask("DEL", KEYS.journal)
    nodes = [await start(name) for name in "bcd"]
    assert {it.journal.epoch for it in nodes} == {nodes[0].journal.epoch} != {former.journal.epoch}
    assert log.lines.count("Redis has lost records of the journal") == 1
    snapshot = Snapshot(at[-1], b"state %d" % (count - 1), is_followed=False)
    assert await beginning(redis) == (snapshot, nodes[0].journal.epoch)
    await nodes[0].append("one")
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until(lambda: nodes[1].journal.is_up)
    await nodes[1].append("two")
    for node in nodes:
        assert await node.has(2) == ["one", "two"]
        assert not node.lost.called
    later = await start("e")
    assert later.inputs == ["one", "two"]
    await with_snapshots(later, 2)
    assert (await beginning(redis))[0].is_followed
