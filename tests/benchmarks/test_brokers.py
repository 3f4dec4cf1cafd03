"""NATS and Mosquitto are measured by the same load, and what they refuse is a failure."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from brokers import CONNECT, Broker, number, packet, string
from load import Bench, Plan, Result
from others import PRODUCTS, path_of, present
from peer import Peer
from router import FRAME_BYTES, JSON, Browser, Failed, event, tuleaprt
from server import free_ports

BROWSERS = [Browser(), Browser(protocol=JSON), Browser(board=1)]
PLAN = Plan(browsers=BROWSERS, boards=2, posters=2, warm=0.1, seconds=0.3)


@pytest.fixture
def broker(tmp_path: Path) -> Callable[[str], Broker]:
    def broker(name: str) -> Broker:
        program = path_of(PRODUCTS[name])
        assert program is not None
        return PRODUCTS[name].broker(program, tmp_path, free_ports(Random()))

    return broker


def measured(program: Path, broker: Broker, plan: Plan = PLAN) -> Result:
    return Bench(program, (None, None), lambda core, is_tls, in_a_file: Peer(broker, core)).server(plan)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_broker_is_measured_by_the_same_load(program: Path, tmp_path: Path, name: str) -> None:
    ((other,), missing) = present([name], tmp_path)
    assert missing == []
    found = Bench(program, (None, None), lambda core, is_tls, in_a_file: other.start(core)).server(PLAN)
    assert found.posts <= found.deliveries <= 2 * found.posts
    assert found.deliveries > 0 < found.cpu
    assert found.event_bytes == FRAME_BYTES - 4


@pytest.mark.parametrize("name", PRODUCTS)
def test_large_events_arrive_whole(program: Path, broker: Callable[[str], Broker], name: str) -> None:
    plan = Plan(browsers=BROWSERS, boards=2, posters=2, event_bytes=131_072, warm=0, seconds=0.3)
    found = measured(program, broker(name), plan)
    assert found.deliveries > 0
    assert 131_052 < found.event_bytes <= 131_072


def test_subscribers_and_the_poster_answer_the_pings_of_nats(
    program: Path, broker: Callable[[str], Broker]
) -> None:
    """Otherwise the server ends them after two seconds."""
    it = broker("nats")
    config = Path(it.command[-1])
    config.write_text(config.read_text() + 'ping_interval: "1s"\nping_max: 1\n')
    plan = Plan(browsers=BROWSERS, boards=2, posters=2, rate=5, warm=0.1, seconds=4)
    found = measured(program, it, plan)
    assert (found.posts, found.deliveries) == (40, 60)


@pytest.mark.parametrize(
    ("name", "changed", "problem"),
    [
        ("nats", {"publication": lambda payload: b"PUT board.000000\r\n" + payload}, "NATS says -ERR"),
        ("nats", {"introduction": b"CONNECT {}}\r\n"}, "poster"),
        ("nats", {"opening": lambda board: (b"", b"", b"SUB\r\n")}, "NATS says -ERR"),
        (
            "mosquitto",
            # A version of the protocol that does not exist.
            {"introduction": packet(CONNECT, string(b"MQTT") + bytes((9, 2)) + number(0) + string(b""))},
            "answered by a packet that begins with 20",
        ),
    ],
)
def test_what_a_broker_refuses_is_a_failure(
    program: Path, broker: Callable[[str], Broker], name: str, changed: dict[str, object], problem: str
) -> None:
    with pytest.raises(Failed, match=problem):
        measured(program, broker(name)._replace(**changed))


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_post_has_the_event_of_tuleaprt(broker: Callable[[str], Broker], name: str) -> None:
    post = broker(name).post(FRAME_BYTES)
    assert post.text[post.board_at : post.board_at + 6] == b"000000"
    assert post.text[post.order_at - 2 : post.order_at + 10] == b"n=0000000000"
    assert event(FRAME_BYTES) in post.text
    # What tuleaprt is sent, and what it makes of it.
    data = json.dumps(json.loads(event(FRAME_BYTES))[5]["data"], separators=(",", ":"))
    assert data.encode() in tuleaprt((0, 0), "").post(FRAME_BYTES).text


@pytest.mark.parametrize(
    ("length", "head"),
    [(0, "1000"), (127, "107f"), (128, "108001"), (16_383, "10ff7f"), (16_384, "10808001")],
)
def test_the_length_of_a_packet_has_seven_bits_in_each_byte(length: int, head: str) -> None:
    """The examples of MQTT 3.1.1, table 2.4."""
    assert packet(CONNECT, bytes(length))[: len(head) // 2].hex() == head
