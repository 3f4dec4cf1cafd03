"""What all sockets of pages share: the realm, the times, and what each window has received.

Tuleap's pages cannot say which publication they received last. The server remembers it for each window that
has lost its socket, so that a page that subscribes again gets what it missed (docs/socketio.rst).
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tuleaprt.errors import PositionLost
from tuleaprt.wamp.auth import Authenticator, Identity
from tuleaprt.wamp.broker import Subscription
from tuleaprt.wamp.calls import Procedure
from tuleaprt.wamp.history import History
from tuleaprt.wamp.outlet import End, Peer
from tuleaprt.wamp.publication import Window
from tuleaprt.wamp.realm import Realm

MAX_POSITIONS, MAX_POSITIONS_OF_A_USER = 50_000, 100
"""How many windows are remembered, and how many of one user."""


class Place(NamedTuple):
    """A window in a room."""

    window: Window
    topic: str


class Positions:
    """The last publication that was handed to the socket of each window. The longest unused is forgotten
    first.
    """

    def __init__(self, most: int = MAX_POSITIONS, most_of_a_user: int = MAX_POSITIONS_OF_A_USER) -> None:
        self._most = most
        self._most_of_a_user = most_of_a_user
        self._known: OrderedDict[Place, int] = OrderedDict()
        self._of_user: dict[int, dict[Place, None]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def state(self) -> list[tuple[int, str, str, int]]:
        """User id, uuid, topic and publication id, the longest unused first."""
        return [(*place.window, place.topic, publication) for place, publication in self._known.items()]

    def restore(self, state: Iterable[tuple[int, str, str, int]]) -> None:
        """Take over what a former process has remembered."""
        for user_id, uuid, topic, publication in state:
            self.keep(Place(Window(user_id, uuid), topic), publication)

    def forget(self, state: Iterable[tuple[int, str, str, int]]) -> None:
        """Forget what another process has remembered, as far as it is not newer here."""
        for user_id, uuid, topic, publication in state:
            place = Place(Window(user_id, uuid), topic)
            if self._known.get(place) == publication:
                self.take(place)

    def keep(self, place: Place, publication: int) -> None:
        """Remember the id of a publication, or of the place before the first one (wamp/history.py)."""
        self.take(place)
        self._known[place] = publication
        of_user = self._of_user.setdefault(place.window.user_id, {})
        of_user[place] = None
        if len(of_user) > self._most_of_a_user:
            self.take(next(iter(of_user)))
        elif len(self._known) > self._most:
            self.take(next(iter(self._known)))

    def advance(self, place: Place, former: int, publication: int) -> None:
        """The window got more after it had left. Nothing happens if another socket has it meanwhile."""
        if self._known.get(place) == former:
            self._known[place] = publication

    def take(self, place: Place) -> int | None:
        """Forget the window in this room, and return the id; None: it is not known."""
        publication = self._known.pop(place, None)
        if publication is not None:
            user = place.window.user_id
            del self._of_user[user][place]
            if not self._of_user[user]:
                del self._of_user[user]
        return publication


def reached(history: History, subscription: Subscription, outlet: "Outlet", *, is_replayed: bool) -> int:
    """The id of the last place up to which the client has everything that it may see: the last publication
    that was handed to it, or a later one before the first that is missing.
    """
    if not is_replayed:
        return outlet.handed
    handed, missing = outlet.handed, outlet.first_missing(subscription)
    if not missing:
        return history.position(subscription)
    try:
        before = history.before(subscription, missing)
    except PositionLost:
        return handed
    try:
        is_later = history.place(subscription, handed) > history.place(subscription, before)
    except PositionLost:
        # It was evicted long ago: the client may see few events.
        is_later = False
    return handed if is_later else before


class Outlet(Peer, Protocol):
    """A transport, to the page that uses it."""

    handed: int
    """The id of the last publication that was handed to the client, or of the place before the first one."""

    def first_missing(self, subscription: Subscription) -> int:
        """The id of the first publication of this subscription that may not have been handed to the client.
        0: there is none.
        """

    def commit(self) -> None:
        """The connection goes on: count what waits in it as handed to the client."""

    def enter(self, namespace: str) -> None:
        """Send events in the format of this namespace from now on."""

    def put(self, packet: bytes, publication: int = 0) -> None:
        """Send an Engine.IO packet now. It hands over the publication with this id; 0: none."""

    def then(self, do: Callable[[], None], session: Hashable) -> None:
        """Call ``do`` when the events that are queued for this session have been sent."""

    def close(self, end: End, detail: str = "") -> None:
        """Close behind everything that is queued. ``detail`` is for the log."""

    def wake_at(self, when: float) -> None:
        """Call ``wake`` of the page at this time (seconds since the epoch); infinity: never."""

    def note(self, text: str) -> None:
        """Log that something of this client was refused. The text quotes nothing of the client."""


Presences = Callable[[str, Identity], Mapping[int, Sequence[Any]]]
"""Takes a campaign's topic and an identity, and returns the viewers of each execution that it may see."""


@dataclass(slots=True, kw_only=True)
class PageRouter:
    """Times are in seconds, sizes in bytes. ``replayed`` counts a replay as ``complete`` or
    ``position_lost``. ``requests_per_second`` may change; a page keeps the value that it began with.
    """

    realm: Realm
    authenticator: Authenticator
    refresh: Procedure
    presences: Presences
    replayed: Callable[[str], None]
    positions: Positions
    open_timeout: float
    reminder: float
    ping_interval: float
    ping_timeout: float
    requests_per_second: float
    max_replay: int
