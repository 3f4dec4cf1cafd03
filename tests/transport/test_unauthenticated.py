"""Limits the connections that have not authenticated yet."""

from collections.abc import Callable

import pytest

from tests.conftest import Log, TurningClock
from tests.transport.sockets import HELLO, Browser, Peer, Program, Server
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit

HERE = "192.168.1.1"
"""Where the peers of the tests are."""


class Door:
    """A unauthenticated, and which of its admissions had to go."""

    def __init__(self, most: int) -> None:
        self.gone: list[str] = []
        self.why: list[str] = []
        self.dropped = 0
        self.unauthenticated = UnauthenticatedLimit(most, self._count)

    def _count(self) -> None:
        self.dropped += 1

    def enter(self, name: str, network: str) -> object:
        def drop(why: str) -> None:
            self.gone.append(name)
            self.why.append(why)

        return self.unauthenticated.enter(network, drop)


def test_one_address_that_fills_the_room_locks_no_newcomer_out() -> None:
    entrance = Door(3)
    for name in ("a1", "a2", "a3", "a4", "a5"):
        entrance.enter(name, "203.0.113.9")
    entrance.enter("b1", "203.0.113.10")
    entrance.enter("c1", "")
    assert entrance.gone == ["a1", "a2", "a3", "a4"]
    assert set(entrance.why) == {"too many connections without a token from 203.0.113.9"}
    assert (entrance.dropped, entrance.unauthenticated.inside) == (4, 3)


def test_the_local_clients_of_a_unix_socket_count_as_one() -> None:
    entrance = Door(1)
    entrance.enter("1", "")
    entrance.enter("2", "")
    assert entrance.why == ["too many connections without a token from a Unix socket"]


def test_the_clients_of_a_proxy_are_told_apart_when_they_are_known() -> None:
    entrance = Door(3)
    admissions = [entrance.unauthenticated.enter("127.0.0.1", lambda why: None) for _ in range(2)]
    for admission in admissions:
        admission.move("203.0.113.9")
        admission.move("203.0.113.9")
    entrance.enter("proxy", "127.0.0.1")
    entrance.enter("proxy again", "127.0.0.1")
    assert (entrance.gone, entrance.unauthenticated.inside) == ([], 3)
    for admission in admissions:
        admission.leave()
        admission.move("203.0.113.10")
    assert entrance.unauthenticated.inside == 2


def test_a_limit_that_is_lowered_holds_from_the_next_on() -> None:
    entrance = Door(5)
    for number in range(5):
        entrance.enter(str(number), "203.0.113.9")
    entrance.unauthenticated.most = 2
    entrance.enter("5", "203.0.113.10")
    assert (entrance.gone, entrance.unauthenticated.inside) == (["0", "1", "2", "3"], 2)


@pytest.mark.parametrize("make", [Browser, Program])
def test_one_stays_until_one_has_shown_a_ticket_or_is_gone(
    clock: TurningClock, make: Callable[[Server], Peer]
) -> None:
    server = Server(clock)
    one, other = make(server), make(server)
    one.greet()
    other.greet()
    one.say(HELLO)
    assert server.unauthenticated.inside == 2
    one.say([5, "good", {}])
    assert server.unauthenticated.inside == 1
    one.lose()
    assert server.unauthenticated.inside == 1
    other.say(HELLO)
    other.say([5, "bad", {}])
    other.lose()
    assert server.unauthenticated.inside == 0
    server.pass_time(3)


@pytest.mark.parametrize("stage", ["connected", "greeted", "said hello"])
@pytest.mark.parametrize("make", [Browser, Program])
def test_who_is_dropped_for_a_newcomer_goes_at_once_and_with_one_line(
    clock: TurningClock, log: Log, make: Callable[[Server], Peer], stage: str
) -> None:
    server = Server(clock, max_unauthenticated=1)
    silent = make(server)
    if stage != "connected":
        silent.greet()
    if stage == "said hello":
        silent.say(HELLO)
    newcomer = make(server)
    assert silent.transport.disconnected
    assert newcomer.join()[-1][0] == 2
    silent.lose()
    assert server.metrics.dropped == 1
    (line,) = [it for it in log.lines if "too many" in it]
    assert f"too many connections without a token from {HERE}" in line
    newcomer.lose()
    server.pass_time(6)
    assert (server.unauthenticated.inside, server.sizes()) == (0, (0, 0, 0))


@pytest.mark.parametrize("make", [Browser, Program])
def test_connections_without_a_ticket_take_no_place_of_max_connections(
    clock: TurningClock, make: Callable[[Server], Peer]
) -> None:
    server = Server(clock, max_connections=2)
    silent = [make(server) for _ in range(5)]
    for peer in silent:
        peer.greet()
    members = [make(server) for _ in range(2)]
    for peer in members:
        assert peer.join()[-1][0] == 2
    assert server.connections.is_full
    members[0].lose()
    assert not server.connections.is_full
    for peer in (*silent, *members):
        peer.lose()
    server.pass_time(6)


def test_a_browser_behind_a_proxy_counts_for_its_own_address(clock: TurningClock) -> None:
    server = Server(clock, max_unauthenticated=2, forwarded_for=(HERE,))
    attackers = [Browser(server) for _ in range(2)]
    for attacker in attackers:
        attacker.handshake(X_Forwarded_For="2001:db8::1")
    newcomer = Browser(server)
    newcomer.handshake(X_Forwarded_For="2001:db8:0:1::1")
    assert [it.transport.disconnected for it in (*attackers, newcomer)] == [True, False, False]
    for peer in (*attackers, newcomer):
        peer.lose()
    server.pass_time(6)
