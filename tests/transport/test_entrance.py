"""What a connection wants is seen at its first bytes."""

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from tests.conftest import Log, TurningClock
from tests.fakes import CountingMetrics
from tests.transport.sockets import Wire
from tuleaprt.operations.logs import Faults
from tuleaprt.transport.entrance import LINGER_SECONDS, MAX_HEAD, EntranceFactory
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit


class Recording(Protocol):
    """A protocol that remembers what it was given."""

    def __init__(self) -> None:
        self.data = b""
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: object = None) -> None:
        self.is_lost = True


class Door:
    def __init__(
        self, clock: TurningClock, *, site: bool = True, rawsockets: bool = False, most_inside: int = 5
    ) -> None:
        self.found: list[tuple[str, Any]] = []
        self.wire = Wire()
        self.metrics = CountingMetrics()
        self.unauthenticated = UnauthenticatedLimit(most_inside)
        factory = EntranceFactory(
            self.factory("websocket"),
            site=self.factory("site") if site else None,
            rawsockets=self.factory("rawsocket") if rawsockets else None,
            clock=clock,
            faults=Faults(self.metrics),
            open_timeout=10,
            unauthenticated=self.unauthenticated,
        )
        self.protocol: Any = factory.buildProtocol(None)
        self.wire.protocol = self.protocol
        self.protocol.makeConnection(self.wire)

    def factory(self, name: str) -> Factory:
        factory = Factory()

        def build(addr: object) -> Recording:
            self.found.append((name, Recording()))
            return self.found[-1][1]

        factory.buildProtocol = build  # type: ignore[method-assign,assignment]
        return factory

    def receive(self, data: bytes) -> None:
        self.wire.protocol.dataReceived(data)

    def lose(self) -> None:
        self.wire.protocol.connectionLost(Failure(ConnectionDone()))


HEAD = b" HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "whose"),
    [
        (b"GET /ws" + HEAD, "websocket"),
        (b"GET /ws?x=1" + HEAD, "websocket"),
        (b"GET /" + HEAD, "site"),
        (b"GET /ws2" + HEAD, "site"),
        (b"GET /ws/x" + HEAD, "site"),
        (b"POST /ws" + HEAD, "site"),
        (b"\x16\x03\x01 a TLS hello\r\n\r\n", "site"),
        (b"\x7f\xf1\0\0\r\n\r\n", "site"),
        (b"\r\n\r\nGET /ws" + HEAD, "site"),
    ],
)
def test_the_first_line_says_whose_it_is_and_not_a_byte_is_lost(
    clock: TurningClock, data: bytes, whose: str
) -> None:
    for pieces in ([data], [data[:-1], data[-1:] + b"more"], [bytes([octet]) for octet in data]):
        entrance = Door(clock)
        for piece in pieces:
            entrance.receive(piece)
        ((name, protocol),) = entrance.found
        assert (name, protocol.data) == (whose, b"".join(pieces))
        entrance.lose()


def test_rawsocket_is_known_by_its_first_octet_where_it_is_spoken(clock: TurningClock) -> None:
    entrance = Door(clock, site=False, rawsockets=True)
    entrance.receive(b"\x7f")
    entrance.receive(b"\xf1\0\0")
    assert [(name, it.data) for name, it in entrance.found] == [("rawsocket", b"\x7f\xf1\0\0")]


def test_where_there_is_no_site_websocket_answers_every_request(clock: TurningClock) -> None:
    entrance = Door(clock, site=False, rawsockets=True)
    entrance.receive(b"GET /" + HEAD)
    assert entrance.found[0][0] == "websocket"


def test_a_head_that_drips_is_cut_off_however_often_it_drips(clock: TurningClock, log: Log) -> None:
    entrance = Door(clock)
    for octet in b"GET /ws HT":
        assert not entrance.wire.disconnecting
        entrance.receive(bytes([octet]))
        clock.advance(1)
    assert entrance.wire.disconnecting
    assert entrance.found == []
    entrance.lose()
    assert len(log.lines) == 1
    assert "refused: " in log.lines[0]


def test_a_head_without_end_is_refused(clock: TurningClock, log: Log) -> None:
    entrance = Door(clock)
    entrance.receive(b"GET /ws HTTP/1.1\r\nX: " + b"x" * MAX_HEAD)
    assert entrance.wire.value().startswith(b"HTTP/1.1 431 ")
    assert entrance.wire.disconnecting
    entrance.receive(b"\r\n\r\n")
    assert entrance.found == []
    entrance.lose()
    assert len(log.lines) == 1


def test_who_comes_and_goes_leaves_nothing(clock: TurningClock, log: Log) -> None:
    Door(clock).lose()
    assert log.lines == []


def test_over_tls_the_wrapper_learns_of_the_new_protocol(clock: TurningClock) -> None:
    entrance = Door(clock)
    wrapper = ProtocolWrapper(Factory(), entrance.protocol)  # type: ignore[arg-type]
    wrapper.transport = entrance.wire
    entrance.protocol.transport = wrapper
    entrance.protocol.dataReceived(b"GET /ws" + HEAD)
    assert wrapper.wrappedProtocol is entrance.found[0][1]


def test_the_site_must_be_done_in_time_whatever_drips_in(clock: TurningClock, log: Log) -> None:
    entrance = Door(clock)
    entrance.receive(b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n")
    for _ in range(10):
        assert not entrance.wire.disconnecting
        entrance.receive(b"x")
        clock.advance(1)
    assert entrance.wire.disconnecting
    entrance.receive(b"x")
    assert entrance.found[0][1].data.endswith(b"\r\n\r\n" + b"x" * 10)
    entrance.lose()
    assert entrance.found[0][1].is_lost
    assert len(log.lines) == 1


@pytest.mark.parametrize("stage", [b"", b"GET / HTTP/1.1\r\n", b"GET /" + HEAD])
def test_who_holds_most_of_the_room_is_dropped_for_a_newcomer(
    clock: TurningClock, log: Log, stage: bytes
) -> None:
    entrance = Door(clock, most_inside=1)
    entrance.receive(stage)
    newcomer = entrance.protocol.factory.buildProtocol(None)
    newcomer.makeConnection(Wire())
    assert entrance.wire.disconnected
    assert entrance.unauthenticated.inside == 1
    entrance.receive(b"GET /ws" + HEAD)
    assert [name for name, _ in entrance.found if name == "websocket"] == []
    entrance.lose()
    newcomer.connectionLost(Failure(ConnectionDone()))
    assert entrance.unauthenticated.inside == 0
    (line,) = log.lines
    assert line.endswith(" refused: too many connections without a token from 192.168.1.1")


@pytest.mark.parametrize("path", [b"/ws", b"/"])
def test_who_has_been_let_in_or_has_gone_is_not_counted(clock: TurningClock, path: bytes) -> None:
    entrance = Door(clock)
    factory = entrance.protocol.factory
    assert factory.unauthenticated.inside == 1
    entrance.receive(b"GET " + path + HEAD)
    entrance.lose()
    assert factory.unauthenticated.inside == 0


def test_a_long_head_is_refused_also_if_it_comes_at_once(clock: TurningClock) -> None:
    entrance = Door(clock)
    entrance.receive(b"GET /ws HTTP/1.1\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n")
    assert entrance.wire.value().startswith(b"HTTP/1.1 431 ")
    entrance.lose()


@pytest.mark.parametrize("pieces", [[b"GET /" + HEAD], [b"GET /" + HEAD, b"more"]])
def test_a_fault_behind_the_entrance_is_counted_and_ends_the_connection(
    clock: TurningClock, log: Log, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    def explode(protocol: Recording, data: bytes) -> None:
        if data == pieces[-1]:
            raise ZeroDivisionError("injected")

    monkeypatch.setattr(Recording, "dataReceived", explode)
    entrance = Door(clock)
    for piece in pieces:
        entrance.receive(piece)
    assert entrance.wire.disconnected
    assert log.tracebacks == ["injected"]
    assert entrance.metrics.internal_errors == 1
    entrance.lose()


def test_who_was_refused_and_does_not_close_is_reset(clock: TurningClock, log: Log) -> None:
    # Over TLS it is the client's answer that ends a close.
    entrance = Door(clock)
    clock.advance(10)
    assert entrance.wire.disconnecting
    assert not entrance.wire.disconnected
    clock.advance(LINGER_SECONDS)
    assert entrance.wire.disconnected
    entrance.lose()
    assert len(log.lines) == 1


def test_a_site_whose_answer_is_not_taken_does_not_keep_the_connection(clock: TurningClock) -> None:
    entrance = Door(clock)
    entrance.receive(b"GET /" + HEAD)
    entrance.wire.loseConnection()
    clock.advance(10)
    clock.advance(LINGER_SECONDS)
    assert entrance.wire.disconnected
    entrance.lose()


def test_a_tls_handshake_that_fails_is_one_line(clock: TurningClock, log: Log) -> None:
    entrance = Door(clock)
    entrance.wire.protocol.connectionLost(Failure(ValueError("unsupported protocol")))
    (line,) = log.lines
    assert line.endswith(" refused: no TLS: unsupported protocol")
