"""Those who have not shown who they are."""

from collections.abc import Callable

import pytest

from tests.conftest import TurningClock
from tests.transport.sockets import HELLO, Browser, Peer, Program, Server
from tuleaprt.transport.lobby import Lobby


def test_one_more_than_may_be_here_is_a_crowd_and_one_more_than_twice_is_no_room_at_all() -> None:
    lobby = Lobby(2)
    seen = []
    for _ in range(5):
        lobby.enter()
        seen.append((lobby.is_crowded, lobby.is_overrun))
    assert seen == [(False, False)] * 2 + [(True, False)] * 2 + [(True, True)]
    for _ in range(3):
        lobby.leave()
    assert not lobby.is_crowded


def browser(server: Server) -> Peer:
    """A browser that came through an entrance."""
    browser = Browser(server)
    server.lobby.enter()
    browser.connection.lobby = server.lobby
    return browser


@pytest.mark.parametrize("make", [browser, Program])
def test_one_stays_until_one_has_shown_a_ticket_or_is_gone(
    clock: TurningClock, make: Callable[[Server], Peer]
) -> None:
    server = Server(clock)
    one, other = make(server), make(server)
    one.greet()
    other.greet()
    one.say(HELLO)
    assert server.lobby.inside == 2
    one.say([5, "good", {}])
    assert server.lobby.inside == 1
    one.lose()
    assert server.lobby.inside == 1
    other.say(HELLO)
    other.say([5, "bad", {}])
    other.lose()
    assert server.lobby.inside == 0
    server.pass_time(3)


def test_a_program_that_is_one_too_many_is_told_so(clock: TurningClock) -> None:
    server = Server(clock, max_unauthenticated=0)
    program = Program(server)
    assert program.handshake(b"\x7f\xf1\0\0") == b"\x7f\x40\0\0"
    program.lose()
