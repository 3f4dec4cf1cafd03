"""Three servers on a Redis whose primary is killed. Sentinel makes its replica the primary."""

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred

from tests.end_to_end.cluster import Browser, Node, all_have, before, eventually, pause, started
from tests.end_to_end.cluster_loop import EVERYONE, MEMBERS, NOBODY, Loop, agreed
from tests.fakes import KANBAN
from tests.redis_server import RedisServer
from tuleaprt.journal.address import parse
from tuleaprt.journal.redis_connection import connect
from tuleaprt.journal.streams import Keys, entries
from tuleaprt.tuleap import records
from tuleaprt.tuleap.inputs import Post

ensure = pytest_twisted.ensureDeferred


class Watched:
    """A primary, its replica and a Sentinel."""

    def __init__(self, folder: Path) -> None:
        folders = [folder / name for name in ("primary", "replica", "sentinel")]
        for it in folders:
            it.mkdir()
        self.primary = RedisServer(folders[0], appendonly="yes").start()
        self.replica = RedisServer(
            folders[1], appendonly="yes", replicaof=f"127.0.0.1 {self.primary.port}"
        ).start()
        self.sentinel = RedisServer(
            folders[2],
            is_sentinel=True,
            monitor=f"mymaster 127.0.0.1 {self.primary.port} 1",
            # On a machine that is busy it would take a slow answer for none. It is told when to fail over.
            down_after_milliseconds="mymaster 600000",
            failover_timeout="mymaster 1000",
        ).start()
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel.port}/mymaster/0"

    async def in_step(self) -> None:
        """Sentinel knows the replica, and that receives what is written."""
        name, asked = f"127.0.0.1:{self.replica.port}", ("SENTINEL", "REPLICAS", "mymaster")
        await eventually(lambda: name in self.sentinel.ask(*asked), "the replica at Sentinel")
        self.primary.ask("SET", "mark", name)
        await eventually(lambda: self.replica.ask("GET", "mark") == name, "a write at the replica")

    async def fail_over(self) -> None:
        """Kill the primary. When Sentinel names the replica, the former primary comes back as its replica."""
        self.primary.stop()
        self.replica.signal(signal.SIGCONT)
        name, asked = str(self.replica.port), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
        await eventually(lambda: self.sentinel.ask("SENTINEL", "FAILOVER", "mymaster") == "OK", "a failover")
        await eventually(lambda: name in self.sentinel.ask(*asked), "its end")
        self.primary, self.replica = self.replica, self.primary
        self.replica.options["replicaof"] = f"127.0.0.1 {self.primary.port}"
        self.replica.start()

    def stop(self) -> None:
        for it in (self.sentinel, self.primary, self.replica):
            it.signal(signal.SIGCONT)
            it.stop()


class Kept:
    """Servers that are started again when they end with status 1, as systemd does."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.ends: list[str] = []
        self._is_over = False
        self._keeping = [ensureDeferred(self._keep(it)) for it in nodes]

    async def _keep(self, node: Node) -> None:
        while await node.server.process.ended() == 1 and not self._is_over:
            node.is_up = False
            assert node.server.tracebacks() == []
            self.ends += [it for it in node.server.process.lines if "this process ends" in it]
            await node.start()

    async def until(self, count: int) -> None:
        """This many have ended, and all are up."""
        await eventually(lambda: len(self.ends) >= count and all(it.is_up for it in self.nodes), "the starts")

    async def stop(self) -> None:
        self._is_over = True
        for node in self.nodes:
            await node.stop("TERM")
        for it in self._keeping:
            await it


async def in_the_stream(redis: RedisServer) -> set[int]:
    """The numbers of the posts."""
    connection = await connect(parse(redis.url), b"", reactor)
    found = entries(await connection.ask("XRANGE", Keys("tuleap").journal, "-", "+"))
    connection.close()
    inputs = [records.decode(it.body) for it in found if it.body is not None]
    posts = [it.message for it in inputs if isinstance(it, Post) and it.message.topic == KANBAN]
    return {json.loads(it.data_json.text) for it in posts}


class Stage:
    """Servers, nginx before them, browsers, and what these are due."""

    def __init__(self, watched: Watched, folder: Path) -> None:
        self.watched = watched
        self.folder = folder
        self.random = Random(16)
        self.browsers: list[Browser] = []

    async def open(self, **options: str) -> None:
        self.nodes = await started(self.watched.primary, 3, TULEAPRT_JOURNAL__URL=self.watched.url, **options)
        self.kept = Kept(self.nodes)
        self.nginx, front = await before(self.folder / "nginx", self.nodes)
        self.loop = Loop(self.watched.primary, self.nodes, front, self.random)
        for at in range(9):
            groups = [EVERYONE, MEMBERS] if at % 2 else [EVERYONE]
            self.browsers.append(Browser(self.nginx.port, 1000 + at, groups, self.random))
        for it in self.browsers:
            it.start()
            await it.until(lambda it: it.statuses != [] and not it._is_resuming, "the first position")

    async def post_during(self, done: Deferred[None]) -> None:
        while not done.called:
            await self.loop.post(self.random.choice([EVERYONE, MEMBERS, NOBODY]))
            await pause(0.01)
        await done

    async def settle(self) -> None:
        """All browsers have a last post, and what they were due."""
        # A browser that loads its board receives only what comes then.
        for _ in range(600):
            last = await self.loop.post(EVERYONE)
            await pause(0.05)
            if all(last in it.numbers for it in self.browsers):
                break
        await all_have(self.browsers, self.nodes, last)
        for it in self.browsers:
            self.loop.check(it)
        await agreed(self.nodes)

    async def close(self) -> None:
        for it in self.browsers:
            it.stop()
        await self.kept.stop()
        await self.nginx.process.stop()


@pytest_twisted.async_yield_fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    watched = Watched(tmp_path)
    await watched.in_step()
    stage = Stage(watched, tmp_path)
    yield stage
    await stage.close()
    watched.stop()


@ensure
async def test_with_replicas_a_failover_loses_nothing_that_was_answered(stage: Stage) -> None:
    await stage.open(TULEAPRT_JOURNAL__REPLICAS="1")
    for _ in range(2):
        await stage.post_during(ensureDeferred(stage.watched.fail_over()))
        await stage.post_during(ensureDeferred(stage.watched.in_step()))
    await stage.settle()
    # Also what no browser was told, because all loaded their boards again.
    assert set(stage.loop.due) <= await in_the_stream(stage.watched.primary)


@ensure
async def test_a_failover_to_a_replica_that_lacks_records_is_told_to_all_pages(stage: Stage) -> None:
    await stage.open()
    kept = await stage.loop.post(EVERYONE)
    await all_have(stage.browsers, stage.nodes, kept)
    await stage.watched.in_step()
    stage.watched.replica.signal(signal.SIGSTOP)
    stage.watched.primary.ask("CLIENT", "KILL", "TYPE", "replica")
    lost = await stage.loop.post(EVERYONE)
    assert lost in stage.loop.due
    await all_have(stage.browsers, stage.nodes, lost)
    await stage.watched.fail_over()
    await stage.kept.until(3)
    await stage.settle()
    assert lost not in await in_the_stream(stage.watched.primary)
    assert all(it.reloads for it in stage.browsers)
    assert all(it.numbers[:2] == [kept, lost] for it in stage.browsers)
    assert len(stage.kept.ends) == 3
    assert "Redis has lost records that this node has applied" in "\n".join(stage.kept.ends)
