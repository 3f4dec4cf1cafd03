"""The load generator: it measures, and it fails when a delivery is not what it must be."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from certificate import self_signed
from load import Bench, Plan, Start, Started, Talk
from router import CBOR, FRAME_BYTES, JSON, MSGPACK, POLLING, SOCKETIO, Browser, Failed, request, tuleaprt
from server import Server, cpu_seconds

from tests.benchmarks.misbehaving import (
    Misbehaving,
    MisbehavingToMqtt,
    MisbehavingToNats,
    MisbehavingToPage,
    MisbehavingToPoller,
)

ROUTER = tuleaprt((0, 0), "k" * 64)
PLAN = Plan(
    browsers=[Browser(), Browser(protocol=MSGPACK), Browser(board=1, protocol=CBOR)],
    boards=2,
    posters=2,
    warm=0.1,
    seconds=0.3,
)
PAGES = Plan(
    browsers=[Browser(protocol=SOCKETIO), Browser(protocol=POLLING), Browser(), Browser(1, SOCKETIO)],
    boards=2,
    posters=2,
    warm=0.1,
    seconds=0.3,
)
SUBSCRIBERS = {
    JSON: Misbehaving,
    SOCKETIO: MisbehavingToPage,
    POLLING: MisbehavingToPoller,
    "nats": MisbehavingToNats,
    "mqtt": MisbehavingToMqtt,
}
OF_BROKERS = {"nats": "0 nats   00", "mqtt": "0 mqtt 00  00"}
"""Lines of subscribers whose messages the misbehaving server does not read."""
PACED = Plan(browsers=[Browser()], rate=20, warm=0, seconds=0.5)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    certificate = self_signed(tmp_path)

    def start(core: int | None, is_tls: bool, in_a_file: bool) -> AbstractContextManager[Started]:
        return Server(core, certificate if is_tls else None)

    return start


@pytest.mark.parametrize(("is_tls", "size"), [(False, FRAME_BYTES), (True, 20_000)])
def test_the_server_is_measured(program: Path, start: Start, is_tls: bool, size: int) -> None:
    plan = Plan(
        browsers=PLAN.browsers, boards=2, posters=2, tls=is_tls, event_bytes=size, warm=0, seconds=0.3
    )
    found = Bench(program, (None, None), start).server(plan)
    # The posts go to the two boards in turns.
    assert found.posts <= found.deliveries <= 2 * found.posts
    assert found.deliveries > 0 < found.cpu
    assert size * 0.6 < found.event_bytes < size * 1.05


def test_pages_and_wamp_get_the_same_events(program: Path, start: Start) -> None:
    found = Bench(program, (None, None), start).server(PAGES)
    assert found.posts <= found.deliveries <= 3 * found.posts
    assert found.deliveries > 0 < found.cpu


def test_pages_answer_the_pings_of_their_server(program: Path) -> None:
    """Otherwise the server ends them after two seconds."""
    options = {"TULEAPRT_WEBSOCKET__PING_INTERVAL": "1", "TULEAPRT_WEBSOCKET__PING_TIMEOUT": "1"}
    plan = dataclasses.replace(PAGES, rate=5, seconds=4)
    found = Bench(program, (None, None), lambda core, tls, journal: Server(core, options=options)).server(
        plan
    )
    assert (found.posts, found.deliveries) == (40, 80)


@pytest.mark.parametrize("size", [FRAME_BYTES, 131_072])
def test_the_yardstick_is_measured_with_the_same_load(program: Path, start: Start, size: int) -> None:
    plan = Plan(browsers=PLAN.browsers, boards=2, posters=2, event_bytes=size, warm=0, seconds=0.1)
    found = Bench(program, (None, None), start).yard(plan)
    assert found.posts <= found.deliveries <= 2 * found.posts
    assert found.deliveries > 0
    assert size - 10 <= found.event_bytes <= size


def test_at_a_pace_latencies_are_measured_for_each_board(program: Path, start: Start) -> None:
    plan = Plan(browsers=PLAN.browsers, boards=2, posters=2, rate=20, warm=0, seconds=0.5)
    found = Bench(program, (None, None), start).yard(plan)
    assert (found.posts, found.deliveries) == (20, 30)
    assert len(found.boards) == 2
    for board in found.boards:
        assert 0 < board.p50 <= board.p99 <= board.last_p99
        assert board.p50 <= board.last_p50


def outcome(program: Path, protocol: str, delivers: Callable[[int], Sequence[int] | None]) -> int:
    """How many deliveries there were."""
    post = request(ROUTER.publisher, FRAME_BYTES)
    with SUBSCRIBERS[protocol](len(post.text), delivers) as server, Talk([program], None) as load:
        head = PACED.head((server.port, server.port), "/", post, plain=protocol == JSON)
        line = OF_BROKERS.get(protocol) or Browser(protocol=protocol).line(0, ROUTER.websocket)
        load.say("\n".join((head, post.line(), line)))
        for phase in ("open", "warm", "measure"):
            load.hear()
            load.say(phase)
        return int(load.hear()["deliveries"])


@pytest.mark.parametrize("protocol", SUBSCRIBERS)
def test_what_is_delivered_once_and_in_order_is_counted(program: Path, protocol: str) -> None:
    assert outcome(program, protocol, lambda post: [post]) == 10


@pytest.mark.parametrize("protocol", SUBSCRIBERS)
@pytest.mark.parametrize(
    ("delivers", "problem"),
    [
        (lambda post: [] if post == 1 else [post], "lost.*event 2 came, 1 was next"),
        (lambda post: [post, post] if post == 3 else [post], "doubled.*event 3 came, 4 was next"),
        (lambda post: [post, post] if post == 9 else [post], "doubled.*event 9 came, 10 was next"),
        (lambda post: {1: [], 2: [2, 1]}.get(post, [post]), "out of order: event 2 came, 1 was next"),
        (lambda post: [post, post + 1], "event 1 came, 1 was next of 1"),
        (lambda post: None if post == 2 else [post], "ended a connection"),
    ],
    ids=("lost", "doubled", "the last doubled", "out of order", "invented", "ended"),
)
def test_whatever_else_is_delivered_is_a_failure(
    program: Path, protocol: str, delivers: Callable[[int], Sequence[int] | None], problem: str
) -> None:
    with pytest.raises(Failed, match=problem):
        outcome(program, protocol, delivers)


def test_a_load_that_ends_says_so(program: Path) -> None:
    with Talk([program], None) as load:
        load.say("nonsense\n")
        with pytest.raises(Failed, match="the first line of the plan is not understood"):
            load.hear()
        with pytest.raises(Failed, match="has ended with 1"):
            load.hear()


def test_the_cpu_of_a_process_includes_its_children(program: Path) -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    busy = "while __import__('time').process_time() < 0.2: pass\nprint('{}', flush=True); input()"
    with Talk([sys.executable, "-c", script, busy], None) as parent:
        parent.hear()
        assert cpu_seconds(parent.pid) >= 0.19
        parent.say("")
