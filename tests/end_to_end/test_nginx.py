"""Behind Debian's nginx, with the file that is shipped for it."""

import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import takewhile
from pathlib import Path

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.crowd import HEAD
from tests.end_to_end.processes import ROOT, Process, patiently
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, ticket, wire

ensure = pytest_twisted.ensureDeferred
SHIPPED = (ROOT / "etc" / "nginx" / "tuleaprt.conf").read_text()
CLIENTS = ROOT / "etc" / "nginx" / "tuleaprt-clients.conf"
Start = Callable[..., Awaitable[Server]]
Before = Callable[..., Awaitable["Nginx"]]
HOST = "proxy_set_header Host $http_host;"

AROUND = """
daemon off;
worker_processes 1;
pid {prefix}/pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    include {clients};
    set_real_ip_from 127.0.0.9;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    server {{
        listen 127.0.0.1:{port};
        include {prefix}/tuleaprt.conf;
        location / {{ return 404 "not passed on"; }}
    }}
}}
"""


class Nginx:
    """An nginx of the test's own, before a server."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/tuleaprt/ws"
        self.origin = f"http://127.0.0.1:{port}"

    @classmethod
    async def start(
        cls, prefix: Path, public: int, *changes: tuple[str, str], around: str = AROUND
    ) -> "Nginx":
        """``changes`` are made to the shipped file, each once."""
        text = SHIPPED
        for before, after in [("127.0.0.1:2998", f"127.0.0.1:{public}"), *changes]:
            assert before in text, f"the file has no {before}"
            text = text.replace(before, after)
        return await cls.start_with(prefix, text, around)

    @classmethod
    async def start_with(cls, prefix: Path, text: str, around: str = AROUND) -> "Nginx":
        """``text`` are the locations."""
        port = free_port()
        prefix.mkdir()
        (prefix / "tuleaprt.conf").write_text(text)
        (prefix / "nginx.conf").write_text(around.format(prefix=prefix, port=port, clients=CLIENTS))
        found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        assert found, "the tests need nginx (.ci/require test)"
        process = Process.start(
            [found, "-e", "stderr", "-p", str(prefix), "-c", str(prefix / "nginx.conf")], {}
        )
        await process.written("start worker process ")
        return cls(process, port)


def free_port() -> int:
    """nginx cannot choose one by itself and say which."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def head_of_the_request(connection: socket.socket) -> list[bytes]:
    with connection.makefile("rb") as lines:
        return list(takewhile(b"\r\n".__ne__, lines))


class Page(WebSocketClientProtocol):
    """Records the answer to a page's handshake, and closes when connected."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_or_open: Deferred[str] = Deferred()

    def onOpen(self) -> None:
        self.refused_or_open.callback("open")
        self.transport.loseConnection()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not self.refused_or_open.called:
            self.refused_or_open.callback(str(reason))


async def opened_by_a_page(nginx: Nginx, origin: str) -> str:
    """``open``, or what the handshake was answered."""
    factory = WebSocketClientFactory(nginx.url, origin=origin, protocols=["wamp.2.json"])
    factory.protocol = Page
    page = await TCP4ClientEndpoint(reactor, factory.host, factory.port).connect(factory)
    return await patiently(page.refused_or_open, "an answer to the handshake")


@pytest_twisted.async_yield_fixture
async def before(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Nginx]]]:
    """Starts an nginx before the public site on this port, with changes to the shipped file."""
    started: list[Nginx] = []

    async def before(public: int, *changes: tuple[str, str]) -> Nginx:
        started.append(await Nginx.start(tmp_path / f"nginx-{len(started)}", public, *changes))
        return started[-1]

    yield before
    for nginx in started:
        await nginx.process.stop("TERM")


@ensure
async def test_a_window_gets_events_through_nginx(server: Server, before: Before) -> None:
    window = PythonClient((await before(server.public)).url)
    await window.open(ticket())
    await window.subscribe(KANBAN)
    assert (await server.post(wire("kanban_item_create"))).status == 200
    await window.event("kanban_item:create")
    await window.leave()
    await window.closed


@ensure
async def test_pings_keep_a_silent_window_longer_than_nginx_waits(start: Start, before: Before) -> None:
    server = await start(TULEAPRT_WEBSOCKET__PING_INTERVAL="1")
    window = PythonClient((await before(server.public, ("60s", "2s"))).url)
    await window.open(ticket())
    # Three pings are further apart than the two seconds after which nginx cuts a silent connection.
    await window.pings(4)
    assert not window.closed.called
    await window.leave()
    await window.closed


@ensure
async def test_without_pings_nginx_cuts_a_silent_window(start: Start, before: Before) -> None:
    server = await start(TULEAPRT_WEBSOCKET__PING_INTERVAL="600")
    window = PythonClient((await before(server.public, ("60s", "2s"))).url)
    await window.open(ticket())
    await patiently(window.closed, "nginx to cut the connection")
    assert not window.cleanly


@ensure
async def test_the_origin_of_a_page_is_compared_with_the_host_that_it_came_from(
    server: Server, before: Before
) -> None:
    nginx = await before(server.public)
    assert await opened_by_a_page(nginx, nginx.origin) == "open"
    for elsewhere in ("http://evil.example", "http://127.0.0.1", f"http://127.0.0.1:{server.public}"):
        assert "403" in await opened_by_a_page(nginx, elsewhere)


@pytest.mark.parametrize("host", ["$proxy_host", "$host"])
@ensure
async def test_with_another_host_than_the_browsers_no_page_gets_in(
    server: Server, before: Before, host: str
) -> None:
    # $proxy_host, which nginx sends by itself, names this server's own port; $host names none.
    nginx = await before(server.public, (HOST, HOST.replace("$http_host", host)))
    assert "403" in await opened_by_a_page(nginx, nginx.origin)


@ensure
async def test_an_outsider_who_forges_x_forwarded_for_is_called_what_nginx_calls_him(before: Before) -> None:
    with socket.create_server(("127.0.0.1", 0)) as behind:
        nginx = await before(behind.getsockname()[1])
        with socket.create_connection(("127.0.0.1", nginx.port)) as outsider:
            outsider.sendall(b"GET /tuleaprt/ws HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
            connection, _ = await deferToThread(behind.accept)
            with connection:
                head = await deferToThread(head_of_the_request, connection)
    assert [it for it in head if it.startswith(b"X-Forwarded-For:")] == [b"X-Forwarded-For: 127.0.0.1\r\n"]


LIMIT = "limit_conn tuleaprt 1000;"


def status_of(nginx: Nginx, source: str, client: str = "") -> tuple[socket.socket, int]:
    """A handshake from this address, for this client if a proxy has it; its connection stays open."""
    head = HEAD.replace(b"/ws", b"/tuleaprt/ws")
    if client:
        head = head.replace(b"\r\n\r\n", f"\r\nX-Real-IP: {client}\r\n\r\n".encode())
    connection = socket.create_connection(("127.0.0.1", nginx.port), 60, source_address=(source, 0))
    connection.sendall(head)
    return connection, int(connection.recv(4096).split(b" ")[1])


@pytest.mark.parametrize(
    ("attackers", "newcomer"),
    [
        ([("127.0.0.2", "")] * 4, ("127.0.0.3", "")),
        # 127.0.0.9 is a proxy before nginx; of its clients' IPv6 addresses those of a /64 count together.
        (
            [("127.0.0.9", f"2001:db8:0:a0a::{number}") for number in range(4)],
            ("127.0.0.9", "2001:db8:0:a0b::1"),
        ),
    ],
)
@ensure
async def test_one_address_that_opens_many_connections_gets_its_share_of_nginx_and_no_more(
    server: Server, before: Before, attackers: list[tuple[str, str]], newcomer: tuple[str, str]
) -> None:
    nginx = await before(server.public, (LIMIT, LIMIT.replace("1000", "3")))
    answers = [await deferToThread(status_of, nginx, *it) for it in (*attackers, newcomer)]
    assert [status for _, status in answers] == [101, 101, 101, 503, 101]
    for connection, _ in answers:
        connection.close()


@ensure
async def test_a_client_behind_nginx_that_never_says_hello_locks_no_other_out(
    start: Start, before: Before
) -> None:
    server = await start(TULEAPRT_LIMITS__MAX_UNAUTHENTICATED="5", TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="3600")
    nginx = await before(server.public)
    silent = [await deferToThread(status_of, nginx, "127.0.0.2") for _ in range(15)]
    newcomer = PythonClient(nginx.url)
    await newcomer.open(ticket())
    await server.process.written("too many connections without a token from 127.0.0.2")
    await newcomer.leave()
    await newcomer.closed
    for connection, _ in silent:
        connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/message",
        "/metrics",
        "/health/ready",
        "/sessions/101",
        "/tuleaprt/message",
        "/tuleaprt/metrics",
        "/tuleaprt/ws/../message",
        "/tuleaprt/ws/..%2fmessage",
        "/tuleaprt/ws%2f..%2fmessage",
        "/tuleaprt/ws/message",
        "//message",
    ],
)
@ensure
async def test_an_outsider_who_posts_to_tuleaps_door_finds_none(
    server: Server, before: Before, path: str
) -> None:
    nginx = await before(server.public)
    window = PythonClient(nginx.url)
    await window.open(ticket())
    await window.subscribe(KANBAN)
    posts = await server.metric("messages_total")
    body = wire("kanban_item_create")
    for answer in (
        await server.request("POST", path, body, port=nginx.port, Content_Type="application/json"),
        await server.request("GET", path, port=nginx.port),
    ):
        assert (answer.status, answer.body) == (404, b"not passed on")
    assert await server.metric("messages_total") == posts
    assert window.events == []
    await window.leave()
    await window.closed
