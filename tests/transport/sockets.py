"""Clients in memory: bytes into a connection, frames out of it, no network and no reactor."""

import json
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import cbor2
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.conftest import TurningClock
from tests.fakes import CountingMetrics, Everything, Sent, Tickets, history, identity, new_router
from tuleaprt.configuration.options import WebSocket
from tuleaprt.operations.logs import Faults
from tuleaprt.socketio.router import PageRouter, Positions
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.fanout import Fanout
from tuleaprt.transport.outbound import Backpressure
from tuleaprt.transport.page_websocket import PageWebSocketFactory
from tuleaprt.transport.polling import Polls
from tuleaprt.transport.rawsocket import RawSocketConnection, RawSocketFactory
from tuleaprt.transport.serializers import CBOR, JSON, Serializer
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.transport.websocket import WebSocketConnection, WebSocketFactory
from tuleaprt.wamp.auth import ANONYMOUS_OPERATOR, Authenticator, Role
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.procedures import refresh
from tuleaprt.wamp.publication import JsonText, Publication
from tuleaprt.wamp.realm import Realm

HELLO = [1, "tuleap", {"roles": {"subscriber": {}}, "authmethods": ["ticket"]}]
MASK = b"\x11\x22\x33\x44"
MAX_MESSAGE = 2048


class Wire(StringTransport):
    """What lies between; an Entrance puts another protocol in its place."""

    protocol: Any = None
    keeps_alive = False

    def __init__(self) -> None:
        super().__init__()
        self.socket_options: dict[int, int] = {}

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keeps_alive = bool(enabled)

    def getHandle(self) -> Any:
        return self

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.socket_options[option] = value

    def unregisterProducer(self) -> None:
        self.producer = None


class Server:
    """Both factories with all their parts. The tokens ``good`` and ``operator`` are known."""

    def __init__(
        self,
        clock: TurningClock,
        authenticator: Authenticator | None = None,
        *,
        anonymous: bool = False,
        max_connections: int = 9,
        max_outboxes: int = 100_000,
        max_unauthenticated: int = 1000,
        requests_per_second: float = 1000,
        lifetime: float = 600,
        **websocket: Any,
    ) -> None:
        self.clock = clock
        self.metrics = CountingMetrics()
        faults = Faults(self.metrics)
        self.backpressure = Backpressure(max_outboxes)
        self.fanout = Fanout(clock, backpressure=self.backpressure, metrics=self.metrics, faults=faults)
        self.sent = Sent()
        self.policy = Everything()
        ids = iter(range(5000, 10**9))
        self.realm = Realm(
            "tuleap",
            policy=self.policy,
            history=history(),
            new_id=ids.__next__,
            deliver=self.fanout.deliver,
            audit=self.sent.audit,
            max_subscriptions=9,
            max_sessions_per_user=100,
        )
        expires_at = clock.seconds() + lifetime
        known = Tickets(
            good=identity(102, expires_at=expires_at),
            other=identity(103, expires_at=expires_at),
            operator=identity(1, role=Role.OPERATOR, expires_at=expires_at),
        )
        self.router = new_router(
            self.realm,
            authenticator or known,
            anonymous=ANONYMOUS_OPERATOR if anonymous else None,
            requests_per_second=requests_per_second,
        )
        self.connections = Connections(
            clock=clock,
            fanout=self.fanout,
            backpressure=self.backpressure,
            metrics=self.metrics,
            faults=faults,
            max_connections=max_connections,
            max_message_size=MAX_MESSAGE,
            max_outbox=100,
        )
        options = WebSocket(**{"open_timeout": 10, "ping_timeout": 20, "ping_interval": 25} | websocket)
        self.unauthenticated = UnauthenticatedLimit(max_unauthenticated, self.metrics.unauthenticated_dropped)
        self.origins: set[str] = {"http://127.0.0.1:2998"}
        self.websockets = WebSocketFactory(
            self.connections, self.router, options, allows=lambda origin, host: origin in self.origins
        )
        self.rawsockets = RawSocketFactory(
            self.connections, self.router, options, unauthenticated=self.unauthenticated
        )

        self.pages = PageRouter(
            realm=self.realm,
            authenticator=authenticator or known,
            refresh=partial(refresh, self.realm, authenticator or known),
            presences=lambda topic, identity: {40: [JsonText(b'{"id": 101}')]},
            replayed=self.metrics.history_read,
            positions=Positions(),
            open_timeout=10,
            reminder=5,
            ping_interval=25,
            ping_timeout=20,
            requests_per_second=requests_per_second,
            max_replay=50_000,
        )
        self.polls = Polls(self.connections, self.pages, options, self.unauthenticated)
        self.page_websockets = PageWebSocketFactory(
            self.connections,
            self.polls,
            options,
            served="/local-socket.io/",
            allows=lambda origin, host: origin in self.origins,
        )

    def publish(self, publication: Publication) -> None:
        self.realm.publish(publication, self.clock.seconds())

    def pass_time(self, seconds: float) -> None:
        """In steps, as timers that set timers need."""
        for _ in range(int(seconds * 4)):
            self.clock.advance(0.25)

    def sizes(self) -> tuple[int, int, int]:
        """Sessions, subscriptions, connections."""
        realm = self.realm
        return len(realm.sessions), len(realm.broker.subscriptions), len(self.connections.open)


class Peer:
    """A client of a Server, over whatever transport."""

    connection: WebSocketConnection | RawSocketConnection

    def __init__(self, server: Server, serializer: Serializer = JSON) -> None:
        self.server = server
        self.serializer = serializer
        self.transport = Wire()
        self.is_lost = False

    def greet(self) -> None:
        """Do the transport's own handshake."""
        raise NotImplementedError

    def send(self, payload: bytes) -> None:
        raise NotImplementedError

    def frames(self, received: bytes) -> Iterator[Any]:
        raise NotImplementedError

    def say(self, message: object) -> list[Any]:
        self.send(self.serializer.encode(message))
        return self.take()

    def join(self, ticket: str = "good", *, roles: object = None, **extra: object) -> list[Any]:
        self.greet()
        details = {**HELLO[2], "roles": roles or {"subscriber": {}}, "authextra": extra}  # type: ignore[dict-item]
        return self.say([1, "tuleap", details]) + self.say([5, ticket, {}])

    def take(self) -> list[Any]:
        """What came since: WAMP messages as lists, a WebSocket's close as (code, reason)."""
        received = self.transport.value()
        self.transport.clear()
        return list(self.frames(received))

    def read(self, payload: bytes) -> Any:
        """By another library than the server's, where there is one."""
        return cbor2.loads(payload) if self.serializer is CBOR else self.serializer.decode(payload)

    def is_ended(self) -> bool:
        """Whether the server has closed, after what was taken last."""
        line = self.connection.outbound
        return line is None or not line.is_open

    def lose(self) -> None:
        """Doing so again changes nothing."""
        if not self.is_lost:
            self.is_lost = True
            self.connection.connectionLost(Failure(ConnectionDone()))


class Browser(Peer):
    """One WebSocket of a Server."""

    connection: WebSocketConnection

    def __init__(self, server: Server, serializer: Serializer = JSON) -> None:
        super().__init__(server, serializer)
        self.connection = server.websockets.buildProtocol(None)
        # As an entrance does.
        self.connection.count_as(server.unauthenticated.enter("192.168.1.1", lambda why: None))
        self.connection.makeConnection(self.transport)

    def greet(self) -> None:
        self.handshake()

    def handshake(self, path: str = "/ws", **headers: str | None) -> str:
        """Open it, and return the head of the answer."""
        all_headers: dict[str, str | None] = {
            "Host": "127.0.0.1:2998",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": f"wamp.2.{self.serializer.name}",
        }
        all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
        self.connection.dataReceived("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        head, _, rest = self.transport.value().partition(b"\r\n\r\n")
        self.transport.clear()
        self.transport.write(rest)
        return head.decode()

    def send(self, payload: bytes) -> None:
        self.send_frame(2 if self.serializer.is_binary else 1, payload)

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

    def frames(self, received: bytes) -> Iterator[Any]:
        while received:
            opcode, length, start = received[0] & 0x0F, received[1], 2
            if length == 126:
                length, start = int.from_bytes(received[2:4]), 4
            payload, received = received[start : start + length], received[start + length :]
            if opcode == (2 if self.serializer.is_binary else 1):
                yield self.read(payload)
            elif opcode == 8:
                yield (int.from_bytes(payload[:2]), payload[2:].decode())


class PageSocket(Browser):
    """One WebSocket of a page; ``sid`` is that of a session over polling, to be upgraded."""

    def __init__(
        self, server: Server, sid: str | None = None, *, query: str | None = None, **headers: str | None
    ) -> None:
        Peer.__init__(self, server)
        self.connection = server.page_websockets.buildProtocol(None)
        self.connection.makeConnection(self.transport)
        if query is None:
            query = "?EIO=4&transport=websocket" + (f"&sid={sid}" if sid else "")
        self.head = self.handshake("/local-socket.io/" + query, Sec_WebSocket_Protocol=None, **headers)

    def read(self, payload: bytes) -> Any:
        return payload.decode()

    def say_packet(self, packet: str) -> list[Any]:
        self.send_frame(1, packet.encode())
        return self.take()

    def subscribe(self, ticket: str = "good", room_id: object = 3, uuid: str = "u") -> list[Any]:
        """Connect to the namespace of kanbans, and subscribe."""
        return self.say_packet("40") + self.say_packet(subscription(ticket, room_id, uuid))


def subscription(ticket: str = "good", room_id: object = 3, uuid: str = "u", namespace: str = "") -> str:
    argument = {"nodejs_server_version": "2.0.0", "token": ticket, "room_id": room_id, "uuid": uuid}
    return f"42{namespace}{json.dumps(['subscription', argument])}"


class Answers:
    """A GET of a test (a Poll)."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def answer(self, body: bytes) -> None:
        self.bodies.append(body.decode())


class Poller:
    """A page over polling, below HTTP."""

    def __init__(self, server: Server, peer: str = "tcp4:192.168.1.1:7") -> None:
        self.server = server
        self.connection = server.polls.open(peer, "192.168.1.1")
        self.sid = self.connection.sid

    def get(self) -> Answers:
        asked = Answers()
        self.connection.get(asked)
        return asked

    def take(self) -> list[str]:
        """The packets that wait."""
        asked = self.get()
        assert asked.bodies, "the GET is held"
        return asked.bodies[0].split("\x1e")

    def post(self, *packets: str) -> bool:
        return self.connection.post("\x1e".join(packets).encode())

    def subscribe(self, ticket: str = "good", room_id: object = 3, uuid: str = "u") -> list[str]:
        """What the server has sent since its first packet."""
        self.take()
        assert self.post("40", subscription(ticket, room_id, uuid))
        return self.take()

    def lose(self) -> None:
        """Doing so again changes nothing."""
        self.connection.cut(End.LOST)


class Program(Peer):
    """One RawSocket of a Server; it takes messages of 2^(9 + ``exponent``) bytes."""

    connection: RawSocketConnection

    def __init__(self, server: Server, serializer: Serializer = JSON, exponent: int = 15) -> None:
        super().__init__(server, serializer)
        self.exponent = exponent
        self.pongs: list[bytes] = []
        self.connection = server.rawsockets.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def greet(self) -> None:
        self.handshake(bytes([0x7F, self.exponent << 4 | self.serializer.rawsocket_id, 0, 0]))

    def handshake(self, octets: bytes) -> bytes:
        self.connection.dataReceived(octets)
        answer = self.transport.value()
        self.transport.clear()
        return answer

    def send(self, payload: bytes) -> None:
        self.send_frame(0, payload)

    def send_frame(self, type: int, payload: bytes) -> None:
        self.connection.dataReceived(bytes([type]) + len(payload).to_bytes(3) + payload)

    def frames(self, received: bytes) -> Iterator[Any]:
        while received:
            type, end = received[0], 4 + int.from_bytes(received[1:4])
            assert len(received) >= end, "a frame was cut"
            payload, received = received[4:end], received[end:]
            if type == 0:
                yield self.read(payload)
            else:
                assert type == 2
                self.pongs.append(payload)
