"""What the realm does to the session of a page."""

from tests.socketio.conftest import named, post
from tests.world import PageWindow, World
from tuleaprt.wamp.outlet import End


def test_a_killed_page_does_not_come_back(world: World, page: PageWindow) -> None:
    (session,) = world.realm.sessions.values()
    session.dismiss(End.KILLED, "x", None, world.now)
    assert (page.take(), page.ended) == ([("1", None)], (End.KILLED, ""))
    assert not world.realm.sessions


def test_a_revoked_user_does_not_come_back(world: World, page: PageWindow) -> None:
    world.revoke(102)
    assert (page.take(), page.ended) == ([("1", None)], (End.REVOKED, ""))
    again = PageWindow(world)
    again.subscribe()
    assert again.take() == [("1", None)]


def test_the_window_that_comes_back_replaces_itself_and_misses_nothing(
    world: World, page: PageWindow
) -> None:
    post(world, data=1)
    again = PageWindow(world)
    again.subscribe()
    assert again.take() == []
    post(world, data=2)
    assert page.take() == [("2", ["kanban_column:create", 1]), ("1", None)]
    assert page.ended == (End.REPLACED, "")
    assert again.events() == named(2)
