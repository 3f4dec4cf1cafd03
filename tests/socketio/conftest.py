"""A world with a kanban page, and posts to its board."""

from typing import Any

import pytest

from tests.fakes import body
from tests.world import PageWindow, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def page(world: World) -> PageWindow:
    """A kanban page that has subscribed."""
    page = PageWindow(world)
    page.subscribe()
    assert page.take() == []
    return page


def post(world: World, cmd: str = "kanban_column:create", data: object = "x", **changes: Any) -> None:
    assert world.post(body(cmd=cmd, data=data, **changes)) != 422


def named(*data: object) -> list[tuple[str, object]]:
    return [("kanban_column:create", it) for it in data]
