"""What the server knows of the campaigns, all of it learned from Tuleap's posts and from operators.

Of each: the rights of its executions, the newest that were seen; who is on them; its results. A campaign that
has not been heard of for long is forgotten, and begins anew with the next post, as all do at a restart.
"""

from collections import OrderedDict
from collections.abc import Mapping

from tuleaprt.tuleap.commands import Command, Created, Deleted, Linked, Updated, Viewing
from tuleaprt.tuleap.podium import Ledger, Standing
from tuleaprt.tuleap.presence import Presence, PresenceChange
from tuleaprt.tuleap.rights import Rights, may_see
from tuleaprt.wamp.auth import Identity
from tuleaprt.wamp.publication import JsonText


class Campaign:
    """One campaign. ``rights`` has the executions whose rights are known."""

    def __init__(self, topic: str, touched_at: float) -> None:
        self.topic = topic
        self.touched_at = touched_at
        self.rights: dict[int, Rights] = {}
        self.ledger = Ledger()


class Campaigns:
    """All campaigns, at most ``max`` of them, or as many as have viewers. Times are those of the records."""

    def __init__(self, *, max: int, idle_seconds: float) -> None:
        self.presence = Presence()
        self._max = max
        self._idle_seconds = idle_seconds
        self._campaigns: OrderedDict[str, Campaign] = OrderedDict()

    def __len__(self) -> int:
        return len(self._campaigns)

    def campaign(self, topic: str, at: float) -> Campaign:
        """The campaign that something is said of now."""
        campaign = self._campaigns.get(topic)
        if campaign is None:
            campaign = self._campaigns[topic] = Campaign(topic, at)
        campaign.touched_at = at
        self._campaigns.move_to_end(topic)
        self._forget_the_idle(at, campaign)
        return campaign

    def rights_of(self, topic: str, execution: int) -> Rights | None:
        """None: they are unknown."""
        campaign = self._campaigns.get(topic)
        return None if campaign is None else campaign.rights.get(execution)

    def apply(self, command: Command, rights: Rights, campaign: Campaign, at: float) -> list[PresenceChange]:
        """Take note of a command; ``rights`` are those of its message."""
        execution = command.execution
        if not isinstance(command, Linked | Deleted):
            campaign.rights[execution] = rights
        if isinstance(command, Updated):
            campaign.ledger.update(
                execution,
                status=command.status,
                author=command.author,
                user=command.user,
                is_automated=command.is_automated,
                rights=rights,
            )
        elif isinstance(command, Deleted):
            self.presence.delete(campaign.topic, execution)
            campaign.ledger.delete(execution)
        elif isinstance(command, Created | Viewing):
            campaign.ledger.regard(execution, rights)
        if isinstance(command, Created):
            campaign.ledger.create(execution)
        return self._view(command, campaign.topic, at) if isinstance(command, Viewing) else []

    # What a session may see.

    def presences(self, topic: str, identity: Identity) -> Mapping[int, list[JsonText]]:
        """The viewers of each execution that has any."""
        return {
            execution: list(viewers.values())
            for execution, viewers in self.presence.viewers(topic).items()
            if may_see(identity, self.rights_of(topic, execution))
        }

    def podium(self, topic: str, identity: Identity) -> list[Standing]:
        campaign = self._campaigns.get(topic)
        if campaign is None:
            return []
        podium = campaign.ledger.podium
        return podium.standings(rights for rights in podium.scores if may_see(identity, rights))

    def _view(self, viewing: Viewing, topic: str, at: float) -> list[PresenceChange]:
        if viewing.left == viewing.execution:
            return self.presence.leave(viewing.window, topic, viewing.execution)
        return self.presence.enter(
            viewing.window, topic, viewing.execution, viewing.viewer, left=viewing.left, at=at
        )

    def _forget_the_idle(self, now: float, newest: Campaign) -> None:
        """The longest idle first, but none that somebody is looking at: pages would show him for ever."""
        while (oldest := next(iter(self._campaigns.values()))) is not newest:
            if len(self._campaigns) <= self._max and oldest.touched_at > now - self._idle_seconds:
                break
            if self.presence.viewers(oldest.topic):
                oldest.touched_at = now
                self._campaigns.move_to_end(oldest.topic)
            else:
                del self._campaigns[oldest.topic]
