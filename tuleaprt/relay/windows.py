"""Watches the windows that are on an execution: tells the journal when they gain or lose their session, and
ends their grace.

All graces share one delayed call, whose only effect is a record: "the grace of this window, absent since
then, is over". Presence ignores the record if the window has had a session since (tuleap/presence.py), so
any node may append it, even twice. A record names the session of the window, so the late end of a session
that was replaced changes nothing.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from tuleaprt.operations.logs import Faults
from tuleaprt.tuleap.inputs import (
    GraceEnded,
    GroupsShown,
    Input,
    SessionsKilled,
    WindowLost,
    WindowSeen,
    WindowUnsubscribed,
)
from tuleaprt.tuleap.presence import Presence
from tuleaprt.wamp.publication import Window

RETRY_SECONDS = 1


class Call(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Twisted's IReactorTime."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[[], object]) -> Any: ...


class Windows:
    """An Observer of the realm. It owns the delayed call for the grace of all windows.

    ``node`` is the name of this node. ``session_of`` returns the session of a window here. ``note`` appends
    an input to the journal. ``shares_groups``: the journal also gets the groups of users, for later
    processes and other nodes. ``has_others``: other nodes follow the journal.
    """

    def __init__(
        self,
        presence: Presence,
        clock: Clock,
        *,
        node: str,
        grace: float,
        session_of: Callable[[Window], int | None],
        note: Callable[[Input], object],
        shares_groups: bool,
        has_others: bool,
        faults: Faults,
    ) -> None:
        self._presence = presence
        self._clock = clock
        self._node = node
        self._grace = grace
        self._session_of = session_of
        self._note = note
        self._shares_groups = shares_groups
        self._has_others = has_others
        self._faults = faults
        self._absent: list[tuple[float, float, Window]] = []
        self._call: Call | None = None
        self._is_stopped = False

    # Called by the realm.

    def joined(self, window: Window, session: int) -> None:
        if self._presence.holds(window):
            self._note(WindowSeen(window=window, session=session, node=self._node, is_new=True))

    def left(self, window: Window, session: int) -> None:
        if self._presence.holds(window):
            self._note(WindowLost(window=window, session=session))

    def groups_shown(self, user_id: int, exp: float, groups: frozenset[str]) -> None:
        if self._shares_groups:
            self._note(GroupsShown(user_id=user_id, exp=exp, groups=groups))

    def killed(self, authid: str | None, authrole: str | None, reason: str, message: str | None) -> None:
        if self._has_others:
            self._note(
                SessionsKilled(
                    node=self._node, authid=authid, authrole=authrole, reason=reason, message=message
                )
            )

    def unsubscribed(self, window: Window, topic: str) -> None:
        if self._presence.campaign_of(window) == topic:
            self._note(WindowUnsubscribed(window=window, topic=topic))

    # Called by the relay.

    def concerned(self, window: Window) -> None:
        """A record has named this window. Tell the journal if it has a session here, or start its grace."""
        session = self._session_of(window)
        since = self._presence.absent_since(window)
        if since is not None and session is not None:
            self._note(WindowSeen(window=window, session=session, node=self._node))
        elif since is not None and not self._is_stopped:
            self._wait(since + self._grace, since, window)

    def stop(self) -> None:
        """Cancel the graces."""
        self._is_stopped = True
        self._absent.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self, due: float, since: float, window: Window) -> None:
        heappush(self._absent, (due, since, window))
        self._arm()

    def _arm(self) -> None:
        """Schedule the earliest end. Records come in order, so the next one is not earlier."""
        if self._absent and self._call is None:
            delay = self._absent[0][0] - self._clock.seconds()
            self._call = self._clock.callLater(max(0, delay), self._end_graces)

    def _end_graces(self) -> None:
        self._call = None
        now = self._clock.seconds()
        try:
            while self._absent and self._absent[0][0] <= now:
                _, since, window = heappop(self._absent)
                if self._presence.absent_since(window) == since:
                    self._note(GraceEnded(window=window, since=since))
                if self._presence.absent_since(window) == since:
                    # If the journal has not taken the record, the viewer would be shown for ever.
                    self._wait(now + self._grace + RETRY_SECONDS, since, window)
        except Exception:
            self._faults.record("ending the grace of windows")
        self._arm()
