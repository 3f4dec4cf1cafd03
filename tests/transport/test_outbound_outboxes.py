"""The limit of all outbound queues together."""

import pytest

from tests.fakes import KANBAN, publication
from tests.transport.sockets import Browser, Server, Wire
from tuleaprt.transport.outbound import PATIENCE, Backpressure, Outbound


class Waiting:
    """An outbox of so many bytes."""

    def __init__(self, backpressure: Backpressure, waiting: int = 0) -> None:
        self.backpressure = backpressure
        self.bytes = waiting
        self.is_cut = False

    def waiting(self) -> int:
        return self.bytes

    def cut(self) -> None:
        self.is_cut = True
        self.backpressure.forget(self)

    def put(self, count: int, now: float = 0) -> None:
        self.bytes += count
        self.backpressure.note(self, now)


@pytest.fixture
def backpressure() -> Backpressure:
    return Backpressure(800)


def test_at_half_of_the_bound_others_are_to_wait_until_there_is_room(backpressure: Backpressure) -> None:
    one, other = Waiting(backpressure), Waiting(backpressure)
    one.put(400)
    assert not backpressure.is_full
    other.put(1)
    assert backpressure.is_full
    assert not backpressure.has_room(1)
    one.bytes = 100
    assert backpressure.has_room(1)
    assert (backpressure.total, backpressure.is_full) == (101, False)
    one.bytes = other.bytes = 0
    assert backpressure.has_room(1)
    assert backpressure.total == 0


def test_who_takes_nothing_while_others_wait_is_cut_off_and_who_takes_a_little_is_not(
    backpressure: Backpressure,
) -> None:
    stuck, slow = Waiting(backpressure), Waiting(backpressure)
    stuck.put(250)
    slow.put(250)
    for now in range(1, PATIENCE):
        slow.bytes -= 1
        assert not backpressure.has_room(now)
    slow.bytes -= 1
    assert backpressure.has_room(PATIENCE)
    assert (stuck.is_cut, slow.is_cut) == (True, False)


def test_nobody_is_cut_off_for_taking_nothing_while_there_is_room(backpressure: Backpressure) -> None:
    stuck = Waiting(backpressure)
    stuck.put(400)
    assert backpressure.has_room(10 * PATIENCE)
    assert not stuck.is_cut


def test_at_the_bound_the_largest_go_first(backpressure: Backpressure) -> None:
    small, large, last = Waiting(backpressure), Waiting(backpressure), Waiting(backpressure)
    small.put(200)
    large.put(450)
    last.put(200)
    assert [it.is_cut for it in (small, large, last)] == [False, True, False]
    assert backpressure.total == 400


def test_what_has_been_taken_since_counts_for_nobody_at_the_bound(backpressure: Backpressure) -> None:
    one, other = Waiting(backpressure), Waiting(backpressure)
    one.put(700)
    one.bytes = 10
    other.put(600)
    assert not one.is_cut
    assert not other.is_cut
    assert backpressure.total == 610


def test_a_reader_who_is_gone_counts_no_more(backpressure: Backpressure) -> None:
    one = Waiting(backpressure)
    one.put(300)
    backpressure.forget(one)
    backpressure.forget(one)
    assert backpressure.total == 0


def test_a_connection_over_the_bound_is_ended_at_once_with_what_waits_for_it(
    joined: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined.say([32, 1, {}, KANBAN])
    monkeypatch.setattr(Outbound, "waiting", lambda line: 50)
    server.backpressure.most = 40
    server.publish(publication())
    server.clock.advance(0)
    assert joined.transport.disconnected
    joined.lose()
    assert server.metrics.closes == ["slow reader"]
    assert server.backpressure.total == 0


@pytest.mark.parametrize("waiting", [0, 50])
def test_a_connection_that_ends_takes_its_outbox_with_it(
    joined: Browser, server: Server, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    joined.say([32, 1, {}, KANBAN])
    monkeypatch.setattr(Outbound, "waiting", lambda line: waiting)
    server.publish(publication())
    server.clock.advance(0)
    assert server.backpressure.total == waiting
    joined.lose()
    assert server.backpressure.total == 0


def test_no_more_are_cut_off_than_must_be_although_twisted_ends_connections_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "abortConnection", lambda wire: None)
    monkeypatch.setattr(Outbound, "waiting", lambda line: 50)
    browsers = [Browser(server) for _ in range(4)]
    for browser in browsers:
        browser.join()
        browser.say([32, 1, {}, KANBAN])
    server.backpressure.most = 160
    server.publish(publication())
    server.clock.advance(0)
    lines = [browser.connection.outbound for browser in browsers]
    assert sum(line is not None and not line.is_open for line in lines) == 2
    assert server.backpressure.total == 100
    for browser in browsers:
        browser.lose()
    server.pass_time(8)
