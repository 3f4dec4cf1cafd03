"""Another router is measured by the same load: here tuleaprt itself, as a file describes it."""

import json
import socket
import sys
from pathlib import Path

import pytest
from bench import starter
from load import Bench, Plan
from peer import Peer
from router import MSGPACK, ROOT, Browser, Failed, described, tuleaprt

KEY = "k" * 64


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    ports = free_ports()
    known = tuleaprt(ports, KEY)
    twistd = str(Path(sys.executable).with_name("twistd"))
    path = tmp_path / "peer.toml"
    path.write_text(
        f"""
name = "tuleaprt as a peer"
command = {json.dumps([twistd, "-n", "--pidfile=", "tuleaprt"])}

[environment]
PYTHONPATH = {json.dumps(str(ROOT))}
PRIVATE_KEY = "{KEY}"
TULEAPRT_LISTEN__PUBLIC = '["tcp:{ports[0]}:interface=127.0.0.1"]'
TULEAPRT_LISTEN__PRIVATE = '["tcp:{ports[1]}:interface=127.0.0.1"]'

[websocket]
port = {ports[0]}
path = "/ws"
realm = "tuleap"
topic = "org.tuleap.kanban.$board"
key = "{KEY}"

[publisher]
port = {ports[1]}
path = "/message"
body = '{known.publisher.body}'
"""
    )
    return path


def test_a_peer_is_measured_by_the_same_load(program: Path, file: Path, tmp_path: Path) -> None:
    browsers = [Browser(), Browser(protocol=MSGPACK), Browser(board=1)]
    plan = Plan(browsers=browsers, boards=2, posters=2, warm=0, seconds=0.3)
    found = Bench(program, (None, None), starter(described(file), tmp_path)).server(plan)
    assert found.posts <= found.deliveries <= 2 * found.posts
    assert found.deliveries > 0 < found.cpu


def test_a_peer_that_does_not_start_shows_its_last_words(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace('"--pidfile="', '"--no-such-option"'))
    with (
        pytest.raises(Failed, match=r"(?s)tuleaprt as a peer does not listen.*no-such-option"),
        Peer(described(file), None),
    ):
        pass


def test_a_port_that_is_taken_is_not_the_peers(file: Path) -> None:
    router = described(file)
    with (
        socket.create_server(("127.0.0.1", router.websocket.port)),
        pytest.raises(Failed, match="is open already"),
        Peer(router, None),
    ):
        pass
