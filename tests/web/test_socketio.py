"""Engine.IO over HTTP on both sites: handshakes, polls, refusals, and WebSockets that are handed over."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from tests.conftest import Log, TurningClock
from tests.fakes import publication
from tests.transport.sockets import MASK, Poller, Server, Wire, subscription
from tests.web.requests import Answer, Connection, request
from tuleaprt.operations.logs import Faults
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.transport.request_headers import known_proxies
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.web.site import BoundedSite, PrivateSite
from tuleaprt.web.socketio import SocketIoResource

PATH = "/local-socket.io/"
POLLING = "?EIO=4&transport=polling"


@pytest.fixture
def server(clock: TurningClock) -> Iterator[Server]:
    server = Server(clock)
    yield server
    server.pass_time(3)
    server.fanout.stop()


@pytest.fixture
def resource(server: Server) -> SocketIoResource:
    return SocketIoResource(
        server.polls,
        server.page_websockets,
        allows=lambda origin, host: origin == f"https://{host}",
        proxies=known_proxies(["127.0.0.1"]),
        faults=Faults(server.metrics),
    )


@pytest.fixture(params=["private", "public"])
def site(request: pytest.FixtureRequest, server: Server, resource: SocketIoResource) -> BoundedSite:
    options: dict[str, Any] = {
        "clock": server.clock,
        "timeout": 60,
        "max_body": 5000,
        "faults": resource._faults,
    }
    leaves = {"local-socket.io": resource}
    if request.param == "private":
        return PrivateSite(leaves, hosts=["localhost"], **options)
    return BoundedSite(leaves, closes=True, **options)


@pytest.fixture
def connect(site: BoundedSite, server: Server) -> Iterator[Any]:
    made: list[Connection] = []

    def connect() -> Connection:
        made.append(Connection(site))  # type: ignore[arg-type]
        return made[-1]

    yield connect
    for connection in made:
        connection.close()
    for poll in list(server.polls._by_sid.values()):
        poll.drop()


def ask(
    connection: Connection, method: str, query: str, body: bytes | None = None, **headers: Any
) -> list[Answer]:
    defaults = {
        "Host": "tuleap.example.com",
        "Content_Type": "text/plain;charset=UTF-8",
        "Connection": "upgrade",
    }
    return connection.send(request(method, PATH + query, body, **defaults | headers))


def opened(connect: Any) -> str:
    (answer,) = ask(connect(), "GET", POLLING)
    assert answer.status == 200
    sid: str = json.loads(answer.body[1:])["sid"]
    return sid


def test_a_session_over_polling(server: Server, connect: Any) -> None:
    (answer,) = ask(connect(), "GET", POLLING, Origin="https://tuleap.example.com")
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert not any("access-control" in name for name in answer.headers)
    with_sid = f"{POLLING}&sid={json.loads(answer.body[1:])['sid']}"
    (posted,) = ask(connect(), "POST", with_sid, f"40\x1e{subscription()}".encode())
    assert (posted.status, posted.body) == (200, b"ok")
    (got,) = ask(connect(), "GET", with_sid)
    assert got.body.startswith(b'40{"sid":')
    holding = connect()
    assert ask(holding, "GET", with_sid) == []
    server.publish(publication())
    server.pass_time(1)
    assert holding.transport.value().endswith(b'\r\n\r\n42["kanban:delete",""]')


@pytest.mark.parametrize(
    ("query", "method", "status", "code"),
    [
        ("?EIO=4", "GET", 400, 0),
        ("?EIO=4&transport=webtransport", "GET", 400, 0),
        ("?EIO=4&transport=polling&transport=polling", "GET", 400, 0),
        ("", "GET", 400, 0),
        ("?EIO=4&transport=polling&sid=", "GET", 400, 1),
        ("?EIO=4&transport=polling&sid=unknown", "POST", 400, 1),
        ("?EIO=4&transport=polling&sid=%00%ff", "GET", 400, 1),
        ("?EIO=4&transport=polling", "POST", 400, 2),
        ("?EIO=4&transport=polling", "PUT", 400, 2),
        ("?EIO=4&transport=polling", "OPTIONS", 400, 2),
        ("?EIO=4&transport=websocket", "GET", 400, 3),
        ("?EIO=3&transport=polling", "GET", 400, 5),
        ("?transport=polling", "GET", 400, 5),
    ],
)
def test_a_wrong_request_is_refused_with_engine_ios_code(
    connect: Any, log: Log, query: str, method: str, status: int, code: int
) -> None:
    (answer,) = ask(connect(), method, query, b"" if method == "POST" else None)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["message"]
    assert len(log.lines) == 1
    assert log.lines[0] == f"socket.io refused: {status} {code}: {answer.json['message']}"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH"])
def test_another_method_on_a_session_is_refused_and_the_session_unharmed(
    server: Server, connect: Any, method: str
) -> None:
    sid = opened(connect)
    (answer,) = ask(connect(), method, f"{POLLING}&sid={sid}")
    assert answer.status == 400
    assert server.polls.get(sid) is not None


def test_a_page_of_an_allowed_origin_on_another_host_may_read_every_answer(
    server: Server, resource: SocketIoResource, connect: Any
) -> None:
    page = "https://pages.example.com"
    resource.allows = lambda origin, host: origin == page
    (first,) = ask(connect(), "GET", POLLING, Origin=page)
    with_sid = f"{POLLING}&sid={json.loads(first.body[1:])['sid']}"
    answers = [first, *ask(connect(), "POST", with_sid, b"40", Origin=page)]
    answers += ask(connect(), "GET", with_sid, Origin=page)
    answers += ask(connect(), "GET", f"{POLLING}&sid=unknown", Origin=page)
    server.connections.is_shut_down = True
    answers += ask(connect(), "GET", POLLING, Origin=page)
    assert [it.status for it in answers] == [200, 200, 200, 400, 503]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == page
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.usefixtures("any_origin")
def test_attack_by_an_origin_that_is_not_ascii(server: Server, connect: Any) -> None:
    (answer,) = ask(connect(), "GET", POLLING, Origin="https://\xe9.example.com")
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers
    assert server.metrics.internal_errors == 0


def test_attack_by_a_foreign_origin_is_refused_in_every_request(server: Server, connect: Any) -> None:
    sid = opened(connect)
    for method, query in [
        ("GET", POLLING),
        ("GET", f"{POLLING}&sid={sid}"),
        ("POST", f"{POLLING}&sid={sid}"),
    ]:
        (answer,) = ask(
            connect(), method, query, b"40" if method == "POST" else None, Origin="https://evil.example"
        )
        assert (answer.status, answer.json["code"]) == (403, 4)
        assert "access-control-allow-origin" not in answer.headers
    assert len(server.connections.open) == 1


def test_attack_by_a_binary_body_ends_the_session(server: Server, connect: Any) -> None:
    sid = opened(connect)
    (answer,) = ask(
        connect(), "POST", f"{POLLING}&sid={sid}", b"\x04", Content_Type="application/octet-stream"
    )
    assert (answer.status, answer.json["code"]) == (400, 3)
    (last,) = ask(connect(), "GET", f"{POLLING}&sid={sid}")
    assert last.body.endswith(b"1")
    assert server.polls.get(sid) is None


def test_attack_by_a_malformed_body_ends_the_session_with_400(server: Server, connect: Any) -> None:
    sid = opened(connect)
    (answer,) = ask(connect(), "POST", f"{POLLING}&sid={sid}", b"garbage")
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert server.metrics.closes == [] or server.metrics.closes == ["protocol violation"]
    (last,) = ask(connect(), "GET", f"{POLLING}&sid={sid}")
    assert last.body == b"1"
    (gone,) = ask(connect(), "GET", f"{POLLING}&sid={sid}")
    assert gone.json["code"] == 1


def test_attack_by_a_body_that_is_too_long_is_refused_before_it_is_kept(server: Server, connect: Any) -> None:
    sid = opened(connect)
    (answer,) = ask(connect(), "POST", f"{POLLING}&sid={sid}", b"4" * 2049)
    assert answer.status == 413
    assert server.polls.get(sid) is not None


def test_attack_by_a_body_whose_length_is_not_announced(server: Server, connect: Any) -> None:
    sid = opened(connect)
    chunked = connect()
    answers = ask(chunked, "POST", f"{POLLING}&sid={sid}", None, Transfer_Encoding="chunked")
    answers += chunked.send(b"2\r\n40\r\n0\r\n\r\n")
    assert [it.status for it in answers] == [411]


def test_attack_by_two_polls_at_once(server: Server, connect: Any) -> None:
    sid = opened(connect)
    first = connect()
    assert ask(first, "GET", f"{POLLING}&sid={sid}") == []
    (second,) = ask(connect(), "GET", f"{POLLING}&sid={sid}")
    assert (second.status, second.json["code"]) == (400, 3)
    assert first.transport.value().endswith(b"\r\n\r\n1")
    assert server.polls.get(sid) is None


def test_attack_by_a_get_that_is_dropped(server: Server, connect: Any) -> None:
    sid = opened(connect)
    holding = connect()
    ask(holding, "GET", f"{POLLING}&sid={sid}")
    holding.close()
    assert server.polls.get(sid) is None
    assert server.sizes() == (0, 0, 0)


@pytest.mark.parametrize(
    "path", ["/local-socket.io/x", "/local-socket.io//", "/local-socket.iox/", "/", "/message"]
)
def test_nothing_else_is_there(connect: Any, path: str) -> None:
    (answer,) = connect().send(request("GET", path + POLLING, None, Host="localhost"))
    assert answer.status == 404


def test_a_server_that_is_full_or_shuts_down_answers_503(server: Server, connect: Any) -> None:
    server.connections.max_connections = 0
    (full,) = ask(connect(), "GET", POLLING)
    server.connections.max_connections = 9
    server.connections.is_shut_down = True
    (down,) = ask(connect(), "GET", POLLING)
    for answer in (full, down):
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0


def test_a_known_proxy_names_the_client(server: Server, connect: Any) -> None:
    connection = connect()
    connection.transport.peerAddr = type("Address", (), {"host": "127.0.0.1", "port": 7})()
    ask(connection, "GET", POLLING, X_Forwarded_For="203.0.113.9")
    (poll,) = server.polls._by_sid.values()
    assert poll.peer.startswith("203.0.113.9 via ")
    assert poll.admission is not None
    assert poll.admission.network == "203.0.113.9"


def test_injected_fault_is_answered_and_recorded(
    server: Server, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.polls, "open", None)
    (answer,) = ask(connect(), "GET", POLLING)
    assert answer.status == 500
    assert server.metrics.internal_errors == 1


# WebSockets.


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Origin": "http://127.0.0.1:2998",
}


class Upgrading:
    """A TCP connection whose protocol may be replaced."""

    def __init__(self, site: BoundedSite) -> None:
        self.transport = Wire()
        self.transport.protocol = site.buildProtocol(None)
        self.transport.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> bytes:
        self.transport.protocol.dataReceived(data)
        received: bytes = self.transport.value()
        self.transport.clear()
        return received


def masked(payload: bytes) -> bytes:
    body = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes([0x81, 0x80 | len(payload)]) + MASK + body


@pytest.fixture
def any_origin(resource: SocketIoResource) -> None:
    resource.allows = lambda origin, host: True


@pytest.mark.usefixtures("any_origin")
def test_a_websocket_is_handed_over_with_what_follows_its_head(server: Server, site: BoundedSite) -> None:
    client = Upgrading(site)
    head = request("GET", PATH + "?EIO=4&transport=websocket", None, Host="127.0.0.1:2998", **UPGRADE)
    received = client.send(head + masked(b"40"))
    assert received.startswith(b"HTTP/1.1 101")
    assert b'0{"sid":"' in received
    assert b'40{"sid":"' in received
    assert site.channels == set()
    assert server.unauthenticated.inside == 1
    assert client.transport.producer is None
    client.transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert server.sizes() == (0, 0, 0)
    assert server.unauthenticated.inside == 0


@pytest.mark.usefixtures("any_origin")
def test_a_websocket_may_follow_other_requests_on_a_connection(server: Server, site: BoundedSite) -> None:
    if site.closes:
        return
    client = Upgrading(site)
    first = client.send(request("GET", PATH + POLLING, None, Host="x"))
    sid = json.loads(first.partition(b"\r\n\r\n")[2][1:])["sid"]
    query = f"?EIO=4&transport=websocket&sid={sid}"
    received = client.send(request("GET", PATH + query, None, Host="127.0.0.1:2998", **UPGRADE))
    assert received.startswith(b"HTTP/1.1 101")
    assert client.send(masked(b"2probe")).endswith(b"3probe")
    client.transport.protocol.connectionLost(Failure(ConnectionDone()))
    server.polls.get(sid).drop()  # type: ignore[union-attr]


@pytest.mark.usefixtures("any_origin")
def test_attack_a_websocket_for_another_path_is_no_websocket(site: BoundedSite) -> None:
    client = Upgrading(site)
    received = client.send(request("GET", "/metrics", None, Host="127.0.0.1:2998", **UPGRADE))
    assert received.split()[1] in (b"403", b"404")
    client.transport.protocol.connectionLost(Failure(ConnectionDone()))


def test_the_clock_ends_an_idle_connection(server: Server, site: BoundedSite, clock: TurningClock) -> None:
    client = Upgrading(site)
    clock.advance(61)
    assert client.transport.disconnecting or client.transport.disconnected
    client.transport.protocol.connectionLost(Failure(ConnectionDone()))


class NeverClosing(Wire):
    """As TLS whose peer does not answer the close."""

    is_aborted = False

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None:
        self.is_aborted = True


def test_attack_by_answered_gets_that_the_peer_keeps_open(server: Server, resource: SocketIoResource) -> None:
    """They count again, and have a deadline again."""
    site = BoundedSite(
        {"local-socket.io": resource},
        clock=server.clock,
        timeout=None,
        max_body=0,
        faults=resource._faults,
        closes=True,
    )
    limit = UnauthenticatedLimit(5)
    entrance = EntranceFactory(
        server.websockets,
        site=site,
        clock=server.clock,
        faults=resource._faults,
        open_timeout=10,
        unauthenticated=limit,
    )
    poller = Poller(server)
    poller.take()
    wires = [NeverClosing() for _ in range(8)]
    for wire in wires:
        wire.protocol = entrance.buildProtocol(None)
        wire.protocol.makeConnection(wire)
        wire.protocol.dataReceived(request("GET", f"{PATH}{POLLING}&sid={poller.sid}", None))
        assert poller.post("40/x,")
        assert b"Invalid namespace" in wire.value()
    assert limit.inside == 5
    server.pass_time(16)
    assert all(wire.is_aborted for wire in wires)
    for wire in wires:
        wire.protocol.connectionLost(Failure(ConnectionDone()))
    assert limit.inside == 0
    poller.lose()
