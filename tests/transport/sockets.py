"""A browser in memory: bytes into a Connection, frames out of it, no network and no reactor."""

import json
import struct
from collections.abc import Iterator
from itertools import count
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.conftest import TurningClock
from tests.fakes import KEY, CountingMetrics, Everything, Tickets, identity
from tuleaprt.config import Config, Limits, WebSocket
from tuleaprt.faults import Faults
from tuleaprt.transport.connection import Connection
from tuleaprt.transport.factories import WebSocketFactory
from tuleaprt.transport.fanout import Fanout
from tuleaprt.wamp.auth import Authenticator
from tuleaprt.wamp.broker import Publication
from tuleaprt.wamp.outlet import Outlet
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.session import Session

HELLO = [1, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"]}]
MASK = b"\x11\x22\x33\x44"


class Wire(StringTransport):
    """What lies between; twisted.web leaves its channel behind as a producer."""

    def unregisterProducer(self) -> None:
        self.producer = None


class Server:
    """A factory with everything that it needs."""

    def __init__(
        self, clock: TurningClock, authenticator: Authenticator | None = None, **websocket: Any
    ) -> None:
        self.clock = clock
        self.metrics = CountingMetrics()
        faults = Faults(self.metrics)
        self.fanout = Fanout(clock, metrics=self.metrics, faults=faults)
        self.realm = Realm("tuleap", policy=Everything(), new_id=count(5000).__next__, max_subscriptions=9)
        self.authenticator = authenticator or Tickets(good=identity(102, expires_at=clock.seconds() + 600))
        config = Config(
            key=KEY,
            websocket=WebSocket(**{"open_timeout": 10, "ping_timeout": 20, "ping_interval": 25} | websocket),
            limits=Limits(max_message_size=2000, max_outbox=100),
        )
        self.factory = WebSocketFactory(
            config, self.new_session, clock=clock, fanout=self.fanout, metrics=self.metrics, faults=faults
        )

    def new_session(self, outlet: Outlet, opened: float) -> Session:
        return Session(
            self.realm, self.authenticator, outlet, opened=opened, open_timeout=10, goodbye_timeout=20
        )

    def publish(self, publication: Publication) -> None:
        for dispatch in self.realm.publish(publication):
            self.fanout.deliver(dispatch)

    def pass_time(self, seconds: float) -> None:
        """In steps, as timers that set timers need."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)


class Browser:
    """One WebSocket of a Server."""

    def __init__(self, server: Server) -> None:
        self.transport = Wire()
        self.transport.registerProducer(object(), True)
        self.connection: Connection = server.factory.buildProtocol(None)  # type: ignore[assignment]
        self.connection.makeConnection(self.transport)

    def handshake(self, path: str = "/ws", **headers: str | None) -> str:
        """Open it, and return the head of the answer."""
        all_headers: dict[str, str | None] = {
            "Host": "127.0.0.1:2998",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": "wamp.2.json",
        }
        all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
        self.connection.dataReceived("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        head, _, rest = self.transport.value().partition(b"\r\n\r\n")
        self.transport.clear()
        self.transport.write(rest)
        return head.decode()

    def send_frame(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        if length < 126:
            size = bytes([0x80 | length])
        elif length < 65536:
            size = b"\xfe" + struct.pack("!H", length)
        else:
            size = b"\xff" + struct.pack("!Q", length)
        masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
        self.connection.dataReceived(bytes([0x80 | opcode]) + size + MASK + masked)

    def say(self, message: object) -> list[Any]:
        self.send_frame(1, json.dumps(message).encode())
        return self.take()

    def join(self, ticket: str = "good") -> list[Any]:
        self.handshake()
        return self.say(HELLO) + self.say([5, ticket, {}])

    def take(self) -> list[Any]:
        """What came since: WAMP messages as lists, a close frame as (code, reason)."""
        received = self.transport.value()
        self.transport.clear()
        return list(_messages(received))

    def lose(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))


def _messages(received: bytes) -> Iterator[Any]:
    while received:
        opcode, length, start = received[0] & 0x0F, received[1], 2
        if length == 126:
            length, start = int.from_bytes(received[2:4]), 4
        payload, received = received[start : start + length], received[start + length :]
        if opcode == 1:
            yield json.loads(payload)
        elif opcode == 8:
            yield (int.from_bytes(payload[:2]), payload[2:].decode())
