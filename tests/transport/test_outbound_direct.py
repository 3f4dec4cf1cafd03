"""Writing to the socket at once: over real TCP, because it is the socket that matters."""

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Server
from twisted.internet.testing import StringTransport

from tuleaprt.transport import outbound
from tuleaprt.transport.page_websocket import SocketOutbound


class Reactor:
    """Remembers which transports want to write; nothing is written until ``turn``."""

    def __init__(self) -> None:
        self.writers: list[Any] = []

    def addReader(self, reader: object) -> None: ...
    def removeReader(self, reader: object) -> None: ...

    def addWriter(self, writer: object) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: object) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def turn(self) -> list[object]:
        return [writer.doWrite() for writer in list(self.writers)]


class Joined:
    """A server's transport and the client's end of it, with a small buffer between."""

    def __init__(self, writer: Callable[[Server], outbound.Writer]) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.client = socket.socket()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.client.connect(listener.getsockname())
        accepted, peer = listener.accept()
        listener.close()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.reactor = Reactor()
        self.transport = Server(accepted, Protocol(), peer, None, 1, self.reactor)
        self.writer = writer(self.transport)
        self.client.settimeout(10)

    def receive(self, length: int) -> bytes:
        """What the client reads while the server's reactor turns."""
        received = b""
        while len(received) < length:
            self.reactor.turn()
            received += self.client.recv(length - len(received))
        return received


def page(transport: Server) -> outbound.Writer:
    """A page's, which writes events by itself."""
    connections: Any = SimpleNamespace(
        fanout=SimpleNamespace(publication=7),
        backpressure=outbound.Backpressure(10**9),
        clock=SimpleNamespace(seconds=lambda: 0),
        max_outbox=10**9,
    )
    connection: Any = SimpleNamespace(transport=transport, connections=connections)
    return SocketOutbound(connection)


@pytest.fixture(params=[outbound.Writer, page], ids=["any", "page"])
def joined(request: pytest.FixtureRequest) -> Iterator[Joined]:
    joined = Joined(request.param)
    yield joined
    joined.client.close()
    joined.transport.socket.close()


def test_the_installed_twisted_keeps_its_buffers_where_they_are_looked_for() -> None:
    assert outbound.KNOWN


def test_an_idle_socket_gets_the_bytes_at_once(joined: Joined) -> None:
    joined.writer.write(b"event")
    assert joined.client.recv(100) == b"event"
    assert joined.reactor.writers == []


def test_what_the_socket_does_not_take_follows_in_order(joined: Joined) -> None:
    big = bytes(range(256)) * 8192
    joined.writer.write(big)
    assert 0 < joined.writer.waiting() < len(big)
    joined.writer.write(b"next")
    assert joined.receive(len(big) + 4) == big + b"next"
    assert joined.writer.waiting() == 0


def test_a_full_socket_takes_nothing_and_nothing_is_lost(joined: Joined) -> None:
    filled = 0
    while not joined.writer.waiting():
        joined.writer.write(b"x" * 1000)
        filled += 1000
    assert joined.receive(filled) == b"x" * filled
    joined.reactor.turn()
    joined.writer.write(b"event")
    assert joined.reactor.writers == []
    assert joined.receive(5) == b"event"


def test_bytes_never_overtake_a_control_frame_that_waits(joined: Joined) -> None:
    joined.transport.write(b"pong")
    joined.writer.write(b"event")
    assert joined.receive(9) == b"pongevent"


def test_what_others_have_written_is_not_overtaken_after_a_recheck(joined: Joined) -> None:
    joined.writer.write(b"first")
    joined.transport.write(b"pong")
    joined.writer.recheck()
    joined.writer.write(b"event")
    assert joined.receive(14) == b"firstpongevent"


def test_a_connection_that_was_reset_raises_nothing_and_is_noticed_by_the_reactor(joined: Joined) -> None:
    joined.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    joined.client.close()
    while not joined.reactor.writers:
        joined.writer.write(b"event")
    (result,) = joined.reactor.turn()
    assert isinstance(result, Exception)


def test_nothing_is_written_after_the_close(joined: Joined) -> None:
    joined.transport.write(b"last")
    joined.writer.shut()
    joined.writer.write(b"event")
    joined.transport.loseConnection()
    assert joined.receive(4) == b"last"
    assert joined.writer.waiting() == 0
    joined.client.setblocking(False)
    with pytest.raises(BlockingIOError):
        joined.client.recv(5)


def test_under_tls_it_is_the_transport_that_writes(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(joined.transport, "TLS", True)
    monkeypatch.setattr(joined.transport, "write", written.append)
    outbound.Writer(joined.transport).write(b"event")
    assert written == [b"event"]


def test_with_an_unknown_twisted_it_is_the_transport_that_writes(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "KNOWN", False)
    outbound.Writer(joined.transport).write(b"event")
    assert joined.reactor.writers == [joined.transport]
    assert joined.receive(5) == b"event"


def test_of_other_transports_nobody_knows_what_waits() -> None:
    assert outbound.Writer(StringTransport()).waiting() == 0


def test_under_tls_the_ciphertext_is_what_waits(joined: Joined) -> None:
    class Tls:
        transport = joined.transport

    joined.transport.write(b"12345")
    assert outbound.Writer(Tls()).waiting() == 5
