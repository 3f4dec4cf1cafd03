"""The messages that the server makes itself: presence and podium (contract 4.6; docs/tuleap.rst).

::

    testmanagement_user:presence   {"user": {…}, "execution_to_add": 40,
                                    "execution_presences_to_add": [{…}], "execution_to_remove": "39",
                                    "execution_presences_to_remove": []}     or one half of it
    user:leave                     "7b1c8d2e-…"
    testmanagement_podium:update   [{"user": {…}, "score": 3, "rank": 1}, …]

A user receives a message if the user may see the execution that it names. Each half of a presence change
has an execution of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from tuleaprt.tuleap.campaign import Campaign, Campaigns
from tuleaprt.tuleap.commands import LEAVE, PODIUM, PRESENCE
from tuleaprt.tuleap.podium import Podium
from tuleaprt.tuleap.presence import Departure, PresenceChange, Viewers
from tuleaprt.tuleap.rights import Executions, Rights
from tuleaprt.wamp.publication import Kwargs, Publication, Replay, Window

Draft = Callable[..., Publication]
"""A publication that lacks only its id."""

STANDING_BYTES = 500
SCORES_BYTES = 200
"""The size of a podium in the event history, for each user and for each value of rights."""


def presence_changed(change: PresenceChange, campaigns: Campaigns, sender: Window | None = None) -> Draft:
    """The message about a change of presence. ``sender`` is the window of the post that caused it, if a post
    did.
    """
    topic, added, removed = change.topic, change.added, change.removed
    executions = campaigns.executions
    come = {} if added is None else _half("add", added.execution, added)
    gone = {} if removed is None else _half("remove", str(removed.execution), removed)
    parts: dict[tuple[bool, bool], Kwargs] = {
        halves: {"cmd": PRESENCE, "data": {"user": change.viewer, **part}}
        for halves, part in {(True, True): come | gone, (True, False): come, (False, True): gone}.items()
        if part
    }

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        sees_added = added is not None and executions.admit(topic, added.execution, groups, user_id)
        sees_removed = removed is not None and executions.admit(topic, removed.execution, groups, user_id)
        if removed is not None and is_bare_id(removed):
            sees_removed = sees_added
        return parts.get((sees_added, sees_removed))

    def is_bare_id(removed: Viewers) -> bool:
        """Whether nothing is known of the execution but the id in the post. Users that receive the added
        half are told that id, as Tuleap does, because a page may still show the viewer there (case P10).
        """
        return not removed.viewers and executions.rights_of(topic, removed.execution) is None

    return partial(
        Publication,
        topic=topic,
        kwargs=parts[True, True],
        view=view,
        submitters=submitters(*(_rights_of(topic, it, executions) for it in (added, removed))),
        sender=sender,
        replay=Replay.NEVER,
    )


def _half(verb: str, execution: int | str, viewers: Viewers) -> dict[str, Any]:
    return {f"execution_to_{verb}": execution, f"execution_presences_to_{verb}": viewers.viewers}


def departed(departure: Departure, campaigns: Campaigns) -> Draft:
    """``user:leave``, for users that may see the execution on which the window was."""
    topic, execution, executions = departure.topic, departure.execution, campaigns.executions
    kwargs: Kwargs = {"cmd": LEAVE, "data": departure.window.uuid}

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        return kwargs if executions.admit(topic, execution, groups, user_id) else None

    return partial(
        Publication,
        topic=topic,
        kwargs=kwargs,
        view=view,
        submitters=submitters(executions.rights_of(topic, execution)),
        replay=Replay.NEVER,
    )


def podium_changed(campaign: Campaign, before: Podium, campaigns: Campaigns) -> Draft:
    """The whole podium of the campaign, for users for whom it differs from ``before``.

    The view returns nothing once the campaign has been forgotten: the server no longer knows its newest
    rights.
    """
    after = campaign.ledger.podium
    # Dictionaries are merged because they store the hashes of their keys. Hashing rights again is expensive.
    known = [it for it in {**before.scores, **after.scores} if it is not None]
    parts: dict[tuple[int, ...], Kwargs | None] = {}

    def view(groups: frozenset[str], user_id: int | None) -> Kwargs | None:
        if not campaigns.is_remembered(campaign):
            return None
        seen = tuple(place for place, it in enumerate(known) if it.admit(groups, user_id))
        if seen not in parts:
            visible = [known[place] for place in seen]
            standings = after.standings(visible)
            is_new = standings != before.standings(visible)
            parts[seen] = {"cmd": PODIUM, "data": standings} if is_new else None
        return parts[seen]

    return partial(
        Publication,
        topic=campaign.topic,
        kwargs={"cmd": PODIUM, "data": after.standings(after.scores)},
        view=view,
        submitters=submitters(*known),
        replay=Replay.LAST,
        size=STANDING_BYTES * len(after.users) + SCORES_BYTES * len(known),
    )


def submitters(*rights: Rights | None) -> frozenset[int]:
    return frozenset(it.submitter_id for it in rights if it is not None and it.submitter_id is not None)


def _rights_of(topic: str, viewers: Viewers | None, executions: Executions) -> Rights | None:
    return None if viewers is None else executions.rights_of(topic, viewers.execution)
