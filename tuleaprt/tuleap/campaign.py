"""What the server knows of test campaigns, all of it from Tuleap's posts and from operators.

For each campaign these are the viewers of its executions and their results. A campaign that no input has
named for a long time is forgotten, and begins empty at the next post, as all campaigns do when the server
restarts. The rights of executions are kept apart from campaigns (``Executions``), because the event
history still has messages about them.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from tuleaprt.tuleap.commands import Command, Created, Deleted, Linked, Updated, Viewing
from tuleaprt.tuleap.podium import Ledger, Result, Standing
from tuleaprt.tuleap.presence import Departure, PlaceState, Presence, PresenceChange
from tuleaprt.tuleap.rights import Executions, ExecutionsState, Rights, may_see
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.publication import JsonText, Window

EXECUTIONS_PER_RECORD = 2
"""A presence message names the most: the execution that is opened, and the one that is left."""


class Campaign:
    """One campaign, from the input that first names it until it is forgotten."""

    def __init__(self, topic: str, touched_at: float) -> None:
        self.topic = topic
        self.touched_at = touched_at
        self.ledger = Ledger()


class CampaignState(NamedTuple):
    """A campaign, as a snapshot keeps it. ``users`` are those with a score."""

    topic: str
    touched_at: float
    results: dict[int, Result]
    users: dict[int, bytes]


class CampaignsState(NamedTuple):
    """All campaigns; ``unwatched`` are the topics without viewers, the longest idle first; ``nodes`` are the
    times of the nodes' last probes.
    """

    campaigns: list[CampaignState]
    unwatched: list[str]
    places: list[PlaceState]
    executions: ExecutionsState
    nodes: dict[str, float] = {}  # noqa: RUF012 (a tuple's default is not changed)


class Campaigns:
    """All campaigns: at most ``max`` of them, or as many as have viewers. Times are those of the records.

    ``max_publications`` is the number of publications that may still be delivered or replayed. The rights
    of the executions that they name are kept.
    """

    def __init__(self, *, max: int, idle_seconds: float, max_publications: int) -> None:
        self.presence = Presence()
        self.executions = Executions(
            max_recent=EXECUTIONS_PER_RECORD * max_publications, is_in_use=self._is_in_use
        )
        self._max = max
        self._idle_seconds = idle_seconds
        self._campaigns: dict[str, Campaign] = {}
        self._unwatched: OrderedDict[str, Campaign] = OrderedDict()
        """Campaigns without viewers, the longest idle first, so that the search for idle campaigns ends at
        the first.
        """

    def __len__(self) -> int:
        return len(self._campaigns)

    def campaign(self, topic: str, at: float) -> Campaign:
        """The campaign that a record names. It is idle no longer."""
        campaign = self._campaigns.get(topic)
        if campaign is None:
            campaign = self._campaigns[topic] = Campaign(topic, at)
        self._touch(campaign, at)
        self._forget_the_idle(at, campaign)
        return campaign

    def is_remembered(self, campaign: Campaign) -> bool:
        """Whether the campaign has not been forgotten."""
        return self._campaigns.get(campaign.topic) is campaign

    def apply(self, command: Command, rights: Rights, campaign: Campaign, at: float) -> list[PresenceChange]:
        """Apply a command; ``rights`` are those of its message.

        They are the rights of the execution, except in ``link_artifact``, where they are the bug's
        (contract 1.4).
        """
        topic, execution = campaign.topic, command.execution
        if not isinstance(command, Linked):
            self.executions.learn(topic, execution, rights)
            campaign.ledger.regard(execution, rights)
        changes: list[PresenceChange] = []
        match command:
            case Updated() if not self.executions.is_deleted(topic, execution):
                campaign.ledger.update(
                    execution,
                    status=command.status,
                    author=command.author,
                    user=command.user,
                    is_automated=command.is_automated,
                    rights=rights,
                )
            case Created():
                self.executions.mark(topic, execution, is_deleted=False)
            case Deleted():
                self.executions.mark(topic, execution, is_deleted=True)
                self.presence.delete(topic, execution)
                campaign.ledger.delete(execution)
                self._touch(campaign, at)
            case Viewing():
                changes = self._view(command, topic, at)
        self.executions.name(topic, execution)
        return changes

    def seed(self, campaign: Campaign, results: Mapping[int, Result], users: Mapping[int, JsonText]) -> None:
        """Replace the results of the campaign.

        A result without rights keeps the rights that are known. Listing a deleted execution restores it;
        a deleted execution that is not listed stays deleted.
        """
        topic, executions = campaign.topic, self.executions
        for execution, result in results.items():
            if result.rights is not None:
                executions.learn(topic, execution, result.rights)
            executions.mark(topic, execution, is_deleted=False)
        dropped = campaign.ledger.executions - results.keys()
        judged = {
            execution: replace(result, rights=executions.rights_of(topic, execution))
            for execution, result in results.items()
        }
        campaign.ledger.replace(judged, users)
        for execution in results:
            executions.name(topic, execution, by_seed=True)
        for execution in dropped:
            executions.release(topic, execution)

    def unsubscribed(self, window: Window, topic: str, at: float) -> list[PresenceChange | Departure]:
        """As ``Presence.unsubscribed``."""
        ends = self.presence.unsubscribed(window, topic)
        self._note(ends, at)
        return ends

    def grace_ended(self, window: Window, since: float, at: float) -> list[PresenceChange | Departure]:
        """As ``Presence.grace_ended``."""
        ends = self.presence.grace_ended(window, since)
        self._note(ends, at)
        return ends

    def state(self) -> CampaignsState:
        return CampaignsState(
            campaigns=[
                CampaignState(
                    it.topic,
                    it.touched_at,
                    dict(it.ledger.results),
                    {user: text.text for user, text in it.ledger.podium.users.items()},
                )
                for it in self._campaigns.values()
            ],
            unwatched=list(self._unwatched),
            places=self.presence.state(),
            executions=self.executions.state(),
            nodes=self.presence.nodes(),
        )

    def restore(self, state: CampaignsState) -> None:
        """Take over a snapshot."""
        for it in state.campaigns:
            campaign = self._campaigns[it.topic] = Campaign(it.topic, it.touched_at)
            users = {user: JsonText(text) for user, text in it.users.items()}
            campaign.ledger.replace(it.results, users)
        self._unwatched = OrderedDict((topic, self._campaigns[topic]) for topic in state.unwatched)
        self.presence.restore(state.places, state.nodes)
        self.executions.restore(state.executions)

    # What a session may see.

    def presences(self, topic: str, identity: Identity) -> Mapping[int, list[JsonText]]:
        """The viewers of each execution that has any."""
        return {
            execution: list(viewers.values())
            for execution, viewers in self.presence.viewers(topic).items()
            if may_see(identity, self.executions.rights_of(topic, execution))
        }

    def podium(self, topic: str, identity: Identity) -> list[Standing]:
        campaign = self._campaigns.get(topic)
        if campaign is None:
            return []
        podium = campaign.ledger.podium
        return podium.standings(rights for rights in podium.scores if may_see(identity, rights))

    def _view(self, viewing: Viewing, topic: str, at: float) -> list[PresenceChange]:
        window, execution, left = viewing.window, viewing.execution, viewing.left
        if left == execution:
            changes = self.presence.leave(window, topic, execution)
        else:
            changes = self.presence.enter(window, topic, execution, viewing.viewer, left=left, at=at)
        self._note(changes, at)
        return changes

    def _note(self, changes: Iterable[PresenceChange | Departure], at: float) -> None:
        """File campaigns and executions anew whose viewers have changed."""
        for change in changes:
            self._touch(self._campaigns[change.topic], at)
            if isinstance(change, Departure):
                self.executions.name(change.topic, change.execution)
            elif change.removed is not None:
                self.executions.name(change.topic, change.removed.execution)

    def _touch(self, campaign: Campaign, at: float) -> None:
        campaign.touched_at = at
        if self.presence.viewers(campaign.topic):
            self._unwatched.pop(campaign.topic, None)
        else:
            self._unwatched[campaign.topic] = campaign
            self._unwatched.move_to_end(campaign.topic)

    def _forget_the_idle(self, now: float, newest: Campaign) -> None:
        """Forget the longest idle first. A campaign with viewers stays: pages would show them for ever."""
        while self._unwatched and (oldest := next(iter(self._unwatched.values()))) is not newest:
            if len(self._campaigns) <= self._max and oldest.touched_at > now - self._idle_seconds:
                break
            del self._unwatched[oldest.topic], self._campaigns[oldest.topic]
            for execution in oldest.ledger.executions:
                self.executions.release(oldest.topic, execution)

    def _is_in_use(self, topic: str, execution: int) -> bool:
        campaign = self._campaigns.get(topic)
        return execution in self.presence.viewers(topic) or (
            campaign is not None and execution in campaign.ledger.executions
        )
