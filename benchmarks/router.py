"""A WAMP router with an HTTP publisher, as far as the load needs to know it: tuleaprt, or a peer that a file
describes.
"""

import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import cbor2
import jwt
import msgspec

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "tests/fixtures/tuleap/wire/kanban_item_move.body"
FRAME_BYTES = 290
GROUPS = ("@site_active", "@gpig_project_members")
FIRST_ROOM, FIRST_USER, TICKET_SECONDS = 100_000, 1000, 1800
HELLO, AUTHENTICATE, SUBSCRIBE, EVENT = 1, 5, 32, 36
JSON, MSGPACK, CBOR = "wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor"
SOCKETIO, POLLING = "socket.io", "polling"
"""The protocols of Tuleap's pages: a session over long-polling that is upgraded to a WebSocket, or one that
stays with long-polling.
"""
PAGES_VERSION = "2.0.0"
WRITERS: Mapping[str, Callable[[Any], bytes]] = {
    JSON: msgspec.json.encode,
    MSGPACK: msgspec.msgpack.encode,
    CBOR: cbor2.dumps,
}
NO_BOARD, NO_ORDER = "0" * 6, "n=" + "0" * 10
"""load.c overwrites these with the number of the board and of the post. It finds the second in events, too.
"""


class Failed(Exception):
    """The benchmark has no result. The text says why."""


class Door(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The endpoint for browsers. Without ``ticket`` and ``key`` they are anonymous."""

    port: int
    realm: str
    topic: str
    """With ``$board``, a number."""
    path: str = "/"
    authid: str = "x"
    ticket: str = ""
    key: str = ""
    """The key with which tokens like Tuleap's are signed."""

    def opening(self, number: int, board: int, groups: Sequence[str]) -> tuple[Any, Any, Any]:
        """The messages of a browser from HELLO to SUBSCRIBE. The second is None if no token is needed."""
        is_known = bool(self.ticket or self.key)
        hello = {"roles": {"subscriber": {}}, "authmethods": ["ticket" if is_known else "anonymous"]}
        topic = Template(self.topic).substitute(board=FIRST_ROOM + board)
        return (
            [HELLO, self.realm, hello | ({"authid": self.authid} if is_known else {})],
            [AUTHENTICATE, self.ticket or self._signed(number, groups), {}] if is_known else None,
            [SUBSCRIBE, 1, {}, topic],
        )

    def packets(self, number: int, board: int, groups: Sequence[str]) -> tuple[bytes, bytes]:
        """The packets of a page: CONNECT, and its subscription to a kanban."""
        argument = {
            "nodejs_server_version": PAGES_VERSION,
            "token": self._signed(number, groups),
            "room_id": FIRST_ROOM + board,
            "uuid": f"page-{number}",
        }
        return b"40", b"42" + msgspec.json.encode(["subscription", argument])

    def _signed(self, number: int, groups: Sequence[str]) -> str:
        data = {"user_id": FIRST_USER + number, "user_rights": groups}
        claims = {"data": data, "exp": time.time() + TICKET_SECONDS}
        return jwt.encode(claims, self.key, algorithm="HS512", sort_headers=False)


class Publisher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The endpoint for posts. ``body`` has ``$board``, a number, and ``$data``, an object, once each."""

    port: int
    path: str
    body: str
    headers: dict[str, str] = {}


class Request(NamedTuple):
    """A post, and the places of the numbers of the board and of the post in it.

    ``opening`` comes before the first post on a connection.
    """

    text: bytes
    board_at: int
    order_at: int
    protocol: str = "http"
    opening: bytes = b""

    def line(self) -> str:
        """The line for load.c."""
        return " ".join((self.protocol, self.text.hex(), self.opening.hex())).rstrip()


class Browser(NamedTuple):
    """A subscriber of a board. ``protocol`` is a subprotocol of WAMP, or that of a page."""

    board: int = 0
    protocol: str = JSON
    groups: Sequence[str] = GROUPS

    def line(self, number: int, door: Door) -> str:
        """The line for load.c: board, protocol and the messages of the opening. They are three of WAMP, the
        second empty if there is none, or two packets of a page.
        """
        messages: Sequence[bytes]
        if self.protocol in (SOCKETIO, POLLING):
            messages = door.packets(number, self.board, self.groups)
        else:
            write = WRITERS[self.protocol]
            opening = door.opening(number, self.board, self.groups)
            messages = [b"" if it is None else write(it) for it in opening]
        return " ".join((str(self.board), self.protocol, *(it.hex() for it in messages)))


class Router(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``command`` starts the router in the foreground with everything that it needs."""

    name: str
    websocket: Door
    publisher: Publisher
    command: list[str] = []
    environment: dict[str, str] = {}

    @property
    def ports(self) -> tuple[int, int]:
        """Those for browsers and for posts."""
        return self.websocket.port, self.publisher.port

    @property
    def path(self) -> str:
        return self.websocket.path

    def lines(self, browsers: Sequence[Browser]) -> list[str]:
        """The lines of the browsers for load.c."""
        return [it.line(number, self.websocket) for number, it in enumerate(browsers)]

    def post(self, event_bytes: int) -> Request:
        return request(self.publisher, event_bytes)


def described(path: Path) -> Router:
    """
    Raises:
        Failed: the file does not exist, or does not describe a router.
    """
    try:
        found = msgspec.convert(tomllib.loads(path.read_text()), Router)
        request(found.publisher, FRAME_BYTES)
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"{path}: {error}") from None
    if Template(found.websocket.topic).get_identifiers() != ["board"]:
        raise Failed(f"{path}: the topic must have $board")
    if not found.command:
        raise Failed(f"{path}: no command")
    return found


def tuleaprt(ports: tuple[int, int], key: str) -> Router:
    """This project's server, with Tuleap's moves of cards."""
    body = json.loads(SAMPLE.read_bytes())
    # The post has no sender's window, so no subscriber is left out.
    body |= {"sender_uuid": None, "room_id": "$board", "data": "$data"}
    text = json.dumps(body, separators=(",", ":")).replace('"$board"', "$board").replace('"$data"', "$data")
    return Router(
        name="tuleaprt",
        websocket=Door(port=ports[0], path="/ws", realm="tuleap", topic="org.tuleap.kanban.$board", key=key),
        publisher=Publisher(port=ports[1], path="/message", body=text),
    )


def data(frame_bytes: int) -> str:
    """The data of a move for an event of about this many bytes. They end with the order number."""
    body = json.loads(SAMPLE.read_bytes())
    found = body["data"] | {"from_column": NO_ORDER}
    cards = found["ordered_destination_column_items_ids"]

    def missing() -> int:
        return frame_bytes - (4 if frame_bytes < 0x10000 else 10) - len(_event(body["cmd"], found))

    while (left := missing()) > 0:
        # No number of a card is longer than the last one's.
        most = len(str(cards[-1] + left)) + 1
        cards.extend(range(cards[-1] + 1, cards[-1] + 1 + (left // most or 1)))
    return msgspec.json.encode(found).decode()


def event(frame_bytes: int) -> bytes:
    """tuleaprt's event with these data, as other servers deliver it."""
    return _event(json.loads(SAMPLE.read_bytes())["cmd"], json.loads(data(frame_bytes)))


def _event(command: str, found: dict[str, Any]) -> bytes:
    return msgspec.json.encode([EVENT, 1, 2**53, {}, [], {"cmd": command, "data": found}])


def request(publisher: Publisher, frame_bytes: int) -> Request:
    """The post for an event of about this many bytes.

    Raises:
        ValueError, KeyError: the publisher's body is not such a template.
    """
    template = Template(publisher.body)
    if sorted(template.get_identifiers()) != ["board", "data"] or publisher.body.count("$") != 2:
        raise ValueError("the publisher's body must have $board once and $data once")
    # JSON, headers and templates contain no NUL, so NUL marks the place of the board.
    body = template.substitute(board="\0" * len(NO_BOARD), data=data(frame_bytes)).encode()
    headers = {"Host": "127.0.0.1", "Content-Type": "application/json"} | publisher.headers
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    text = f"POST {publisher.path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    board_at, order_at = text.index(b"\0"), text.index(NO_ORDER.encode()) + 2
    return Request(text.replace(b"\0", b"0"), board_at, order_at)
