"""Pages that show a test campaign, and the events that they receive."""

from typing import Any

from tests.campaigns import user, uuid_of
from tests.end_to_end.clients import Node, Result, received
from tests.fakes import CAMPAIGN, MEMBER, ticket
from tuleaprt.relay.procedures import PODIUM as STANDINGS
from tuleaprt.relay.procedures import PRESENCES
from tuleaprt.tuleap.commands import LEAVE, PODIUM, PRESENCE
from tuleaprt.wamp.procedures import REFRESH

Told = dict[str, Any]
"""The kwargs of an EVENT."""


class Page:
    """The window of one user through all its sessions. ``told`` is what it has received."""

    def __init__(self, node: Node, user_id: int, uuid: str | None = None) -> None:
        self.user_id = user_id
        self.uuid = uuid or uuid_of(user_id)
        self.told: list[Told] = []
        self._node = node

    async def open(self, url: str, token: str | None = None) -> None:
        """Open a session with the token of a project member, unless another is given, and subscribe to the
        campaign.
        """
        self.client = self._node.client(url)
        await self.client.open(token or ticket(self.user_id, MEMBER), self.uuid)
        self.subscription = await self.client.subscribe(CAMPAIGN)

    async def look(self) -> list[Told]:
        """Receive all that has been published until now; the answer is what was new."""
        told = [it["kwargs"] for it in await received(self.client)]
        self.told += told
        return told

    async def presences(self, campaign: object = 9) -> Any:
        return (await self.client.call(PRESENCES, campaign)).args[0]

    async def podium(self, campaign: object = 9) -> Any:
        return (await self.client.call(STANDINGS, campaign)).args[0]

    async def events(self, **conditions: Any) -> Result:
        return await self.client.call("wamp.subscription.get_events", self.subscription, **conditions)

    async def refresh(self, token: str) -> None:
        await self.client.call(REFRESH, token)

    async def close(self) -> str:
        """And say why it was closed."""
        if not self.client.closed.called:
            await self.client.leave()
        return await self.client.closed


def viewer(user_id: int) -> dict[str, Any]:
    return user(user_id) | {"uuid": uuid_of(user_id)}


def came(user_id: int, execution: int, *viewers: int) -> Told:
    """The user is on this execution now, with these viewers."""
    are_there = [viewer(it) for it in viewers]
    data = {"execution_to_add": execution, "execution_presences_to_add": are_there}
    return {"cmd": PRESENCE, "data": {"user": viewer(user_id), **data}}


def went(user_id: int, execution: int, *viewers: int) -> Told:
    """The user has left this execution; these viewers remain."""
    remain = [viewer(it) for it in viewers]
    data = {"execution_to_remove": str(execution), "execution_presences_to_remove": remain}
    return {"cmd": PRESENCE, "data": {"user": viewer(user_id), **data}}


def switched(here: Told, there: Told) -> Told:
    """Both in one."""
    return {"cmd": PRESENCE, "data": here["data"] | there["data"]}


def gone(user_id: int) -> Told:
    return {"cmd": LEAVE, "data": uuid_of(user_id)}


def as_posted(post: dict[str, Any]) -> Told:
    return {"cmd": post["cmd"], "data": post["data"]}


def standings(*standings: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Of user, score and rank."""
    return [{"user": user(id), "score": score, "rank": rank} for id, score, rank in standings]


def podium(*of: tuple[int, int, int]) -> Told:
    return {"cmd": PODIUM, "data": standings(*of)}
