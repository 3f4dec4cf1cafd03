"""What the server remembers of windows that have lost their socket."""

import pytest

from tests.fakes import KANBAN, history, publication
from tests.world import PageOutlet
from tuleaprt.socketio.router import Place, Positions, reached
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import Window


def place(user: int = 102, uuid: str = "u", topic: str = "org.tuleap.kanban.3") -> Place:
    return Place(Window(user, uuid), topic)


def test_a_position_is_taken_once() -> None:
    positions = Positions()
    positions.keep(place(), 7)
    assert (positions.take(place()), positions.take(place()), len(positions)) == (7, None, 0)


def test_attack_another_user_or_room_does_not_get_the_position() -> None:
    positions = Positions()
    positions.keep(place(), 7)
    assert positions.take(place(user=103)) is None
    assert positions.take(place(topic="org.tuleap.kanban.4")) is None
    assert positions.take(place(uuid="other")) is None


def test_the_longest_unused_is_forgotten_first() -> None:
    positions = Positions(most=2)
    for user in (1, 2):
        positions.keep(place(user), user)
    positions.keep(place(1), 11)
    positions.keep(place(3), 3)
    assert [positions.take(place(user)) for user in (1, 2, 3)] == [11, None, 3]


def test_attack_one_user_with_many_windows_forgets_only_its_own() -> None:
    positions = Positions(most=100, most_of_a_user=3)
    positions.keep(place(1), 1)
    for number in range(50):
        positions.keep(place(2, str(number)), number)
    assert (len(positions), positions.take(place(1))) == (4, 1)
    assert positions.take(place(2, "46")) is None
    assert positions.take(place(2, "49")) == 49


@pytest.mark.parametrize(
    ("handed", "missing", "is_replayed", "position"),
    [
        (3, 0, True, 6),
        (3, 6, True, 5),
        # The event is on its way to other subscribers.
        (6, 6, True, 6),
        # The history does not reach back to the last event that the client was allowed to see.
        (1, 5, True, 4),
        # The missing event has been evicted.
        (1, 2, True, 1),
        (3, 6, False, 3),
    ],
)
def test_the_place_up_to_which_a_client_has_everything(
    handed: int, missing: int, is_replayed: bool, position: int
) -> None:
    memory = history(events_per_topic=3)
    for id in range(1, 7):
        memory.append(publication(id=id), 1000)
    subscription = Subscription(7, KANBAN, Match.EXACT, 1000)
    outlet = PageOutlet()
    outlet.handed, outlet.missing = handed, missing
    assert reached(memory, subscription, outlet, is_replayed=is_replayed) == position


def test_what_was_taken_late_counts_unless_another_socket_has_the_window() -> None:
    positions = Positions()
    positions.keep(place(), 7)
    positions.advance(place(), 6, 9)
    positions.advance(place(uuid="other"), 7, 9)
    assert positions.state() == [(102, "u", "org.tuleap.kanban.3", 7)]
    positions.advance(place(), 7, 8)
    assert positions.take(place()) == 8


def test_what_another_process_has_remembered_is_forgotten_unless_it_is_newer_here() -> None:
    positions = Positions()
    state = [(102, "u", "org.tuleap.kanban.3", 7), (102, "v", "org.tuleap.kanban.3", 8)]
    positions.restore(state)
    positions.keep(Place(Window(102, "v"), "org.tuleap.kanban.3"), 9)
    positions.forget(state)
    assert positions.state() == [(102, "v", "org.tuleap.kanban.3", 9)]
