"""The journal in a Redis stream: one order for all nodes, and what it does when Redis is away or has lost
records.
"""

import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from tests.conftest import Log
from tests.end_to_end.processes import ROOT, patiently
from tests.journal.nodes import Node
from tests.redis_server import RedisServer
from tuleaprt.errors import ConfigError, JournalUnavailable
from tuleaprt.journal import redis as redis_module
from tuleaprt.journal.journal import Snapshot
from tuleaprt.journal.streams import Keys, id_of, position

ensure = pytest_twisted.ensureDeferred
DOCUMENTATION = ROOT / "docs" / "cluster.rst"
KEYS = Keys("tuleap")
Start = Callable[..., Awaitable[Node]]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, appendonly="yes", appendfsync="always").start()
    yield server
    server.stop()


@pytest_twisted.async_yield_fixture
async def start(redis: RedisServer) -> AsyncIterator[Start]:
    nodes: list[Node] = []

    async def started(name: str = "a", **options: Any) -> Node:
        node = await Node(redis.url, name, **options).start()
        nodes.append(node)
        return node

    yield started
    for node in nodes:
        await node.journal.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what only the network decides."""
    for _ in range(1000):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it has not come")


@ensure
async def test_all_nodes_apply_all_records_in_one_order_with_the_same_positions(start: Start) -> None:
    nodes = [await start(name) for name in "abc"]
    appends = [ensureDeferred(it.append(*(f"{n}{i}" for i in range(50)))) for n, it in enumerate(nodes)]
    answers = await gatherResults(appends)
    for node in nodes:
        await node.has(150)
    assert nodes[0].applied == nodes[1].applied == nodes[2].applied
    for n, positions in enumerate(answers):
        own = [it.position for it in nodes[0].applied if it.input.startswith(str(n))]
        assert own == positions == sorted(positions)
    assert nodes[0].journal.epoch == nodes[1].journal.epoch
    assert len(nodes[0].journal.epoch) == 32


@ensure
async def test_an_append_ends_when_it_has_been_applied_here(start: Start) -> None:
    node = await start()
    (at,) = await node.append("a")
    assert [(it.position, it.input) for it in node.applied] == [(at, "a")]
    assert abs(node.applied[0].at - time.time()) < 60
    assert node.journal.position == at


@ensure
async def test_appends_from_inside_apply_come_later(start: Start) -> None:
    node = await start()
    inner: list[Any] = []

    def apply(record: Any) -> None:
        node._apply(record)
        if record.input == "outer":
            inner.append(ensureDeferred(node.append("inner")))

    node.journal.follow(apply)
    await gatherResults([ensureDeferred(node.append(it)) for it in ("outer", "second")])
    await inner[0]
    assert node.inputs == ["outer", "second", "inner"]


@ensure
async def test_a_start_reads_what_is_there_and_goes_on(start: Start) -> None:
    first = await start("a")
    await first.append(*map(str, range(20)))
    second = await start("b")
    assert second.inputs == [str(it) for it in range(20)]
    await second.append("x")
    assert await first.has(21) == second.inputs


@ensure
async def test_a_record_of_a_newer_version_or_of_another_program_is_skipped(
    start: Start, redis: RedisServer, log: Log
) -> None:
    node = await start()
    redis.ask("XADD", KEYS.journal, "*", "r", "newer")
    redis.ask("XADD", KEYS.journal, "*", "other", "field")
    await node.append("a")
    assert node.inputs == ["a"]
    assert node.journal.skipped == 2
    assert (await start("b")).inputs == ["a"]


@ensure
async def test_a_record_that_cannot_be_read_is_named_and_skipped(
    start: Start, redis: RedisServer, log: Log
) -> None:
    node = await start()
    id = redis.ask("XADD", KEYS.journal, "*", "r", "damaged")
    await node.append("a")
    assert node.inputs == ["a"]
    assert node.journal.skipped == 1
    assert f"the record is damaged: {id}" in log.lines


@ensure
async def test_two_snapshots_are_kept_and_the_stream_from_the_older_one(
    start: Start, redis: RedisServer
) -> None:
    node = await start()
    kept = []
    for number in range(3):
        kept += await node.append(f"{number}a", f"{number}b")
        assert await node.journal.save(lambda number=number: b"state %d" % number, 0.0)  # type: ignore[misc]
    later = await start("b")
    assert later.inputs == ["2a", "2b"]
    fresh = Node(redis.url)
    await fresh.journal.open()
    assert fresh.journal.snapshot() == Snapshot(kept[3], b"state 1")
    await fresh.journal.close()
    assert redis.ask("XLEN", KEYS.journal) == "3"


@ensure
async def test_one_snapshot_in_an_interval_is_enough_for_all_nodes(start: Start) -> None:
    nodes = [await start(name) for name in "ab"]
    made: list[str] = []

    def make(name: str) -> bytes:
        made.append(name)
        return name.encode()

    await nodes[0].append("x")
    await nodes[1].has(1)
    assert await nodes[0].journal.save(lambda: make("a"), 600)
    assert not await nodes[1].journal.save(lambda: make("b"), 600)
    assert made == ["a"]


@ensure
async def test_with_one_snapshot_all_records_are_still_there(start: Start) -> None:
    node = await start()
    await node.append("a")
    await node.journal.save(lambda: b"state", 0.0)
    assert (await start("b")).inputs == ["a"]


# Redis is away.


@ensure
async def test_a_node_goes_on_after_a_restart_of_redis(start: Start, redis: RedisServer, log: Log) -> None:
    nodes = [await start(name) for name in "ab"]
    await nodes[0].append("before")
    redis.stop()
    await until(lambda: not nodes[0].journal.is_up)
    assert "the journal is away" in str(nodes[0].journal.problem())
    assert nodes[0].journal.lag >= 0
    waiting = ensureDeferred(nodes[0].append("meanwhile"))
    redis.start()
    await patiently(waiting, "the append")
    assert await nodes[1].has(2) == ["before", "meanwhile"]
    assert nodes[0].journal.problem() is None
    lines = [it for it in log.lines if it.startswith("the journal is")]
    assert "the journal is back" in lines


@ensure
async def test_a_post_is_refused_in_time_and_nothing_was_published(start: Start, redis: RedisServer) -> None:
    node = await start(patience=1)
    redis.stop()
    await until(lambda: not node.journal.is_up)
    with pytest.raises(JournalUnavailable) as refused:
        await node.append("never")
    assert not refused.value.is_unknown
    redis.start()
    await until(lambda: node.journal.is_up)
    await node.append("after")
    assert node.inputs == ["after"]


@ensure
async def test_connections_that_are_killed_lose_and_double_nothing(start: Start, redis: RedisServer) -> None:
    nodes = [await start(name, patience=20) for name in "ab"]
    appends = []
    for number in range(200):
        appends.append(ensureDeferred(nodes[number % 2].append(str(number))))
        if number % 20 == 0:
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await deferLater(reactor, 0)
    await patiently(gatherResults(appends), "the appends")
    for node in nodes:
        await node.has(200)
    assert nodes[0].applied == nodes[1].applied
    assert sorted(map(int, nodes[0].inputs)) == list(range(200))


@ensure
async def test_the_outcome_is_unknown_while_redis_hangs_and_it_is_appended_once_if_at_all(
    start: Start, redis: RedisServer
) -> None:
    node = await start(patience=0.3)
    await node.append("before")
    redis.ask("CLIENT", "PAUSE", 1000, "ALL")
    with pytest.raises(JournalUnavailable) as refused:
        await node.append("hanging")
    assert refused.value.is_unknown
    await until(lambda: node.journal.is_up)
    await until(lambda: _appended(node))
    assert node.inputs.count("hanging") <= 1
    assert node.inputs[0] == "before"


def _appended(node: Node) -> bool:
    ensureDeferred(node.append("after")).addErrback(lambda _: None)
    return "after" in node.inputs


# Records are missing.


@ensure
async def test_after_a_flush_all_nodes_begin_again(start: Start, redis: RedisServer) -> None:
    nodes = [await start(name) for name in "ab"]
    await nodes[0].append("before")
    redis.ask("FLUSHALL")
    with pytest.raises(JournalUnavailable):
        await nodes[0].append("never")
    assert await patiently(nodes[0].lost, "the end") == "the journal has begun anew"
    again = await start("a2")
    assert again.journal.epoch != nodes[0].journal.epoch
    assert again.inputs == []
    with pytest.raises(JournalUnavailable):
        await nodes[1].append("never")
    assert await patiently(nodes[1].lost, "the end") == "the journal has begun anew"
    assert again.inputs == []


@ensure
async def test_after_a_failover_that_lost_records_a_new_epoch_begins(
    start: Start, redis: RedisServer
) -> None:
    nodes = [await start(name) for name in "ab"]
    await nodes[0].append("kept")
    await nodes[0].append("lost")
    await nodes[1].has(2)
    epoch = nodes[0].journal.epoch
    # What a replica has that did not get the last record.
    redis.ask("XDEL", KEYS.journal, id_of(nodes[0].journal.position))
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    reasons = [await patiently(it.lost, "the end") for it in nodes]
    assert "Redis has lost records that this node has applied" in reasons
    again = await start("a2")
    assert again.inputs == ["kept"]
    assert again.journal.epoch != epoch


@ensure
async def test_a_node_that_was_away_for_too_long_begins_again_alone(start: Start, redis: RedisServer) -> None:
    away, other = [await start(name) for name in "ab"]
    (_, kept) = await other.append("a", "b")
    await away.has(2)
    # As if it slept while the others trimmed the stream.
    redis.ask("XTRIM", KEYS.journal, "MINID", id_of(kept))
    away.journal._disconnect()
    away.journal.position = position(b"1-0")
    assert await patiently(away.lost, "the end") == "the journal was trimmed while this node was away"
    await other.append("c")
    assert other.inputs == ["a", "b", "c"]
    assert (await start("a2")).journal.epoch == other.journal.epoch


@ensure
async def test_a_start_on_a_stream_without_its_records_begins_a_new_epoch(
    start: Start, redis: RedisServer, log: Log
) -> None:
    node = await start()
    for number in range(2):
        await node.append(str(number))
        await node.journal.save(lambda: b"state", 0.0)
    redis.ask("DEL", KEYS.journal)
    again = await start("b")
    assert again.inputs == []
    assert again.journal.epoch != node.journal.epoch
    assert "Redis has lost records of the journal" in log.lines


# Redis refuses.


async def problem(url: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        await Node(url, **options).start()
    with pytest.raises(ConfigError, match=r"\[journal\] url: "):
        await Node(url, **options).journal.check()
    return str(refused.value)


@ensure
async def test_a_wrong_password_is_refused_at_the_start(redis: RedisServer) -> None:
    redis.ask("CONFIG", "SET", "requirepass", "secret")
    redis.password = "secret"
    assert "NOAUTH" in await problem(redis.url)
    wrong = await problem(redis.url, password=b"wrong-password")
    assert "WRONGPASS" in wrong
    assert "wrong-password" not in wrong
    node = await Node(redis.url, password=b"secret").start()
    await node.append("a")
    await node.journal.close()
    node = await Node(redis.url.replace("//", "//:secret@")).start()
    assert node.inputs == ["a"]
    await node.journal.close()


@ensure
async def test_keys_of_another_program_are_refused_at_the_start(redis: RedisServer) -> None:
    redis.ask("SET", KEYS.journal, "other")
    assert "WRONGTYPE" in await problem(redis.url)


@ensure
async def test_a_database_that_does_not_exist_is_refused_at_the_start(redis: RedisServer) -> None:
    assert "ERR DB index is out of range" in await problem(redis.url[:-1] + "99")


@ensure
async def test_a_user_that_may_too_little_is_refused_at_the_start(redis: RedisServer) -> None:
    redis.ask("ACL", "SETUSER", "rt", "on", ">pw", "~tuleaprt:*", "+get", "+set")
    assert "NOPERM" in await problem(redis.url.replace("//", "//rt:pw@"))


# SELECT is for databases other than 0, WAIT for replicas. HSET cannot be tried without a change.
(USER,) = re.findall(r"^ +user tuleaprt (.*)$", DOCUMENTATION.read_text(), re.MULTILINE)
NEEDED = sorted(set(re.findall(r"\+(\S+)", USER)) - {"hset", "select", "wait"})


@ensure
@pytest.mark.parametrize("command", NEEDED)
async def test_a_user_that_lacks_one_command_is_refused_at_the_start(
    redis: RedisServer, command: str
) -> None:
    redis.ask("ACL", "SETUSER", "tuleaprt", *(it for it in USER.split() if it != f"+{command}"))
    assert "NOPERM" in await problem(redis.url.replace("//", "//tuleaprt:a-long-password@"))


@ensure
async def test_the_user_of_the_documentation_may_do_what_is_needed(redis: RedisServer) -> None:
    redis.ask("ACL", "SETUSER", "tuleaprt", *USER.split())
    url = redis.url.replace("//", "//tuleaprt@")
    node = await Node(url, password=b"a-long-password").start()
    for number in range(3):
        await node.append(str(number))
        assert await node.journal.save(lambda: b"state", 0.0)
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await node.append("after")
    redis.ask("SCRIPT", "FLUSH")
    await node.append("without the script")
    await node.journal.close()
    again = await Node(url, password=b"a-long-password").start()
    assert again.inputs == ["2", "after", "without the script"]
    redis.ask("XDEL", KEYS.journal, id_of(again.journal.position))
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert "lost records" in await patiently(again.lost, "the end")
    await again.journal.close()


@ensure
async def test_a_server_that_does_not_listen_is_waited_for_and_then_refused(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.journal.redis.START_SECONDS", 0.2)
    redis.stop()
    assert "refused" in await problem(redis.url)


@ensure
async def test_the_check_changes_nothing(redis: RedisServer) -> None:
    await Node(redis.url).journal.check()
    assert redis.ask("DBSIZE") == "0"


@ensure
async def test_a_redis_that_is_full_refuses_and_takes_again_later(
    start: Start, redis: RedisServer, log: Log
) -> None:
    node = await start(patience=0.5)
    await node.append("before")
    redis.ask("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(JournalUnavailable) as refused:
        await node.append("never")
    assert not refused.value.is_unknown
    assert "OOM" in str(node.journal.problem())
    redis.ask("CONFIG", "SET", "maxmemory", 0)
    await node.append("after")
    assert node.journal.is_up
    assert node.inputs == ["before", "after"]
    assert [it for it in log.lines if "maxmemory" in it]


@ensure
async def test_a_replica_is_no_place_for_a_journal(
    start: Start, redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.journal.redis.START_SECONDS", 0.2)
    folder = tmp_path / "replica"
    folder.mkdir()
    replica = RedisServer(folder, replicaof=f"127.0.0.1 {redis.port}").start()
    try:
        await start()
        await until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"))
        assert "READONLY" in await problem(replica.url)
    finally:
        replica.stop()


@ensure
async def test_an_append_waits_for_a_replica(start: Start, redis: RedisServer, tmp_path: Path) -> None:
    node = await start(replicas=1)
    with pytest.raises(JournalUnavailable, match="0 of 1 replicas") as refused:
        await node.append("alone")
    assert refused.value.is_unknown
    folder = tmp_path / "replica"
    folder.mkdir()
    replica = RedisServer(folder, replicaof=f"127.0.0.1 {redis.port}").start()
    try:
        await until(lambda: "master_link_status:up" in replica.ask("INFO", "replication"))
        # Redis sends what is written to a new replica only after its first report, once in a second.
        redis.ask("SET", "mark", "x")
        await until(lambda: replica.ask("GET", "mark") == "x")
        await node.append("safe")
        assert replica.ask("XLEN", KEYS.journal) == "2"
    finally:
        replica.stop()


@ensure
async def test_injected_fault_while_reading_ends_the_node(start: Start, redis: RedisServer, log: Log) -> None:
    node = await start()
    redis.ask("XADD", KEYS.journal, f"{2**42}-{2**21}", "r", "too many records in one millisecond")
    assert await patiently(node.lost, "the end") == "the journal cannot be read"
    assert log.tracebacks == ["too many records in one millisecond"]


@ensure
async def test_a_node_may_stop_while_it_connects(
    redis: RedisServer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await Node(redis.url).start()
    redis.stop()
    await until(lambda: not node.journal.is_up)
    attempts: list[Any] = []
    real = redis_module.connect

    async def connecting(*arguments: Any) -> Any:
        attempts.append(arguments)
        return await real(*arguments)

    monkeypatch.setattr(redis_module, "connect", connecting)
    # A host that does not answer: its queue of connections is full.
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", redis.port))
        listening.listen(0)
        for it in (first, second):
            it.setblocking(False)
            it.connect_ex(("127.0.0.1", redis.port))
        await until(lambda: attempts)
        await node.journal.close()
    assert not node.lost.called
    assert log.tracebacks == []
