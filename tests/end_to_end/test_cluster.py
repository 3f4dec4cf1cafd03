"""Three servers on one Redis behind nginx: what holds over all, and what is left when they are killed.

``SOAK_SECONDS=600 SOAK_BROWSERS=200`` makes the loop of kills longer (make soak NODES=3).
"""

import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.cluster import Browser, Node, all_have, before, pause, started
from tests.end_to_end.cluster_loop import EVERYONE, MEMBERS, Loop, agreed, post
from tests.end_to_end.processes import TWISTD, Process, patiently
from tests.end_to_end.test_journal import OPENED
from tests.end_to_end.test_socketio import Reader
from tests.end_to_end.tuleap_pages import BOTH, Pages
from tests.fakes import CAMPAIGN, FIXTURES, KANBAN, ticket
from tests.redis_server import RedisServer
from tuleaprt.relay.procedures import PRESENCES

ensure = pytest_twisted.ensureDeferred
SECONDS = float(os.environ.get("SOAK_SECONDS", "6"))
BROWSERS = int(os.environ.get("SOAK_BROWSERS", "24"))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = RedisServer(tmp_path_factory.mktemp("redis"), appendonly="yes", appendfsync="always").start()
    yield server
    server.stop()


@pytest_twisted.async_yield_fixture(scope="module")
async def nodes(redis: RedisServer) -> AsyncIterator[list[Node]]:
    nodes = await started(redis, 3)
    yield nodes
    for node in nodes:
        await node.stop()


async def window(node: Node, user: int = 102, uuid: str = "u", topic: str = KANBAN, **of_token: Any) -> Any:
    client = PythonClient(node.server.url)
    await client.open(ticket(user, **of_token), uuid)
    await client.subscribe(topic)
    return client


@ensure
async def test_a_post_to_any_node_reaches_the_pages_of_all_with_one_id(nodes: list[Node]) -> None:
    windows = [await window(it, 102 + at) for at, it in enumerate(nodes)]
    ids = []
    for node in nodes:
        answer = await node.server.post(post("x"))
        ids.append(answer.json["publication"])
    for it in windows:
        await it.event("kanban:edit")
    assert (await nodes[0].server.post(post("last") | {"cmd": "kanban:last"})).status == 200
    for it in windows:
        await it.event("kanban:last")
        assert [event["publication"] for event in it.events][:3] == ids
        await it.leave()


@ensure
async def test_a_revocation_at_one_node_ends_the_sessions_of_all(nodes: list[Node]) -> None:
    windows = [await window(it, 177, str(at)) for at, it in enumerate(nodes)]
    answer = await nodes[2].server.request(
        "DELETE", "/sessions/177", Authorization=f"Bearer {ticket(1, [], role='operator')}"
    )
    assert answer.status == 200
    for it in windows:
        assert await patiently(it.closed, "the end") == "org.tuleap.close.revoked"


@ensure
async def test_a_kill_by_an_operator_at_one_node_ends_the_sessions_of_all(nodes: list[Node]) -> None:
    windows = [await window(it, 178, str(at)) for at, it in enumerate(nodes)]
    operator = PythonClient(nodes[0].server.url)
    await operator.open(ticket(1, [], role="operator"))
    assert len((await operator.call("wamp.session.kill_by_authid", "178")).args[0]) == 1
    for it in windows:
        assert await patiently(it.closed, "the end") == "wamp.close.killed"
    await operator.leave()


@ensure
async def test_a_window_on_an_execution_has_one_session_and_its_place_at_all_nodes(nodes: list[Node]) -> None:
    former = await window(nodes[0], 102, "u-viewer", CAMPAIGN)
    await nodes[1].server.post(OPENED)
    seen = (await former.call(PRESENCES, 9)).args
    assert seen != [{}]
    latter = await window(nodes[2], 102, "u-viewer", CAMPAIGN)
    assert await patiently(former.closed, "the end") == "org.tuleap.close.replaced"
    assert (await latter.call(PRESENCES, 9)).args == seen
    await latter.leave()


@ensure
async def test_a_page_is_ready_where_redis_answers(nodes: list[Node]) -> None:
    for node in nodes:
        assert (await node.server.request("GET", "/health/ready")).status == 200
        assert await node.server.metric("journal_up") == 1
        assert await node.server.metric("journal_lag_seconds") < 60


@ensure
async def test_the_newest_token_s_groups_hold_at_all_nodes(nodes: list[Node]) -> None:
    member = await window(nodes[0], 190, "a", groups=[EVERYONE, MEMBERS], exp=time.time() + 600)
    assert (await nodes[1].server.post(post("secret", MEMBERS))).status == 200
    await member.event("kanban:edit")
    elsewhere = await window(nodes[2], 190, "b", groups=[EVERYONE], exp=time.time() + 900)
    await elsewhere.call("org.tuleap.session.ping")
    assert (await nodes[1].server.post(post("more secret", MEMBERS))).status == 200
    assert (await nodes[1].server.post(post("last") | {"cmd": "kanban:last"})).status == 200
    for it in (member, elsewhere):
        await it.event("kanban:last")
        await it.leave()
    assert [it["kwargs"]["data"] for it in member.events] == ["secret", "last"]
    assert [it["kwargs"]["data"] for it in elsewhere.events] == ["last"]


@ensure
async def test_a_page_of_tuleap_goes_on_at_another_server_and_misses_nothing(
    tmp_path: Path, pages: Pages
) -> None:
    """Its server stops in order, as in an upgrade."""
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder).start()
    nodes = await started(redis, 3, TULEAPRT_SOCKETIO__REMINDER="0.5")
    nginx, _ = await before(tmp_path / "nginx", nodes)
    page = pages.page(nginx.origin, transports=BOTH)
    reader = Reader(page, 102, 3, "u-page")
    await reader.load()
    while not page.events():
        await nodes[0].server.post(post("before"))
    await nodes[0].server.post(post("seen"))
    await page.happens(lambda it: it.get("event", {}).get("data") == "seen")
    (its,) = [it for it in nodes if await it.server.metric("connections") == 1]
    others = [it for it in nodes if it is not its]
    await its.stop("TERM")
    for number in range(3):
        assert (await others[0].server.post(post(number))).status == 200
    await reader.comes_back()
    assert (await others[1].server.post(post("after"))).status == 200
    await page.happens(lambda it: it.get("event", {}).get("data") == "after")
    events = [it["data"] for it in page.events() if it["data"] not in ("before", "seen")]
    assert events == [0, 1, 2, "after"]
    await page.leave()
    for node in others:
        await node.stop()
    await nginx.process.stop()
    redis.stop()


@ensure
async def test_the_command_line_lists_and_ends_sessions_of_all_servers(nodes: list[Node]) -> None:
    windows = [await window(it, 180 + at) for at, it in enumerate(nodes)]
    urls = [argument for it in nodes for argument in ("--url", it.server.url)]

    async def tuleaprt(*arguments: str) -> list[str]:
        run = Process.start(
            [sys.executable, "-m", "tuleaprt", "sessions", *arguments, *urls],
            {"TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key")},
        )
        assert await patiently(run.ended(), "the command") == 0, run.lines
        return run.lines

    assert await tuleaprt("count") == ["3"]
    heading, *rows = [it.split() for it in await tuleaprt()]
    assert heading[0] == "SESSION"
    assert [it[1] for it in rows] == ["180", "181", "182"]
    await tuleaprt("kill", *(it[0] for it in rows))
    for it in windows:
        assert await patiently(it.closed, "the end") == "wamp.close.killed"


@ensure
async def test_nothing_is_lost_doubled_or_misled_while_servers_and_redis_are_killed(tmp_path: Path) -> None:
    random = Random(int(os.environ.get("SOAK_SEED", "7")))
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder, appendonly="yes", appendfsync="always").start()
    # A browser that comes back late must not find its position evicted.
    nodes = await started(redis, 3, TULEAPRT_HISTORY__EVENTS_PER_TOPIC="100000")
    nginx, front = await before(tmp_path / "nginx", nodes)
    browsers = [
        Browser(nginx.port, 1000 + at, [EVERYONE, MEMBERS] if at % 2 else [EVERYONE], random)
        for at in range(BROWSERS)
    ]
    loop = Loop(redis, nodes, front, random)
    for browser in browsers:
        browser.start()
    await pause_until_ready(browsers)
    await loop.run(SECONDS)
    last = 0
    while last not in loop.due:
        last = await loop.post(EVERYONE)
    await all_have(browsers, nodes, last)
    for browser in browsers:
        loop.check(browser)
        browser.stop()
    assert sum(it.connections for it in browsers) > len(browsers)
    assert await agreed(nodes) != [[{}], [[]]]
    states = []
    for node in nodes:
        states.append((await node.server.request("GET", "/health/ready")).status)
        await node.stop()
    assert states == [200] * 3
    # A page may come to a server that has not read the newest record yet. It is told so.
    reloads = sum(len(it.reloads) for it in browsers)
    connections = sum(it.connections for it in browsers)
    print(f"{len(loop.due)} posts to {BROWSERS} browsers, {len(loop.perhaps)} of unknown outcome, ", end="")
    print(f"{len(loop.deeds)} disturbances, {connections} connections, {reloads} reloads")
    assert reloads <= 1 + connections / 100
    await nginx.process.stop()
    redis.stop()


async def pause_until_ready(browsers: list[Browser]) -> None:
    """All browsers have their first position."""
    for browser in browsers:
        while browser._is_resuming:
            await pause(0.02)


@ensure
async def test_a_page_that_is_behind_a_failover_which_lost_records_is_told(tmp_path: Path) -> None:
    """The replica had not got the last record when it became the primary."""
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder).start()
    nodes = await started(redis, 2)
    client = await window(nodes[0])
    subscription = await client.subscribe(KANBAN)
    await nodes[1].server.post(post("kept"))
    answer = await nodes[1].server.post(post("lost"))
    await client.event("kanban:edit")
    redis.ask("XDEL", "tuleaprt:{tuleap}:journal", _newest(redis))
    ends = [it.server.process.ended() for it in nodes]
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert [await patiently(it, "the end of the process") for it in ends] == [1, 1]
    assert subscription
    for node in nodes:
        await node.start()
    again = await window(nodes[0])
    subscription = await again.subscribe(KANBAN)
    result = await again.call(
        "wamp.subscription.get_events", subscription, after_publication=answer.json["publication"]
    )
    assert (result.args, result.kwargs["position_lost"]) == ([], True)
    await again.leave()
    for node in nodes:
        await node.stop()
    redis.stop()


@ensure
async def test_a_page_that_missed_the_lost_record_is_told_too_though_its_position_is_in_the_snapshots(
    tmp_path: Path,
) -> None:
    redis = RedisServer(tmp_path).start()
    node = Node(redis, TULEAPRT_HISTORY__SECONDS="0.2")
    await node.start()
    seen = (await node.server.post(post("seen"))).json["publication"]
    newest = _newest(redis)
    while len(kept := redis.ask("HKEYS", "tuleaprt:{tuleap}:snapshots").split()) < 2 or min(kept) < newest:
        await node.server.post(post("elsewhere") | {"room_id": 4})
    await node.server.post(post("lost"))
    redis.ask("XDEL", "tuleaprt:{tuleap}:journal", _newest(redis))
    end = node.server.process.ended()
    redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await patiently(end, "the end of the process") == 1
    await node.start()
    page = await window(node)
    subscription = await page.subscribe(KANBAN)
    result = await page.call("wamp.subscription.get_events", subscription, after_publication=seen)
    assert (result.args, result.kwargs["position_lost"]) == ([], True)
    await page.leave()
    await node.stop()
    redis.stop()


def _newest(redis: RedisServer) -> str:
    reply = redis.ask("XREVRANGE", "tuleaprt:{tuleap}:journal", "+", "-", "COUNT", 1)
    return str(reply.splitlines()[0])


@ensure
async def test_a_server_that_cannot_reach_redis_does_not_start_and_says_why(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path, requirepass="secret")
    redis.password = "secret"
    redis.start()
    node = Node(redis)
    starting: Deferred[Any] = ensureDeferred(node.start())
    with pytest.raises(AssertionError, match=r"tuleaprt does not start") as failed:
        await starting
    assert "[journal] url: 127.0.0.1" in str(failed.value)
    assert "password_file" in str(failed.value)
    assert "secret" not in str(failed.value)
    redis.stop()


@ensure
async def test_a_server_that_waits_for_redis_stops_at_once_and_answers_nothing(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    key = {"TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key")}
    process = Process.start([TWISTD, "-n", "--pidfile=", "tuleaprt"], Node(redis).environment | key)
    await process.written("the start waits for the journal: .*refused")
    assert await process.stop("TERM") == 0
    assert not [it for it in process.lines if "is ready" in it or "Traceback" in it]
