"""The sessions of a realm: by their id, by their user, and by the window that they speak for."""

from collections.abc import Collection
from typing import Protocol, TypeVar

from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.publication import Window


class Present(Protocol):
    """A session, to the roster. Its user, role and window do not change while it is there."""

    id: int

    @property
    def identity(self) -> Identity: ...

    @property
    def window(self) -> str | None: ...


S = TypeVar("S", bound=Present)


def window_of(session: Present) -> Window | None:
    """The window that a user's session speaks for; an operator's means nothing to anybody."""
    if session.window is None or session.identity.role is not Role.USER:
        return None
    return Window(session.identity.user_id, session.window)


class Roster(dict[int, S]):
    """By id; also ``users``, by user and id, and ``windows``: whoever came last is the window's."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, dict[int, S]] = {}
        self.windows: dict[Window, S] = {}

    def enter(self, session: S) -> None:
        self[session.id] = session
        self.users.setdefault(session.identity.user_id, {})[session.id] = session
        if (window := window_of(session)) is not None:
            self.windows[window] = session

    def leave(self, session: S) -> bool:
        """Whether it was there."""
        if self.get(session.id) is not session:
            return False
        del self[session.id]
        user = session.identity.user_id
        of_user = self.users[user]
        del of_user[session.id]
        if not of_user:
            del self.users[user]
        window = window_of(session)
        if window is not None and self.windows.get(window) is session:
            del self.windows[window]
        return True

    def of_user(self, user_id: int) -> Collection[S]:
        """The sessions of a user now, in whatever role."""
        return tuple(self.users.get(user_id, {}).values())
