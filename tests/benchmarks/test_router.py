"""The input of the load: openings, posts, and the file that describes a peer."""

import json
from pathlib import Path

import jwt
import pytest
from load import Plan
from router import (
    FIRST_ROOM,
    FRAME_BYTES,
    JSON,
    MSGPACK,
    NO_ORDER,
    SOCKETIO,
    Browser,
    Door,
    Failed,
    Publisher,
    data,
    described,
    request,
    tuleaprt,
)

KEY = "k" * 64
PEER = """
name = "another router"
command = ["router", "--in-foreground"]

[websocket]
port = 8080
path = "/ws"
realm = "realm1"
topic = "com.example.board.$board"

[publisher]
port = 8081
path = "/publish"
body = '{"topic": "com.example.board.$board", "args": [], "kwargs": {"data": $data}}'
headers = {Authorization = "Bearer secret"}
"""


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    path = tmp_path / "peer.toml"
    path.write_text(PEER)
    return path


def test_the_plan_begins_with_all_numbers() -> None:
    plan = Plan(browsers=[Browser()] * 3, boards=2, posters=2, rate=20, tls=True, warm=0.5, seconds=4)
    post = request(tuleaprt((0, 0), KEY).publisher, FRAME_BYTES)
    head = plan.head((1, 2), "/ws", post, plain=False)
    assert head == f"1 2 /ws 3 2 2 32 0 1 20 0.5 4 {post.board_at} {post.order_at}"


def test_a_post_is_what_tuleap_posts() -> None:
    post = request(tuleaprt((0, 0), KEY).publisher, FRAME_BYTES)
    head, _, body = post.text.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    text = bytearray(post.text)
    text[post.board_at : post.board_at + 6] = b"100007"
    text[post.order_at : post.order_at + 10] = b"0000000042"
    found = json.loads(bytes(text).partition(b"\r\n\r\n")[2])
    assert found["room_id"] == FIRST_ROOM + 7
    assert found["data"]["from_column"] == "n=0000000042"


@pytest.mark.parametrize("size", [290, 2048, 16_384, 131_072])
def test_an_event_is_as_long_as_it_should_be(size: int) -> None:
    event = f'[36,1,{2**53},{{}},[],{{"cmd":"kanban_item:move","data":{data(size)}}}]'
    assert size - 10 <= len(event) < size + 8
    assert event.endswith(f'"{NO_ORDER}"}}}}]')


def test_a_browser_shows_a_ticket_with_its_groups() -> None:
    door = Door(port=1, realm="tuleap", topic="org.tuleap.kanban.$board", key=KEY)
    board, protocol, *messages = Browser(board=3, groups=["@a"]).line(5, door).split(" ")
    hello, authenticate, subscribe = (json.loads(bytes.fromhex(it)) for it in messages)
    assert (board, protocol) == ("3", JSON)
    assert hello[:2] == [1, "tuleap"]
    assert hello[2]["authmethods"] == ["ticket"]
    assert jwt.decode(authenticate[1], KEY, ["HS512"])["data"] == {"user_id": 1005, "user_rights": ["@a"]}
    assert subscribe[3] == "org.tuleap.kanban.100003"


def test_a_page_subscribes_with_its_token() -> None:
    door = Door(port=1, realm="tuleap", topic="org.tuleap.kanban.$board", key=KEY)
    board, protocol, *packets = Browser(3, SOCKETIO, ["@a"]).line(5, door).split(" ")
    connect, subscription = (bytes.fromhex(it).decode() for it in packets)
    assert (board, protocol, connect) == ("3", SOCKETIO, "40")
    name, argument = json.loads(subscription.removeprefix("42"))
    claims = jwt.decode(argument.pop("token"), KEY, ["HS512"])
    assert claims["data"] == {"user_id": 1005, "user_rights": ["@a"]}
    assert name == "subscription"
    assert argument == {"nodejs_server_version": "2.0.0", "room_id": 100_003, "uuid": "page-5"}


def test_a_fixed_ticket_is_shown_as_it_is() -> None:
    door = Door(port=1, realm="r", topic="t.$board", authid="joe", ticket="secret")
    hello, authenticate, _ = door.opening(0, 0, ())
    assert hello[2]["authid"] == "joe"
    assert authenticate[1] == "secret"


def test_an_anonymous_browser_says_nothing_to_a_challenge() -> None:
    door = Door(port=1, realm="r", topic="t.$board")
    hello, authenticate, _ = door.opening(0, 0, ())
    assert hello[2] == {"roles": {"subscriber": {}}, "authmethods": ["anonymous"]}
    assert authenticate is None
    line = Browser(protocol=MSGPACK).line(0, door).split(" ")
    assert line[3] == ""
    assert len(line) == 5


def test_a_file_describes_a_peer(peer: Path) -> None:
    found = described(peer)
    assert (found.name, found.websocket.port, found.publisher.port) == ("another router", 8080, 8081)
    post = request(found.publisher, FRAME_BYTES).text.decode()
    assert post.startswith("POST /publish HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer secret\r\n" in post
    assert '\r\n\r\n{"topic": "com.example.board.000000", "args": [], "kwargs": {"data": {"' in post


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("port = 8080", 'port = "8080"', "websocket.port"),
        ("realm =", "relam =", "relam"),
        ("[publisher]", "[publishers]", "publisher"),
        ("board.$board", "board", "the topic must have \\$board"),
        ('command = ["router", "--in-foreground"]', "", "no command"),
        ("$data", "$dat", "must have \\$board once and \\$data once"),
        ("$data", "[$data, $data]", "must have \\$board once and \\$data once"),
        ("port = 8080", "port = ", "Invalid value"),
    ],
)
def test_a_file_that_describes_none_is_refused(peer: Path, before: str, after: str, problem: str) -> None:
    peer.write_text(PEER.replace(before, after, 1))
    with pytest.raises(Failed, match=problem):
        described(peer)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="No such file"):
        described(tmp_path / "none.toml")


def test_the_template_of_a_publisher_may_hold_other_braces() -> None:
    publisher = Publisher(port=1, path="/", body='{"$board": {"x": [$data]}}')
    assert request(publisher, FRAME_BYTES).text.endswith(b"}]}}")
