"""The session of a page in the realm, from one ``subscription`` to its end."""

from typing import Protocol

from tuleaprt.socketio.events import Wanted
from tuleaprt.socketio.router import Outlet, PageRouter, Place
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Window


class Owner(Protocol):
    """The page, to its session."""

    router: PageRouter
    outlet: Outlet

    def finish(self, end: End, detail: str = "") -> None:
        """End the socket for good."""

    def schedule(self) -> None:
        """The end of the session's token has changed."""


class PageSession:
    """A Member of the realm, and an Addressee of the fan-out. It has one subscription."""

    __slots__ = (
        "authmethod",
        "id",
        "identity",
        "is_replayed",
        "outlet",
        "page",
        "subscriptions",
        "topic",
        "window",
    )

    def __init__(self, page: Owner, identity: Identity, wanted: Wanted) -> None:
        self.id = 0
        self.authmethod = "ticket"
        self.identity = identity
        self.is_replayed = True
        """False while the events that the page has missed wait for the fan-out."""
        self.outlet = page.outlet
        self.page = page
        self.subscriptions: set[int] = set()
        self.topic = wanted.topic
        self.window: str | None = wanted.uuid

    @property
    def place(self) -> Place:
        return Place(Window(self.identity.user_id, self.window or ""), self.topic)

    def replayed(self) -> None:
        self.is_replayed = True

    def dismiss(self, end: End, reason: str, message: str | None, now: float) -> None:
        """Leave the realm, and end the page's socket for good: it would open the next one at once."""
        self.page.finish(end)

    def revoked(self, subscription: int, reason: str) -> None:
        self.page.finish(End.REFUSED, "the newest token does not cover the room")

    def assume(self, identity: Identity) -> None:
        self.identity = identity
        self.page.schedule()
        self.page.router.realm.revoke_what_is_lost(self)
