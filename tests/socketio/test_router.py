"""What the server remembers of windows that have lost their socket."""

from tuleaprt.socketio.router import Place, Positions
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
