"""Message brokers beside which tuleaprt is measured: how they are started, and what the load says to them.

A broker delivers what was published as it is, so the payload is tuleaprt's event of the same bytes.
Subscribers are anonymous and connect by WebSocket. The poster uses the broker's own protocol over TCP, in
the mode in which each post is answered.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from router import FIRST_ROOM, NO_BOARD, NO_ORDER, Browser, Request, event

QUALITY_AT_MOST_ONCE, PACKET_ID = 0, 1
CONNECT, PUBLISH_ANSWERED, SUBSCRIBE = 0x10, 0x32, 0x82
"""The types of MQTT's packets with their flags: MQTT 3.1.1, 2.2. The second has QoS 1."""
NATS_CONFIG = """\
host: 127.0.0.1
port: {1}
websocket {{
  host: 127.0.0.1
  port: {0}
  no_tls: true
}}
"""
MOSQUITTO_CONFIG = """\
allow_anonymous true
persistence false
log_dest stderr
log_type error
log_type warning
connection_messages false
max_queued_messages 0
set_tcp_nodelay true

listener {0} 127.0.0.1
protocol websockets
max_connections -1

listener {1} 127.0.0.1
protocol mqtt
max_connections -1
"""


class Broker(NamedTuple):
    """``protocol`` is load.c's name of it. ``ports`` are those for browsers and for posts."""

    name: str
    command: Sequence[str]
    ports: tuple[int, int]
    protocol: str
    opening: Callable[[int], Sequence[bytes]]
    """The messages of a subscriber of this board, in the places of WAMP's."""
    publication: Callable[[bytes], bytes]
    """A post with this payload to board 0."""
    introduction: bytes
    """What a poster says first."""
    path: str = "/"

    @property
    def environment(self) -> dict[str, str]:
        return {}

    def lines(self, browsers: Sequence[Browser]) -> list[str]:
        """The lines of the browsers for load.c, whatever their protocol is otherwise."""
        openings = {it.board: " ".join(part.hex() for part in self.opening(it.board)) for it in browsers}
        return [f"{it.board} {self.protocol} {openings[it.board]}" for it in browsers]

    def post(self, event_bytes: int) -> Request:
        text = self.publication(event(event_bytes))
        places = text.index(NO_BOARD.encode()), text.index(NO_ORDER.encode()) + 2
        return Request(text, *places, self.protocol, self.introduction)


def nats(program: str, folder: Path, ports: tuple[int, int]) -> Broker:
    """https://docs.nats.io/reference/reference-protocols/nats-protocol"""
    config = folder / "nats.conf"
    config.write_text(NATS_CONFIG.format(*ports))

    def opening(board: int) -> Sequence[bytes]:
        # The server speaks first. The PONG shows that it has read the subscription.
        subscription = b"SUB board.%06d 1\r\nPING\r\n" % (FIRST_ROOM + board)
        return b"", b"", b'CONNECT {"verbose":false,"pedantic":false}\r\n' + subscription

    return Broker(
        name="NATS",
        command=[program, "--config", str(config)],
        ports=ports,
        protocol="nats",
        opening=opening,
        publication=lambda payload: b"PUB board.%b %d\r\n%b\r\n" % (NO_BOARD.encode(), len(payload), payload),
        introduction=b'CONNECT {"verbose":true,"pedantic":false}\r\n',
    )


def mosquitto(program: str, folder: Path, ports: tuple[int, int]) -> Broker:
    """MQTT 3.1.1: https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html"""
    config = folder / "mosquitto.conf"
    config.write_text(MOSQUITTO_CONFIG.format(*ports))
    # A clean session, no keep-alive, and a client identifier of the server's choice.
    connect = packet(CONNECT, string(b"MQTT") + bytes((4, 2)) + number(0) + string(b""))

    def opening(board: int) -> Sequence[bytes]:
        topic = string(b"board/%06d" % (FIRST_ROOM + board))
        return connect, b"", packet(SUBSCRIBE, number(PACKET_ID) + topic + bytes((QUALITY_AT_MOST_ONCE,)))

    topic = string(b"board/" + NO_BOARD.encode())
    return Broker(
        name="Mosquitto",
        command=[program, "-c", str(config)],
        ports=ports,
        protocol="mqtt",
        opening=opening,
        publication=lambda payload: packet(PUBLISH_ANSWERED, topic + number(PACKET_ID) + payload),
        introduction=connect,
    )


def number(value: int) -> bytes:
    return value.to_bytes(2, "big")


def string(text: bytes) -> bytes:
    return number(len(text)) + text


def packet(kind: int, body: bytes) -> bytes:
    """A packet of MQTT. Its length has seven bits in each byte, the lowest first: MQTT 3.1.1, 2.2.3."""
    left, digits = len(body), bytearray()
    while left > 0x7F:
        digits.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((kind, *digits, left)) + body
