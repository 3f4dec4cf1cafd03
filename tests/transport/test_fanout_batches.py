"""The fan-out and real sockets: a batch of frames is sent at once, in C and in Python."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conftest import Log, TurningClock
from tests.fakes import KANBAN, CountingMetrics, identity, publication
from tests.transport.test_outbound_direct import Joined
from tests.transport.test_sending import in_c
from tuleaprt.operations.logs import Faults
from tuleaprt.transport import sending
from tuleaprt.transport.fanout import BATCH_BYTES, Fanout
from tuleaprt.transport.outbound import Backpressure, LimitedOutbound, Outbound
from tuleaprt.transport.page_websocket import SocketOutbound
from tuleaprt.transport.serializers import WEBSOCKET_FORMATS
from tuleaprt.wamp.broker import Broker
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Kwargs

JSON = WEBSOCKET_FORMATS["wamp.2.json"]
BIG = "x" * 300_000
"""More than the small buffers of these sockets take."""


class Owner:
    """The connection of an Outbound, with what the fan-out's tests need of it."""

    kind, peer, session = "websocket", "tcp4:127.0.0.1:1", None

    def __init__(self, transport: Any, board: "Board") -> None:
        self.transport = transport
        self.connections: Any = board
        self.outbound: Outbound
        self.ended: list[End] = []

    def end(self, end: End, detail: str = "") -> None:
        self.ended.append(end)

    def cut(self, end: End) -> None:
        self.ended.append(end)
        self.outbound.shut()

    def wake_at(self, when: float) -> None: ...

    def pause(self, is_paused: bool) -> None: ...


class Subscriber:
    """A session over real TCP."""

    def __init__(self, board: "Board", number: int, longest: int | None) -> None:
        self.id, self.window = number, None
        self.identity = identity(number, groups=("@a", f"@{number}"), expires_at=1100)
        self.joined = Joined(lambda transport: self._outbound(transport, board, longest))

    def _outbound(self, transport: Any, board: "Board", longest: int | None) -> Outbound:
        self.owner: Any = Owner(transport, board)
        self.outlet: Outbound
        if longest is None:
            self.outlet = SocketOutbound(self.owner)
            self.outlet.format = JSON
        else:
            self.outlet = LimitedOutbound(self.owner, JSON, longest=longest, header=0)
        self.owner.outbound = self.outlet
        return self.outlet

    def receive(self, length: int) -> bytes:
        return self.joined.receive(length)


class Board:
    """A topic whose subscribers have sockets, and what their connections share."""

    def __init__(self, clock: TurningClock, send_all: sending.SendAll) -> None:
        self.clock = clock
        self.metrics = CountingMetrics()
        self.max_outbox = 10**9
        self.backpressure = Backpressure(10**9)
        self.fanout = Fanout(
            clock,
            backpressure=self.backpressure,
            metrics=self.metrics,
            faults=Faults(self.metrics),
            send_all=send_all,
        )
        self.broker = Broker()
        self.subscribers: list[Subscriber] = []

    def subscribe(self, longest: int | None = None) -> Subscriber:
        subscriber = Subscriber(self, 102 + len(self.subscribers), longest)
        self.subscribers.append(subscriber)
        self.broker.subscriptions.add(KANBAN, Match.EXACT, subscriber, 0)
        return subscriber

    def publish(self, data: object, id: int = 1, **changes: Any) -> bytes:
        """Publish, let the fan-out work, and return the frame."""
        payload: Kwargs = {"cmd": "kanban:edit", "data": data}
        published = replace(publication(payload, **changes), id=id, size=len(str(data)))
        for dispatch in self.broker.dispatch(published):
            self.fanout.deliver(dispatch)
        while self.clock.getDelayedCalls():
            self.clock.turn()
        return JSON.frame([36, 1, id, {}, [], payload])


@pytest.fixture(params=["C", "Python"])
def board(request: pytest.FixtureRequest, clock: TurningClock) -> Iterator[Board]:
    board = Board(clock, in_c() if request.param == "C" else sending.send_all)
    for _ in range(3):
        board.subscribe()
    # The first event of each connection is written by the connection itself.
    frame = board.publish("first")
    for subscriber in board.subscribers:
        assert subscriber.receive(len(frame)) == frame
        assert subscriber.outlet.socket is not None
    yield board
    for subscriber in board.subscribers:
        subscriber.joined.client.close()
        subscriber.joined.transport.socket.close()


def test_all_receive_it_in_one_turn(board: Board) -> None:
    frame = board.publish("second", 2)
    for subscriber in board.subscribers:
        assert subscriber.receive(len(frame)) == frame
        assert subscriber.joined.reactor.writers == []
        assert subscriber.outlet.handed == 2
    assert board.metrics.deliveries == 6


def test_what_a_socket_does_not_take_follows_whole_and_in_order(board: Board) -> None:
    frames = board.publish(BIG, 2) + board.publish("third", 3)
    for subscriber in board.subscribers:
        assert subscriber.receive(len(frames)) == frames
        assert subscriber.outlet.handed == 3


def test_a_control_frame_between_two_events_stays_between_them(board: Board) -> None:
    second = board.publish("second", 2)
    for subscriber in board.subscribers:
        subscriber.joined.transport.write(b"pong")
        subscriber.outlet.recheck()
    third = board.publish("third", 3)
    for subscriber in board.subscribers:
        whole = second + b"pong" + third
        assert subscriber.receive(len(whole)) == whole


def test_a_peer_that_resets_its_connection_costs_the_others_nothing(board: Board) -> None:
    client = board.subscribers[1].joined.client
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    sent = b""
    while not board.subscribers[1].joined.reactor.writers:
        sent += board.publish("again", 2)
    (result,) = board.subscribers[1].joined.reactor.turn()
    assert isinstance(result, Exception)
    for subscriber in (board.subscribers[0], board.subscribers[2]):
        assert subscriber.receive(len(sent)) == sent


def test_a_fault_of_the_view_for_one_costs_the_others_nothing(board: Board, log: Log) -> None:
    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        if "@103" in groups:
            raise ZeroDivisionError("injected")
        return {"cmd": "kanban:edit", "data": "second"}

    frame = board.publish("second", 2, view=view)
    for subscriber in (board.subscribers[0], board.subscribers[2]):
        assert subscriber.receive(len(frame)) == frame
        assert subscriber.outlet.handed == 2
    assert board.subscribers[1].outlet.handed == 1
    assert log.tracebacks == ["injected"]
    assert (board.metrics.deliveries, board.metrics.filtered) == (3 + 2, 1)
    third = board.publish("third", 3)
    assert all(it.receive(len(third)) == third for it in board.subscribers)


class Unencodable:
    """The format of a connection whose events cannot be encoded."""

    def event(self, dispatch: object, answer: object) -> bytes:
        raise ZeroDivisionError("injected")


def test_an_event_that_cannot_be_encoded_for_one_costs_the_others_nothing(board: Board, log: Log) -> None:
    first, second, third = board.subscribers
    second.outlet.format = Unencodable()
    frame = board.publish("second", 2)
    assert [it.receive(len(frame)) for it in (first, third)] == [frame, frame]
    assert [it.outlet.handed for it in board.subscribers] == [2, 1, 2]
    assert log.tracebacks == ["injected"]
    assert (board.metrics.deliveries, board.metrics.filtered) == (3 + 2, 1)


def test_a_fault_while_a_rest_is_queued_ends_only_this_connection(
    board: Board, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(data: bytes) -> None:
        raise ZeroDivisionError("injected")

    first, second, third = board.subscribers
    monkeypatch.setattr(first.joined.transport, "write", broken)
    frame = board.publish(BIG, 2)
    assert (first.owner.ended, second.owner.ended, third.owner.ended) == ([End.FAULT], [], [])
    # A page that comes back is sent this event again.
    assert [it.outlet.handed for it in board.subscribers] == [1, 2, 2]
    assert [it.receive(len(frame)) for it in (second, third)] == [frame, frame]
    assert board.metrics.deliveries == 3 + 2
    assert log.tracebacks == ["injected"]


def test_an_event_is_not_handed_to_a_connection_that_is_cut_off_by_it(board: Board) -> None:
    board.backpressure.most = BATCH_BYTES // 4
    board.publish("x" * (BATCH_BYTES // 4), 2)
    cut = [it for it in board.subscribers if it.owner.ended]
    assert cut
    assert all(it.outlet.handed == (1 if it in cut else 2) for it in board.subscribers)


def test_a_peer_with_a_limit_is_sent_no_longer_frame(board: Board) -> None:
    limited = board.subscribe(longest=200)
    second, third = board.publish("second", 2), board.publish("third", 3)
    assert limited.receive(len(second + third)) == second + third
    frame = board.publish("y" * 200, 4)
    assert limited.owner.ended == [End.TOO_LONG]
    assert all(it.receive(len(second + third + frame)).endswith(frame) for it in board.subscribers[:3])


def test_long_events_are_sent_to_few_at_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    send_all = board.fanout._send_all

    def noted(sockets: list[Any], frames: list[bytes]) -> sending.Incomplete:
        sizes.append(len(frames))
        return send_all(sockets, frames)

    monkeypatch.setattr(board.fanout, "_send_all", noted)
    board.publish("z" * (BATCH_BYTES // 2), 2)
    assert sizes == [2, 1]
    sizes.clear()
    board.publish("short", 3)
    # Their sockets are full, so the connections queue it.
    assert sizes == [0]


def test_a_view_is_asked_once_for_each_set_of_groups_in_a_batch(board: Board) -> None:
    asked: list[frozenset[str]] = []

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        asked.append(groups)
        return {"cmd": "kanban:edit", "data": "second"}

    board.publish("second", 2, view=view)
    assert len(asked) == 3
