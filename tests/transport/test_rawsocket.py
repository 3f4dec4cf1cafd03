"""One RawSocket: its handshake, its frames, and the length that its peer takes."""

import os
import socket
from collections.abc import Iterator

import pytest
from twisted.internet.testing import StringTransport

from tests.conftest import Log, TurningClock
from tests.fakes import KANBAN, publication
from tests.transport.sockets import HELLO, MAX_MESSAGE, Program, Server
from tuleaprt.transport.connection import FRAMES_AT_ONCE
from tuleaprt.transport.outbound import Outbound
from tuleaprt.transport.rawsocket import RawSocketConnection
from tuleaprt.transport.serializers import JSON
from tuleaprt.wamp.outlet import End


@pytest.fixture
def program(server: Server) -> Iterator[Program]:
    program = Program(server)
    yield program
    program.lose()


def greeting(serializer: int, exponent: int = 15, reserved: bytes = b"\0\0") -> bytes:
    return bytes([0x7F, exponent << 4 | serializer]) + reserved


@pytest.mark.parametrize("serializer", [1, 2, 3])
def test_the_handshake_tells_how_long_a_message_may_be(program: Program, serializer: int) -> None:
    exponent = MAX_MESSAGE.bit_length() - 1 - 9
    assert program.handshake(greeting(serializer)) == bytes([0x7F, exponent << 4 | serializer, 0, 0])


@pytest.mark.parametrize(("max_message_size", "exponent"), [(1, 0), (1023, 0), (1024, 1), (2**30, 15)])
def test_no_more_is_announced_than_is_taken(program: Program, max_message_size: int, exponent: int) -> None:
    program.server.connections.max_message_size = max_message_size
    assert program.handshake(greeting(1))[1] >> 4 == exponent


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (greeting(0), b"\x7f\x10\0\0"),
        (greeting(4), b"\x7f\x10\0\0"),
        (greeting(15), b"\x7f\x10\0\0"),
        (greeting(1, reserved=b"\0\x01"), b"\x7f\x30\0\0"),
        (greeting(1, reserved=b"\x80\0"), b"\x7f\x30\0\0"),
        (b"GET ", b""),
        (b"\x16\x03\x01\x02", b""),
    ],
)
def test_handshake_that_is_refused(program: Program, log: Log, octets: bytes, answer: bytes) -> None:
    assert program.handshake(octets) == answer
    assert program.transport.disconnecting
    program.connection.dataReceived(greeting(1) + b"\0\0\0\x02[]")
    assert program.take() == []
    program.lose()
    (line,) = log.lines
    assert " refused: " in line
    assert program.server.sizes() == (0, 0, 0)


def test_too_many_connections_are_refused_at_the_handshake(clock: TurningClock) -> None:
    server = Server(clock, max_connections=0)
    program = Program(server)
    assert program.handshake(greeting(1)) == b"\x7f\x40\0\0"
    program.lose()


def test_a_handshake_that_never_ends_is_dropped(program: Program, server: Server, log: Log) -> None:
    program.handshake(b"\x7f")
    server.pass_time(9)
    assert not program.transport.disconnected
    program.handshake(b"\xf1")
    server.pass_time(1)
    assert program.transport.disconnected
    program.lose()
    assert "refused: no handshake" in log.lines[0]


def test_frames_may_come_octet_by_octet_or_all_at_once(program: Program) -> None:
    frames = b"".join(
        bytes([0]) + len(payload).to_bytes(3) + payload
        for payload in (JSON.encode(HELLO), JSON.encode([5, "good", {}]))
    )
    for octet in greeting(1) + frames[:50]:
        program.connection.dataReceived(bytes([octet]))
    program.connection.dataReceived(frames[50:])
    assert program.transport.value()[:2] == b"\x7f\x21"
    program.transport.io.seek(0)
    written = program.transport.value()[4:]
    program.transport.clear()
    assert [it[0] for it in program.frames(written)] == [4, 2]


def test_a_ping_is_answered_with_its_own_payload(program: Program) -> None:
    program.join()
    for payload in (b"", b"still there?"):
        program.send_frame(1, payload)
    program.send_frame(2, b"a pong that nobody asked for")
    assert program.take() == []
    assert program.pongs == [b"", b"still there?"]


def test_pings_of_a_reader_that_does_not_read_are_not_answered_for_ever(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program.join()
    monkeypatch.setattr(Outbound, "waiting", lambda line: 101)
    program.send_frame(1, b"still there?")
    assert program.take() == []
    assert program.transport.disconnecting
    program.lose()
    assert program.server.metrics.closes == ["slow reader"]


@pytest.mark.parametrize(
    "header", [b"\x03\0\0\x01x", b"\x08\0\0\x01x", b"\0\x00\x08\x01", b"\x01\xff\xff\xff"]
)
def test_a_frame_that_may_not_be_is_a_violation_before_its_payload_is_read(
    program: Program, log: Log, header: bytes
) -> None:
    program.join()
    program.connection.dataReceived(header)
    ((code, _, reason),) = program.take()
    assert (code, reason) == (3, "wamp.error.protocol_violation")
    assert program.transport.disconnecting
    program.lose()
    assert "closed: protocol violation (" in log.lines[0]


def test_a_peer_is_never_sent_more_than_it_takes_and_never_a_cut_message(clock: TurningClock) -> None:
    server = Server(clock)
    small, large = Program(server, exponent=0), Program(server)
    for program in (small, large):
        program.join()
        program.say([32, 1, {}, KANBAN])
    kwargs = {
        "cmd": "kanban:edit",
        "data": "x" * (512 - len(b'[36,1,77,{},[],{"cmd":"kanban:edit","data":""}]')),
    }
    server.publish(publication(kwargs))
    server.clock.advance(0)
    for program in (small, large):
        assert [it[0] for it in program.take()] == [36]
    server.publish(publication({**kwargs, "data": kwargs["data"] + "x"}))
    server.clock.advance(0)
    assert [it[0] for it in large.take()] == [36]
    ((code, _, reason),) = small.take()
    assert (code, reason) == (6, "wamp.error.payload_size_exceeded")
    assert small.transport.disconnecting
    small.lose()
    large.lose()
    assert server.metrics.closes == ["message too long for the peer", "connection lost"]


def test_a_message_that_no_peer_takes_is_sent_to_none(program: Program, server: Server) -> None:
    program.join()
    program.say([32, 1, {}, KANBAN])
    server.publish(publication({"cmd": "kanban:edit", "data": "x" * 2**24}))
    server.clock.advance(0)
    assert [it[0] for it in program.take()] == [6]
    assert program.is_ended()


def test_a_stopping_server_says_so(program: Program, server: Server) -> None:
    program.join()
    server.connections.shut_down(10)
    assert program.take() == [[6, {}, "wamp.close.system_shutdown"]]
    assert program.transport.disconnecting
    late = Program(server)
    assert late.handshake(greeting(1)) == b"\x7f\x40\0\0"
    late.lose()


def test_who_does_not_take_the_last_bytes_is_reset_after_all(program: Program, server: Server) -> None:
    program.join()
    program.connection.end(End.GOODBYE)
    server.pass_time(5)
    assert program.transport.disconnected


def test_a_fault_below_the_frames_ends_the_connection(
    program: Program, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: object) -> None:
        raise ZeroDivisionError("injected")

    program.join()
    with monkeypatch.context() as patch:
        patch.setattr(program.connection, "_read_frames", explode)
        program.connection.dataReceived(os.urandom(8))
    assert program.transport.disconnecting
    assert log.tracebacks == ["injected"]


def test_tcp_finds_out_about_peers_that_have_vanished_as_soon_as_pings_would(program: Program) -> None:
    assert program.transport.keeps_alive
    options = program.transport.socket_options
    assert options[socket.TCP_KEEPIDLE] == 25
    assert options[socket.TCP_KEEPINTVL] * options[socket.TCP_KEEPCNT] == 20
    assert options[socket.TCP_USER_TIMEOUT] == 45_000


def test_a_unix_socket_has_nothing_of_tcp(server: Server) -> None:
    connection = server.rawsockets.buildProtocol(None)
    connection.makeConnection(StringTransport())
    connection.connectionLost()


@pytest.mark.parametrize("type", [1, 2], ids=["pings", "pongs"])
def test_ping_flood_is_ended(program: Program, type: int) -> None:
    program.join()
    for _ in range(FRAMES_AT_ONCE):
        program.send_frame(type, b"")
    assert not program.is_ended()
    program.send_frame(type, b"")
    program.take()
    assert program.is_ended()
    program.lose()
    assert program.server.metrics.closes == ["too many requests"]


def test_a_fault_while_accepting_ends_the_connection(
    server: Server, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: object) -> None:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(RawSocketConnection, "bound_reads", explode)
    program = Program(server)
    assert program.transport.disconnected
    program.lose()
    assert log.tracebacks == ["injected"]
