"""TLS by the server itself, to browsers that look at its certificate, and while that is renewed."""

import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread

from tests.certificates import Authority, Pem
from tests.end_to_end.clients import Node, WampError
from tests.end_to_end.crowd import Crowd, Reader
from tests.end_to_end.processes import PATIENCE_SECONDS, TWISTD, Process
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import KANBAN, body, ticket

ensure = pytest_twisted.ensureDeferred
Start = Callable[..., Awaitable[Server]]


class Tls(NamedTuple):
    """A server's port for TLS, and its two files."""

    server: Server
    port: int
    folder: Path

    def write(self, pem: Pem) -> None:
        """Put new files in the place of the old ones."""
        for name, data in (("chain", pem.chain), ("key", pem.key)):
            new = self.folder / "new"
            new.touch(mode=0o600)
            new.write_bytes(data)
            new.rename(self.folder / f"{name}.pem")

    async def serial(self, client: ssl.SSLContext) -> int:
        """Of the certificate that a new connection gets."""

        def connect() -> int:
            plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            with client.wrap_socket(plain, server_hostname="localhost") as joined:
                certificate = joined.getpeercert()
            assert certificate is not None
            return int(str(certificate["serialNumber"]), 16)

        return await deferToThread(connect)  # type: ignore[no-any-return]

    async def until(self, client: ssl.SSLContext, serial: int) -> None:
        """Connect again and again until the server has this certificate: it checks the files when a client
        connects.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while await self.serial(client) != serial:
            assert time.monotonic() < end, "\n".join(self.server.process.lines)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def client(authority: Authority) -> ssl.SSLContext:
    """A client's, with the root: it checks the chain, the dates and the host's name."""
    return ssl.create_default_context(cafile=str(authority.root))


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Callable[..., Awaitable[Tls]]:
    async def serve(pem: Pem, **environment: str) -> Tls:
        Tls.write(Tls(None, 0, tmp_path), pem)  # type: ignore[arg-type]
        server = await start(
            TULEAPRT_LISTEN__PUBLIC_TLS=ANY_PORT,
            TULEAPRT_TLS__CERTIFICATE=str(tmp_path / "chain.pem"),
            TULEAPRT_TLS__KEY=str(tmp_path / "key.pem"),
            **environment,
        )
        listens = await server.process.written(r"public TLS site listens on 127\.0\.0\.1:(\d+)$")
        return Tls(server, int(listens[1]), tmp_path)

    return serve


Serve = Callable[..., Awaitable[Tls]]


@ensure
async def test_browsers_that_know_the_root_come_in_and_receive(
    serve: Serve, authority: Authority, client: ssl.SSLContext
) -> None:
    tls = await serve(authority.leaf())
    node = Node(NODE_EXTRA_CA_CERTS=str(authority.root))
    page = node.client(f"wss://127.0.0.1:{tls.port}/ws")
    await page.open(ticket())
    await page.subscribe(KANBAN)
    reader = await deferToThread(lambda: Reader(tls.port, tls=client).join())
    assert (await tls.server.post(body(sender_uuid=None))).status == 200
    await page.event("kanban_item:create")
    (event,) = await deferToThread(reader.receive, 1)
    assert event[5] == page.events[0]["kwargs"]
    reader.close()
    await node.process.stop("KILL")


@ensure
async def test_browsers_refuse_the_certificate_of_another_host(
    serve: Serve, authority: Authority, client: ssl.SSLContext
) -> None:
    tls = await serve(authority.leaf("DNS:other.example.org"))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await tls.serial(client)
    node = Node(NODE_EXTRA_CA_CERTS=str(authority.root))
    with pytest.raises(WampError, match="unreachable"):
        await node.client(f"wss://127.0.0.1:{tls.port}/ws").open(ticket())
    await node.process.stop("KILL")


@ensure
async def test_browsers_refuse_a_certificate_that_has_expired_until_there_is_another(
    serve: Serve, authority: Authority, client: ssl.SSLContext
) -> None:
    tls = await serve(authority.leaf())
    brief = authority.brief_leaf(seconds=10)
    tls.write(brief)
    await tls.until(client, brief.serial)
    open_one = await deferToThread(lambda: Reader(tls.port, tls=client).join())
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        await tls.until(client, 0)
    node = Node(NODE_EXTRA_CA_CERTS=str(authority.root))
    page = node.client(f"wss://127.0.0.1:{tls.port}/ws")
    with pytest.raises(WampError, match="unreachable"):
        await page.open(ticket())
    await tls.server.process.written("refused: no TLS: .*certificate expired")
    await tls.server.post(body(sender_uuid=None))
    assert len(await deferToThread(open_one.receive, 1)) == 1
    good = authority.leaf()
    tls.write(good)
    said = tls.server.process.written(f"serial {good.serial:X}$")
    while not said.called:
        # A client that refuses the certificate has connected, so the server has checked the files.
        with suppress(ssl.SSLCertVerificationError):
            await tls.serial(client)
    assert await tls.serial(client) == good.serial
    await node.client(f"wss://127.0.0.1:{tls.port}/ws").open(ticket())
    open_one.close()
    await node.process.stop("KILL")


@ensure
async def test_nobody_is_talked_down_to_tls_1_1(serve: Serve, authority: Authority) -> None:
    tls = await serve(authority.leaf())

    def speak(*options: str) -> subprocess.CompletedProcess[str]:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{tls.port}", *options]
        return subprocess.run(command, input="", capture_output=True, text=True, timeout=30, check=False)

    old = await deferToThread(speak, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "alert protocol version" in old.stderr
    await tls.server.process.written("refused: no TLS: .*unsupported protocol")
    for version in ("-tls1_2", "-tls1_3"):
        assert (await deferToThread(speak, version)).returncode == 0


@ensure
async def test_a_renewal_under_load_drops_nobody_and_loses_no_delivery(
    serve: Serve, authority: Authority, client: ssl.SSLContext
) -> None:
    old, new, newer = (authority.leaf() for _ in range(3))
    tls = await serve(old)
    crowd = await deferToThread(lambda: Crowd(tls.port, 50, tls=client).join())
    posted = 0
    is_renewed = False

    async def post() -> None:
        nonlocal posted
        while not is_renewed:
            assert (await tls.server.post(body(sender_uuid=None, data={"n": posted}))).status == 200
            posted += 1

    with crowd:
        posting = ensureDeferred(post())
        assert await tls.serial(client) == old.serial
        tls.write(new)
        await tls.until(client, new.serial)
        # Half of it, in place.
        (tls.folder / "chain.pem").write_bytes(newer.chain[:-40])
        said: Deferred[object] = tls.server.process.written(
            "the file is incomplete; the certificate in use stays$"
        )
        while not said.called:
            assert await tls.serial(client) == new.serial
        tls.write(newer)
        await tls.until(client, newer.serial)
        is_renewed = True
        await posting
        await deferToThread(crowd.receive, posted)
        for reader in crowd.readers:
            assert [it[5]["data"]["n"] for it in reader.messages] == list(range(posted))
        assert await tls.server.metric("connections") == 50
        assert await tls.server.metric("closes_total") == 0
    assert len([it for it in tls.server.process.lines if "the certificate in use stays" in it]) == 1


@ensure
async def test_who_does_not_shake_hands_or_does_not_part_is_cut_off(
    serve: Serve, authority: Authority, client: ssl.SSLContext
) -> None:
    tls = await serve(authority.leaf(), TULEAPRT_WEBSOCKET__OPEN_TIMEOUT="1")

    def is_cut_off(connection: socket.socket) -> bool:
        try:
            return connection.recv(4096) == b""
        except ConnectionResetError:
            return True
        finally:
            connection.close()

    def half_a_hello() -> socket.socket:
        silent = socket.create_connection(("127.0.0.1", tls.port), timeout=30)
        silent.sendall(b"\x16\x03\x01\x02\x00\x01")
        return silent

    def asks_and_does_not_part() -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", tls.port), timeout=30)
        asking = client.wrap_socket(plain, server_hostname="localhost")
        asking.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while asking.recv(4096):
            pass
        below = socket.socket(fileno=asking.detach())
        below.settimeout(30)
        return below

    for who in (half_a_hello, asks_and_does_not_part):
        assert await deferToThread(lambda who=who: is_cut_off(who()))


@ensure
async def test_a_certificate_that_cannot_be_used_is_one_line_and_no_server(tmp_path: Path) -> None:
    process = Process.start(
        [TWISTD, "-n", "--pidfile=", "tuleaprt"],
        {
            "PRIVATE_KEY": "k" * 88,
            "TULEAPRT_LISTEN__PUBLIC_TLS": ANY_PORT,
            "TULEAPRT_TLS__CERTIFICATE": str(tmp_path / "no.pem"),
        },
    )
    assert await process.ended() == 1
    assert process.lines == [
        "tuleaprt does not start:",
        f"[tls] certificate: {tmp_path / 'no.pem'}: No such file or directory",
    ]
