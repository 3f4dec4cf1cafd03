"""Records that are sent at once: a real TLS transport over real TCP, with Python's and openssl's clients."""

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from OpenSSL.SSL import Error, WantReadError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import BufferingTLSTransport

from tests.certificates import Authority
from tests.transport.test_outbound_direct import Reactor
from tuleaprt.application.tls import over_tls
from tuleaprt.configuration.options import Tls
from tuleaprt.transport import outbound, tls_records

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class Keep(Protocol):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


def over(
    accepted: socket.socket, peer: Any, files: Tls, reactor: Reactor, clock: Clock
) -> tuple[BufferingTLSTransport, Server]:
    """The server's TLS transport over a socket that was accepted."""
    clock.advance(time.time())
    transport = over_tls(Factory.forProtocol(Keep), files, clock).buildProtocol(None)
    tcp = Server(accepted, transport, peer, None, 1, reactor)
    transport.makeConnection(tcp)
    return transport, tcp


class Joined:
    """A server's TLS transport with a small buffer below it, and a client's socket without TLS yet."""

    def __init__(self, files: Tls) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.plain = socket.socket()
        self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.plain.connect(listener.getsockname())
        self.client: Any = None
        accepted, peer = listener.accept()
        listener.close()
        accepted.setblocking(False)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.reactor, self.clock = Reactor(), Clock()
        self.transport, self.tcp = over(accepted, peer, files, self.reactor, self.clock)
        self.writer = outbound.Writer(self.transport)

    def shake_hands(self, context: ssl.SSLContext) -> None:
        self.plain.settimeout(0.01)
        self.client = context.wrap_socket(
            self.plain, server_hostname="localhost", do_handshake_on_connect=False
        )
        while True:
            self.turn()
            try:
                self.client.do_handshake()
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            break
        while not self.transport._handshakeDone:
            self.turn()

    def turn(self) -> None:
        """What a turn of the reactor does: delayed calls, reading, writing."""
        self.clock.advance(0)
        with suppress(BlockingIOError):
            self.transport.dataReceived(self.tcp.socket.recv(65536))
        self.reactor.turn()

    def receive(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            self.turn()
            try:
                received += self.client.recv(length - len(received))
            except TimeoutError:
                continue
        return received

    def receive_all(self) -> bytes:
        """Until the server closes."""
        received = b""
        while True:
            self.turn()
            with suppress(TimeoutError):
                more = self.client.recv(100)
                if not more:
                    return received
                received += more

    def close(self) -> None:
        (self.client or self.plain).close()
        self.tcp.socket.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("certificate")
    pem = Authority(folder).leaf()
    path = folder / "server.pem"
    path.write_bytes(pem.chain + pem.key)
    path.chmod(0o600)
    return Tls(certificate=str(path))


@pytest.fixture
def unshaken(files: Tls) -> Iterator[Joined]:
    joined = Joined(files)
    yield joined
    joined.close()


@pytest.fixture(params=VERSIONS)
def joined(request: pytest.FixtureRequest, unshaken: Joined) -> Joined:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[request.param]
    unshaken.shake_hands(context)
    assert unshaken.client.version() == request.param.replace(" ", "v")
    return unshaken


def test_the_installed_twisted_keeps_what_waits_where_it_is_looked_for() -> None:
    assert tls_records.KNOWN
    assert not tls_records.carries(StringTransport())


def test_an_idle_connection_gets_a_record_at_once(joined: Joined) -> None:
    joined.writer.write(b"event")
    joined.client.settimeout(10)
    assert joined.client.recv(100) == b"event"
    assert joined.reactor.writers == []
    assert joined.clock.getDelayedCalls() == []


def test_many_events_arrive_whole_and_in_order(joined: Joined) -> None:
    frames = [bytes([65 + number % 26]) * (number * 37 % 3000 + 1) for number in range(200)]
    for frame in frames:
        joined.writer.write(frame)
    whole = b"".join(frames)
    assert joined.receive(len(whole)) == whole
    joined.writer.write(b"after")
    assert joined.receive(5) == b"after"


def test_the_rest_of_a_record_that_the_socket_does_not_take_follows(joined: Joined) -> None:
    while not joined.writer.waiting():
        joined.writer.write(b"x" * 16_000)
    joined.writer.write(b"after")
    received = b""
    while not received.endswith(b"after"):
        received += joined.receive(1)
    assert len(received) % 16_000 == 5
    assert joined.writer.waiting() == 0


def test_an_event_of_more_than_one_record_is_the_transports(joined: Joined) -> None:
    big = bytes(range(256)) * 1024
    joined.writer.write(big)
    joined.writer.write(b"after")
    assert joined.receive(len(big) + 5) == big + b"after"


def test_an_event_never_overtakes_what_the_transport_gathers(joined: Joined) -> None:
    joined.transport.write(b"pong")
    joined.writer.write(b"event")
    assert joined.receive(9) == b"pongevent"


def test_before_the_handshake_is_done_the_transport_keeps_the_event(unshaken: Joined) -> None:
    unshaken.writer.write(b"event")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    unshaken.shake_hands(context)
    assert unshaken.receive(5) == b"event"


def test_nothing_follows_the_close(joined: Joined) -> None:
    joined.writer.write(b"last")
    joined.writer.shut()
    joined.transport.loseConnection()
    joined.writer.write(b"event")
    assert joined.receive_all() == b"last"


def test_a_connection_that_the_transport_is_closing_gets_no_record(joined: Joined) -> None:
    joined.transport.loseConnection()
    joined.writer.write(b"event")
    assert joined.receive_all() == b""


def test_a_connection_that_was_reset_raises_nothing_and_is_noticed_by_the_reactor(joined: Joined) -> None:
    joined.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    joined.client.close()
    while not joined.reactor.writers:
        joined.writer.write(b"event")
    (result,) = joined.reactor.turn()
    assert isinstance(result, Exception)


class Broken:
    """A connection of OpenSSL's that cannot encrypt now."""

    def __init__(self, error: Error, connection: Any) -> None:
        self.error: Error | None = error
        self.connection = connection

    def send(self, data: bytes) -> int:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.connection.send(data)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def test_what_openssl_cannot_encrypt_now_is_encrypted_by_the_transport_later(joined: Joined) -> None:
    joined.transport._tlsConnection = Broken(WantReadError(), joined.transport._tlsConnection)
    joined.writer.write(b"event")
    joined.writer.write(b"after")
    assert joined.receive(10) == b"eventafter"


def test_events_go_on_after_a_client_has_changed_its_keys(files: Tls) -> None:
    """``openssl s_client`` changes its keys for a line K, and asks the server to do so, too."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-tls1_3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    assert client.stdin is not None and client.stdout is not None
    accepted, peer = listener.accept()
    listener.close()
    reactor = Reactor()
    transport, _ = over(accepted, peer, files, reactor, Clock())
    accepted.settimeout(10)
    try:
        while not transport._handshakeDone:
            transport.dataReceived(accepted.recv(65536))
            reactor.turn()
        writer = outbound.Writer(transport)
        writer.write(b"<first event>\n")
        _until(client.stdout, b"<first event>\n")
        for number in range(3):
            client.stdin.write(b"K\n")
            transport.dataReceived(accepted.recv(65536))
            event = f"<event after change {number}>\n".encode()
            writer.write(event)
            _until(client.stdout, event)
        assert reactor.writers == []
        assert transport.wrappedProtocol.received == b""
    finally:
        client.kill()
        client.communicate()
        accepted.close()


def _until(stream: Any, text: bytes) -> None:
    seen = b""
    while text not in seen:
        more = stream.read(4096)
        assert more, seen
        seen += more
