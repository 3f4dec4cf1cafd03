"""What an administrator sees of a running server: metrics, health, and its log."""

import http.client
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_twisted
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.processes import Process
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import FIXTURES, KANBAN, ticket, wire
from tests.operations.test_prometheus import DASHBOARD, RULES, named

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]

METRICS = {
    "log_lines_lost": "gauge",
    "ready": "gauge",
    "unauthenticated_dropped": "counter",
    "connections": "gauge",
    "unauthenticated": "gauge",
    "sessions": "gauge",
    "subscriptions": "gauge",
    "topics": "gauge",
    "campaigns": "gauge",
    "messages": "counter",
    "publications": "counter",
    "deliveries": "counter",
    "filtered": "counter",
    "authentications": "counter",
    "refreshes": "counter",
    "closes": "counter",
    "history_reads": "counter",
    "internal_errors": "counter",
    "outbox_bytes": "gauge",
    "fanout_seconds": "histogram",
    "post_seconds": "histogram",
    "probe_seconds": "histogram",
    "reactor_lag_seconds": "gauge",
}


@ensure
async def test_every_metric_is_on_the_page_and_moves(start: Start) -> None:
    server = await start()
    client = PythonClient(server.url)
    await client.open(ticket())
    subscription = await client.subscribe(KANBAN)
    await client.call("wamp.subscription.get_events", subscription, limit=0)
    assert (await server.post(wire("kanban_item_create"))).status == 200
    await client.event("kanban_item:create")
    page = (await server.request("GET", "/metrics")).body.decode()
    families = list(text_string_to_metric_families(page))
    found = {it.name.removeprefix("tuleaprt_"): it.type for it in families if it.name.startswith("tuleaprt_")}
    assert found == METRICS
    assert "process_resident_memory_bytes" in {it.name for it in families}
    values = {(it.name, *it.labels.values()): it.value for family in families for it in family.samples}
    assert {name: values[name] for name in MOVED} == MOVED
    await client.leave()
    await client.closed


@ensure
async def test_the_server_has_each_metric_of_the_alerts_and_of_the_dashboard(
    start: Start, tmp_path: Path
) -> None:
    server = await start(TULEAPRT_JOURNAL__URL=f"sqlite://{tmp_path}/journal.db")
    page = (await server.request("GET", "/metrics")).body.decode()
    found = {it.name for family in text_string_to_metric_families(page) for it in family.samples}
    # Counters with labels appear when they have counted.
    found |= {f"tuleaprt_{name}_total" for name, kind in METRICS.items() if kind == "counter"}
    assert named(RULES) | named(DASHBOARD) <= found


MOVED = {
    ("tuleaprt_connections",): 1,
    ("tuleaprt_unauthenticated",): 0,
    ("tuleaprt_sessions",): 1,
    ("tuleaprt_subscriptions",): 1,
    ("tuleaprt_topics",): 1,
    ("tuleaprt_messages_total", "200"): 1,
    ("tuleaprt_publications_total", "kanban"): 1,
    ("tuleaprt_deliveries_total",): 1,
    ("tuleaprt_filtered_total",): 0,
    ("tuleaprt_authentications_total", "accepted"): 1,
    ("tuleaprt_history_reads_total", "complete"): 1,
    ("tuleaprt_fanout_seconds_count",): 1,
    ("tuleaprt_post_seconds_count",): 1,
    ("tuleaprt_probe_seconds_count",): 1,
}


@ensure
async def test_the_page_does_not_grow_with_what_strangers_send(start: Start) -> None:
    server = await start()

    async def lines() -> int:
        return len((await server.request("GET", "/metrics")).body.splitlines())

    await server.post(b"{")
    before = await lines()
    for n in range(20):
        await server.request("POST", f"/message/{n}", b"{}")
        await server.post({"room_id": n})
        await server.request("DELETE", f"/sessions/{n}", Authorization=f"Bearer {n}")
    # One for each of the statuses, and for the refused authentications.
    assert await lines() - before <= 3


@ensure
async def test_every_line_of_a_json_log_is_an_object_and_a_close_says_who_and_why(start: Start) -> None:
    server = await start(TULEAPRT_LOG__FORMAT="json")
    client = PythonClient(server.url)
    await client.open(ticket(user_id=4242))
    await client.leave()
    await client.closed
    await server.process.written('"event": "connection.closed"')
    await server.post(b"{")
    await server.process.written('"event": "request.refused"')
    await server.process.stop()
    lines = [json.loads(line) for line in server.process.lines]
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", it["time"])
        and it["level"] in ("info", "warn")
        and it["message"]
        and it["logger"]
        for it in lines
    )
    (close,) = [it for it in lines if it.get("event") == "connection.closed"]
    assert (close["user"], close["reason"], close["level"]) == ("4242", "goodbye", "info")
    assert isinstance(close["session"], int)
    assert close["peer"].startswith("tcp4:127.0.0.1:")
    (refusal,) = [it for it in lines if it.get("event") == "request.refused"]
    assert (refusal["level"], refusal["reason"]) == ("warn", "post invalid_json")


@ensure
async def test_flooding_the_log_with_bad_posts_fills_no_disk(start: Start) -> None:
    server = await start()
    for _ in range(40):
        assert (await server.post(b"{")).status == 400
    await server.process.stop()
    refusals = [line for line in server.process.lines if "post refused: 400" in line]
    assert len(refusals) == 11
    assert "30 more like this: post refused: 400 " in refusals[-1]


@ensure
async def test_it_lives_and_is_ready_and_is_not_ready_any_more_when_it_stops(start: Start) -> None:
    server = await start()
    for state in ("live", "ready"):
        answer = await server.request("GET", f"/health/{state}")
        assert (answer.status, answer.json) == (200, {"status": state})
    connection = http.client.HTTPConnection("127.0.0.1", server.private, timeout=30)
    await deferToThread(connection.connect)
    server.process.transport.signalProcess("TERM")  # type: ignore[union-attr]
    await server.process.written(rf"TCP Port {server.private} Closed")

    def ask() -> tuple[int, Any]:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    asked = await deferToThread(ask)
    connection.close()
    assert asked == (503, {"status": "not ready", "problems": ["shutting down"]})
    assert await server.process.ended() == 0


@ensure
async def test_a_journal_that_hangs_makes_it_not_ready_until_it_goes_on() -> None:
    script = str(Path(__file__).parent / "hanging.py")
    process = Process.start(
        [sys.executable, script, "-n", "--pidfile=", "tuleaprt"],
        {
            "TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key"),
            "TULEAPRT_LISTEN__PRIVATE": ANY_PORT,
            "TULEAPRT_LISTEN__PUBLIC": ANY_PORT,
        },
    )
    try:
        await _hang_and_go_on(process)
    finally:
        await process.stop("KILL")


async def _hang_and_go_on(process: Process) -> None:
    await process.written("tuleaprt is ready$")
    port = int((await process.written(r"private site listens on 127\.0\.0\.1:(\d+)$"))[1])
    server = Server(process, port, 0)
    assert (await server.request("GET", "/health/ready")).status == 200
    process.transport.signalProcess(signal.SIGUSR2)  # type: ignore[union-attr]
    await process.written("the server is not ready: the probe has not returned for")
    answer = await server.request("GET", "/health/ready")
    assert answer.status == 503
    (problem,) = answer.json["problems"]
    assert problem.startswith("the probe has not returned for ")
    assert (await server.request("GET", "/health/live")).status == 200
    process.transport.signalProcess(signal.SIGUSR2)  # type: ignore[union-attr]
    await process.written("the probe has returned")
    assert (await server.request("GET", "/health/ready")).status == 200
    assert server.tracebacks() == []
