"""Sending a batch of frames: in C and in Python, over real TCP."""

import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.transport import sending
from tuleaprt.transport.sending import SWITCH, SendAll, sender

Pair = tuple[socket.socket, socket.socket]


def in_c() -> SendAll:
    send_all, how = sender({})
    assert how == "in C", "the extension was not built; a C compiler and Python's headers are needed"
    return send_all


@pytest.fixture(params=["C", "Python"])
def send_all(request: pytest.FixtureRequest) -> SendAll:
    return in_c() if request.param == "C" else sending.send_all


def connected() -> Pair:
    """A server's socket that does not block, with small buffers, and the client's end of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(listener.getsockname())
    accepted, _ = listener.accept()
    listener.close()
    accepted.setblocking(False)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client.settimeout(10)
    return accepted, client


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    pairs = [connected() for _ in range(3)]
    yield pairs
    for accepted, client in pairs:
        accepted.close()
        client.close()


def test_each_frame_goes_to_its_socket(send_all: SendAll, pairs: list[Pair]) -> None:
    assert send_all([it for it, _ in pairs], [b"one", b"two", b"three"]) == []
    assert [client.recv(9) for _, client in pairs] == [b"one", b"two", b"three"]


def test_an_empty_batch_sends_nothing(send_all: SendAll) -> None:
    assert send_all([], []) == []


def test_a_socket_that_takes_a_part_is_named_with_the_length_of_the_part(
    send_all: SendAll, pairs: list[Pair]
) -> None:
    big = bytes(range(256)) * 8192
    ((index, taken),) = send_all([it for it, _ in pairs], [b"one", big, b"three"])
    assert index == 1
    assert 0 < taken < len(big)
    client, received = pairs[1][1], b""
    while len(received) < taken:
        received += client.recv(taken)
    assert received == big[:taken]
    assert [pairs[0][1].recv(9), pairs[2][1].recv(9)] == [b"one", b"three"]


def test_a_full_socket_takes_nothing_and_is_not_waited_for(send_all: SendAll, pairs: list[Pair]) -> None:
    accepted = pairs[0][0]
    while not send_all([accepted], [b"x" * 4096]):
        pass
    while True:
        try:
            accepted.send(b"x")
        except BlockingIOError:
            break
    assert send_all([accepted, pairs[1][0]], [b"one", b"two"]) == [(0, 0)]
    assert pairs[1][1].recv(9) == b"two"


def test_a_peer_that_has_reset_its_connection_costs_the_others_nothing(
    send_all: SendAll, pairs: list[Pair]
) -> None:
    client = pairs[1][1]
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    while not send_all([pairs[1][0]], [b"x"]):
        pass
    # The second error is another: EPIPE, which by default also sends a signal.
    assert send_all([it for it, _ in pairs], [b"one", b"two", b"three"]) == [(1, 0)]
    assert [pairs[0][1].recv(9), pairs[2][1].recv(9)] == [b"one", b"three"]


def test_a_frame_for_a_closed_socket_does_not_reach_the_connection_that_has_its_descriptor_now(
    send_all: SendAll, pairs: list[Pair]
) -> None:
    closed = pairs[0][0]
    descriptor = closed.fileno()
    closed.close()
    accepted, client = connected()
    other = socket.fromfd(accepted.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    try:
        assert descriptor in (accepted.fileno(), client.fileno(), other.fileno())
        assert send_all([closed], [b"secret"]) == [(0, 0)]
        accepted.send(b"next")
        assert client.recv(99) == b"next"
    finally:
        for it in (accepted, client, other):
            it.close()


@given(st.lists(st.binary(max_size=99), max_size=20))
def test_both_send_the_same(frames: list[bytes]) -> None:
    expected = b"".join(frames)
    for send_all in (in_c(), sending.send_all):
        accepted, client = connected()
        try:
            assert send_all([accepted] * len(frames), frames) == []
            received = b""
            while len(received) < len(expected):
                received += client.recv(9999)
            assert received == expected
        finally:
            accepted.close()
            client.close()


def test_what_is_no_batch_is_refused() -> None:
    send_all = in_c()
    accepted, client = connected()
    try:
        for sockets, frames in (([accepted], []), ([accepted] * 2, [b"x", "text"]), ((), ())):
            with pytest.raises(TypeError):
                send_all(sockets, frames)  # type: ignore[arg-type]
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
    finally:
        accepted.close()
        client.close()


class Faulty:
    """What has no descriptor, and says so in a way of its own."""

    def fileno(self) -> int:
        raise ZeroDivisionError("injected")


def test_a_fault_at_one_socket_costs_the_others_nothing(pairs: list[Pair]) -> None:
    sockets = [pairs[0][0], Faulty(), object(), pairs[1][0]]
    assert in_c()(sockets, [b"one", b"two", b"three", b"four"]) == [(1, 0), (2, 0)]
    assert [pairs[0][1].recv(9), pairs[1][1].recv(9)] == [b"one", b"four"]


def test_the_environment_chooses_python() -> None:
    assert sender({SWITCH: "0"}) == (sending.send_all, "in Python (TULEAPRT_COMPILED=0)")


def test_without_the_extension_python_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("tuleaprt.transport._sending", raising=False)
    monkeypatch.setitem(sys.modules, "tuleaprt.transport._sending", None)
    assert sender({}) == (sending.send_all, "in Python (the extension was not built)")
