"""What the server itself says: of viewers, and of the podium (contract 4.6; docs/tuleap.rst).

::

    testmanagement_user:presence   {"user": {…}, "execution_to_add": 40,
                                    "execution_presences_to_add": [{…}], "execution_to_remove": "39",
                                    "execution_presences_to_remove": []}     or one half of it
    user:leave                     "7b1c8d2e-…"
    testmanagement_podium:update   [{"user": {…}, "score": 3, "rank": 1}, …]

Each is for those who may see the executions that it speaks of, and each half of a change for those who may
see its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.commands import LEAVE, PODIUM, PRESENCE
from tuleaprt.tuleap.podium import Podium
from tuleaprt.tuleap.presence import Departure, PresenceChange, Viewers
from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.publication import Kwargs, Publication, Replay, Window

Draft = Callable[..., Publication]
"""A publication that has everything but its id."""

STANDING_BYTES = 500
SCORES_BYTES = 200
"""What the podium of a publication takes in memory, for each user and each value of rights."""


def presence_changed(change: PresenceChange, campaigns: Campaigns, sender: Window | None = None) -> Draft:
    """``sender`` is that of the message that it follows from, if it follows from one."""
    added, removed = change.added, change.removed
    to_add = _rights_of(change.topic, added, campaigns)
    to_remove = _rights_of(change.topic, removed, campaigns)
    if removed is not None and to_remove is None:
        # Nobody has been on it. Nothing but its id is told, to those whom Tuleap tells it (case P10).
        to_remove = to_add
    come = {} if added is None else _half("add", added.execution, added)
    gone = {} if removed is None else _half("remove", str(removed.execution), removed)
    parts: dict[tuple[bool, bool], Kwargs] = {
        halves: {"cmd": PRESENCE, "data": {"user": change.viewer, **part}}
        for halves, part in {(True, True): come | gone, (True, False): come, (False, True): gone}.items()
        if part
    }

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        sees_added = to_add is not None and to_add.admit(groups, user_id)
        sees_removed = to_remove is not None and to_remove.admit(groups, user_id)
        return parts.get((sees_added, sees_removed))

    return partial(
        Publication,
        topic=change.topic,
        kwargs=parts[True, True],
        view=view,
        submitters=submitters(to_add, to_remove),
        sender=sender,
        replay=Replay.NEVER,
    )


def _half(verb: str, execution: int | str, viewers: Viewers) -> dict[str, Any]:
    return {f"execution_to_{verb}": execution, f"execution_presences_to_{verb}": viewers.viewers}


def departed(departure: Departure, campaigns: Campaigns) -> Draft:
    """For those who could see the window where it was."""
    rights = campaigns.rights_of(departure.topic, departure.execution)
    kwargs: Kwargs = {"cmd": LEAVE, "data": departure.window.uuid}

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return kwargs if rights is not None and rights.admit(groups, user_id) else None

    return partial(
        Publication,
        topic=departure.topic,
        kwargs=kwargs,
        view=view,
        submitters=submitters(rights),
        replay=Replay.NEVER,
    )


def podium_changed(topic: str, before: Podium, after: Podium) -> Draft:
    """The whole podium, for those to whom it is another than before."""
    # Merged, not made a set of: rights are dear to hash, and dictionaries know their hashes.
    known = [it for it in {**before.scores, **after.scores} if it is not None]
    parts: dict[tuple[int, ...], Kwargs | None] = {}

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        seen = tuple(place for place, it in enumerate(known) if it.admit(groups, user_id))
        if seen not in parts:
            visible = [known[place] for place in seen]
            standings = after.standings(visible)
            is_new = standings != before.standings(visible)
            parts[seen] = {"cmd": PODIUM, "data": standings} if is_new else None
        return parts[seen]

    return partial(
        Publication,
        topic=topic,
        kwargs={"cmd": PODIUM, "data": after.standings(after.scores)},
        view=view,
        submitters=submitters(*known),
        replay=Replay.LAST,
        size=STANDING_BYTES * len(after.users) + SCORES_BYTES * len(known),
    )


def submitters(*rights: Rights | None) -> frozenset[int]:
    return frozenset(it.submitter_id for it in rights if it is not None and it.submitter_id is not None)


def _rights_of(topic: str, viewers: Viewers | None, campaigns: Campaigns) -> Rights | None:
    return None if viewers is None else campaigns.rights_of(topic, viewers.execution)
