"""Presence: which windows are on which execution, each window on at most one (contract 4.6, "wanted").

A viewer is a window: a user id and a uuid. A window whose session has ended is *absent* since that time.
It keeps its place until the grace is over, unless it gets a session before. The end of a session counts
only if it was the latest session of the window.

The windows of a node become absent, too, when the node has written nothing for ``NODE_SECONDS``: a node that
was killed cannot say that its sessions have ended. A node that was only slow says that it still has them.

Times are in seconds since the epoch, as in the records. The length of the grace is decided elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tuleaprt.wamp.publication import JsonText, Window

NODE_SECONDS = 30
"""Each node writes a probe every ten seconds (application/health.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewers:
    """The viewers of an execution, in the order in which they entered it."""

    execution: int
    viewers: tuple[JsonText, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceChange:
    """A viewer has entered an execution, left one, or both, in one campaign."""

    topic: str
    viewer: JsonText
    added: Viewers | None = None
    removed: Viewers | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A window has left its execution and will not return."""

    topic: str
    execution: int
    window: Window


@dataclass(slots=True)
class _Place:
    """The place of a window. ``session`` is its session, on ``node``; None: it is absent since
    ``absent_since``.
    """

    topic: str
    execution: int
    viewer: JsonText
    session: int | None
    absent_since: float
    node: str


class PlaceState(NamedTuple):
    """The place of a window, as a snapshot keeps it."""

    window: Window
    topic: str
    execution: int
    viewer: bytes
    session: int | None
    absent_since: float
    node: str = ""


class Presence:
    """The places of all windows in all campaigns. A campaign is named by its topic."""

    def __init__(self) -> None:
        self._places: dict[Window, _Place] = {}
        self._executions: dict[str, dict[int, dict[Window, JsonText]]] = {}
        self._heard: dict[str, float] = {}
        """When each node has written its last probe."""

    def __len__(self) -> int:
        return len(self._places)

    def viewers(self, topic: str) -> Mapping[int, Mapping[Window, JsonText]]:
        """The viewers of each execution of a campaign that has viewers."""
        return self._executions.get(topic, {})

    def holds(self, window: Window) -> bool:
        """Whether the window is on an execution."""
        return window in self._places

    def campaign_of(self, window: Window) -> str | None:
        """The topic of the campaign that the window is in; None: in none."""
        place = self._places.get(window)
        return None if place is None else place.topic

    def absent_since(self, window: Window) -> float | None:
        """Since when the window is absent; None: it has a session, or is on no execution."""
        place = self._places.get(window)
        return None if place is None or place.session is not None else place.absent_since

    def session(self, window: Window) -> int | None:
        """The session of the window; None: it is absent, or on no execution."""
        place = self._places.get(window)
        return None if place is None else place.session

    def state(self) -> list[PlaceState]:
        """The places in the order in which windows took them."""
        return [
            PlaceState(window, it.topic, it.execution, it.viewer.text, it.session, it.absent_since, it.node)
            for window, it in self._places.items()
        ]

    def nodes(self) -> dict[str, float]:
        """When each node has written its last probe."""
        return dict(self._heard)

    def restore(self, places: Iterable[PlaceState], heard: Mapping[str, float]) -> None:
        """Take over the places and the nodes of a snapshot."""
        self._heard = dict(heard)
        for it in places:
            viewer = JsonText(it.viewer)
            self._places[it.window] = _Place(
                it.topic, it.execution, viewer, it.session, it.absent_since, it.node
            )
            self._executions.setdefault(it.topic, {}).setdefault(it.execution, {})[it.window] = viewer

    # Called for Tuleap's posts.

    def enter(
        self, window: Window, topic: str, execution: int, viewer: JsonText, *, left: int | None, at: float
    ) -> list[PresenceChange]:
        """Put the window on this execution, and take it from any other, whatever ``left`` says.

        The change in this campaign comes first. If the window had no place, the change also names the
        execution ``left`` with its viewers, because a page may still show the window there.
        """
        former = self._places.get(window)
        if former is not None and (former.topic, former.execution) == (topic, execution):
            former.absent_since = at
            return []
        if former is not None:
            self._vacate(window, former)
        session, node = (None, "") if former is None else (former.session, former.node)
        self._places[window] = _Place(topic, execution, viewer, session, at, node)
        self._executions.setdefault(topic, {}).setdefault(execution, {})[window] = viewer
        elsewhere = [] if former is None or former.topic == topic else [self._removal(former)]
        origin = left if former is None else former.execution
        change = PresenceChange(
            topic=topic,
            viewer=viewer,
            added=self._who_is_on(topic, execution),
            removed=None if origin is None or elsewhere else self._who_is_on(topic, origin),
        )
        return [change, *elsewhere]

    def leave(self, window: Window, topic: str, execution: int) -> list[PresenceChange]:
        """Take the window from this execution. Nothing happens if it is on another one."""
        place = self._places.get(window)
        if place is None or (place.topic, place.execution) != (topic, execution):
            return []
        self._vacate(window, place)
        return [self._removal(place)]

    def delete(self, topic: str, execution: int) -> None:
        """Take all windows from the execution, which has been deleted."""
        executions = self._executions.get(topic, {})
        for window in executions.pop(execution, ()):
            del self._places[window]
        if not executions:
            self._executions.pop(topic, None)

    # Called when windows gain and lose their sessions.

    def seen(self, window: Window, session: int, node: str = "") -> None:
        """The window has this session from now on."""
        if (place := self._places.get(window)) is not None:
            place.session, place.node = session, node

    def lost(self, window: Window, session: int, at: float) -> None:
        """The session has ended. The window is absent if this was its session."""
        place = self._places.get(window)
        if place is not None and place.session == session:
            place.session, place.absent_since = None, at

    def heard(self, node: str, at: float) -> list[Window]:
        """The node has written a probe. Returns the windows that are absent now, because their nodes have
        written none for ``NODE_SECONDS``.
        """
        self._heard[node] = at
        # A node that has just begun to hold windows may not have written a probe.
        for place in self._places.values():
            if place.session is not None:
                self._heard.setdefault(place.node, at)
        gone = {node for node, last in self._heard.items() if last < at - NODE_SECONDS}
        if not gone:
            return []
        for node in gone:
            del self._heard[node]
        lost = [
            (window, it) for window, it in self._places.items() if it.session is not None and it.node in gone
        ]
        for window, place in lost:
            assert place.session is not None
            self.lost(window, place.session, at)
        return [window for window, _ in lost]

    def grace_ended(self, window: Window, since: float) -> list[PresenceChange | Departure]:
        """The grace of a window that is absent since then is over."""
        return self._depart(window) if self.absent_since(window) == since else []

    def unsubscribed(self, window: Window, topic: str) -> list[PresenceChange | Departure]:
        """The window has unsubscribed from this campaign."""
        return self._depart(window) if self.campaign_of(window) == topic else []

    def _depart(self, window: Window) -> list[PresenceChange | Departure]:
        place = self._places[window]
        self._vacate(window, place)
        others = self._executions.get(place.topic, {}).values()
        if any(it.uuid == window.uuid for viewers in others for it in viewers):
            # Pages know a departed window by its uuid alone, and another user's window has the same uuid.
            return [self._removal(place)]
        return [Departure(topic=place.topic, execution=place.execution, window=window)]

    def _vacate(self, window: Window, place: _Place) -> None:
        del self._places[window]
        viewers = self._executions[place.topic][place.execution]
        del viewers[window]
        if not viewers:
            self.delete(place.topic, place.execution)

    def _removal(self, place: _Place) -> PresenceChange:
        return PresenceChange(
            topic=place.topic, viewer=place.viewer, removed=self._who_is_on(place.topic, place.execution)
        )

    def _who_is_on(self, topic: str, execution: int) -> Viewers:
        viewers = self._executions.get(topic, {}).get(execution, {})
        return Viewers(execution=execution, viewers=tuple(viewers.values()))
