"""The sequences of the fixtures, played on a stage: presence, sessions and the podium, as WAMP says them.

The vocabulary of the cases is that of Tuleap's Node server; the dictionary is in the README of the fixtures.
"""

from collections.abc import Mapping
from typing import Any, Protocol, cast

from tests.fakes import cases, ticket
from tuleaprt.tuleap.topics import room

EXPIRED = "org.tuleap.error.token_expired"
OTHER_KEY = b"k" * 64
OWN_EVENTS = ("testmanagement_podium:update",)

PRESENCE_CASES = cases("presence_cases.json")
ALL_SESSION_CASES = cases("session_cases.json")
SESSION_CASES = [it for it in ALL_SESSION_CASES if it.get("door") != "socketio"]


class Stage(Protocol):
    """A server and its clients by name. Each message that a client has received is returned once."""

    @property
    def now(self) -> float: ...
    async def open(self, client: str, token: str, uuid: str | None) -> str | None:
        """None, or the URI of the ABORT."""
        ...

    async def connect(self, client: str) -> None: ...
    async def subscribe(self, client: str, topic: str) -> None: ...
    async def presences(self, client: str, campaign: str) -> Any: ...
    async def refresh(self, client: str, token: str) -> bool:
        """Whether it was accepted."""
        ...

    async def post(self, body: dict[str, Any]) -> int: ...
    async def wait(self, seconds: float) -> None: ...
    async def disconnect(self, client: str) -> None:
        """And let the grace pass."""
        ...

    async def received(self, client: str) -> list[dict[str, Any]]: ...
    async def ended(self, client: str) -> str | None:
        """The reason of the GOODBYE since the client was opened, or None. It is returned once."""
        ...

    async def viewers(self, topic: str) -> Mapping[str, list[Any]]:
        """As an operator sees them."""
        ...


class Player:
    """Plays a case step by step and compares what happened with what ``tuleaprt`` wants."""

    def __init__(self, stage: Stage, case: dict[str, Any]) -> None:
        self._stage = stage
        self._case = case
        self._open: set[str] = set()
        self._rooms = {step["body"]["room_id"] for step in case["steps"] if "body" in step}
        self._rooms |= {step["room_id"] for step in case["steps"] if "room_id" in step}

    async def play(self) -> None:
        for number, (step, wanted) in enumerate(
            zip(self._case["steps"], self._case["tuleaprt"], strict=True)
        ):
            happened = await self._do(step)
            if wanted is not None:
                await self._compare(f"{self._case['id']} step {number}", happened, wanted)

    async def _do(self, step: dict[str, Any]) -> dict[str, Any]:
        happened: dict[str, Any] = {"received": {}}
        if step["op"] == "subscribe":
            happened = await self._subscribe(step)
        elif step["op"] == "connect":
            await self._stage.connect(step["client"])
        elif step["op"] == "token":
            happened["refused"] = not await self._stage.refresh(step["client"], self._token(step["token"]))
        elif step["op"] == "post":
            happened["http_status"] = await self._stage.post(step["body"])
        elif step["op"] == "wait":
            await self._stage.wait(step["ms"] / 1000)
        else:
            self._open.discard(step["client"])
            await self._stage.disconnect(step["client"])
        for client in sorted(self._open):
            events = [{"event": it["cmd"], "data": it["data"]} for it in await self._stage.received(client)]
            if await self._stage.ended(client) == EXPIRED:
                self._open.discard(client)
                events.append({"event": "error-jwt", "data": "JWTExpired"})
            happened["received"].setdefault(client, [])[:0] = events
        return happened

    async def _subscribe(self, step: dict[str, Any]) -> dict[str, Any]:
        client = step["client"]
        who = self._case.get("clients", {}).get(client, {}) | step | step.get("fields", {})
        is_campaign = step.get("namespace", "/testmanagement") == "/testmanagement"
        if client not in self._open:
            lifetime = step.get("token_lifetime_s", 1800)
            spoken = step.get("token") or {**who, "lifetime_s": lifetime, "alg": "HS512"}
            token = "" if "token" in step.get("omit", ()) else self._token(spoken)
            if (refusal := await self._stage.open(client, token, who["uuid"])) is not None:
                said = {"event": "error-jwt", "data": "JWTExpired"} if refusal == EXPIRED else DISCONNECT
                return {"refused": True, "received": {client: [said]}}
            self._open.add(client)
        _, topic = room(who["room_id"])
        await self._stage.subscribe(client, topic)
        received = []
        if is_campaign:
            snapshot = await self._stage.presences(client, topic.rpartition(".")[2])
            received.append({"event": "presences", "data": snapshot})
        return {"refused": False, "received": {client: received}}

    def _token(self, spoken: dict[str, Any]) -> str:
        return ticket(
            spoken["user_id"],
            spoken["user_rights"],
            exp=self._stage.now + spoken["lifetime_s"],
            algorithm=spoken["alg"],
        )

    async def _compare(self, where: str, happened: dict[str, Any], wanted: dict[str, Any]) -> None:
        if "http_status" in wanted:
            accepted = wanted["http_status"]
            assert happened["http_status"] in (accepted if isinstance(accepted, list) else [accepted]), where
        if "refused" in wanted:
            assert happened["refused"] == wanted["refused"], where
        if "received" in wanted:
            assert events(happened["received"], wanted["received"]) == events(wanted["received"]), where
        for each in self._rooms if "presences_by_room" in wanted else ():
            viewers = wanted["presences_by_room"].get(each, {})
            expected = {execution: users for execution, users in viewers.items() if users}
            assert await self._stage.viewers(room(each)[1]) == expected, where


class PageStage(Protocol):
    """A server and Tuleap's pages by name."""

    @property
    def now(self) -> float: ...
    async def connect(self, client: str, namespace: str) -> None: ...
    async def emit(self, client: str, name: str, argument: dict[str, Any]) -> None: ...
    async def post(self, body: dict[str, Any]) -> int: ...
    async def wait(self, seconds: float) -> None: ...
    async def disconnect(self, client: str) -> None:
        """And let the grace pass."""
        ...

    async def received(self, client: str) -> list[dict[str, Any]]:
        """The events since the last call, as ``{"event", "data"}``, and DISCONNECT."""
        ...

    async def viewers(self, topic: str) -> Mapping[str, list[Any]]:
        """As an operator sees them."""
        ...


class PagePlayer(Player):
    """Plays a case as the Node server's own clients did: over socket.io."""

    def __init__(self, stage: PageStage, case: dict[str, Any]) -> None:
        super().__init__(cast(Stage, stage), case)
        self._pages = stage

    async def _do(self, step: dict[str, Any]) -> dict[str, Any]:
        happened: dict[str, Any] = {"received": {}}
        client, stage = step.get("client", ""), self._pages
        if step["op"] in ("subscribe", "connect"):
            await self._emit(client, step)
        elif step["op"] == "token":
            await stage.emit(client, "token", {"token": self._token(step["token"])})
        elif step["op"] == "post":
            happened["http_status"] = await stage.post(step["body"])
        elif step["op"] == "wait":
            await stage.wait(step["ms"] / 1000)
        else:
            self._open.discard(client)
            await stage.disconnect(client)
        for each in sorted(self._open):
            happened["received"][each] = await stage.received(each)
        if step["op"] == "subscribe":
            told = [it["event"] for it in happened["received"][client]]
            happened["refused"] = bool({"<disconnect>", "error-jwt"} & set(told))
        return happened

    async def _emit(self, client: str, step: dict[str, Any]) -> None:
        who = self._case.get("clients", {}).get(client, {}) | step | step.get("fields", {})
        if client not in self._open:
            await self._pages.connect(client, step.get("namespace", "/testmanagement"))
            self._open.add(client)
        if step["op"] == "connect":
            return
        lifetime = step.get("token_lifetime_s", 1800)
        spoken = step.get("token") or {**who, "lifetime_s": lifetime, "alg": "HS512"}
        argument = {
            "nodejs_server_version": who.get("nodejs_server_version", "2.0.0"),
            "room_id": who["room_id"],
            "uuid": who["uuid"],
            "token": self._token(spoken),
        }
        omitted = step.get("omit", ())
        kept = {name: value for name, value in argument.items() if name not in omitted}
        await self._pages.emit(client, "subscription", kept)

    async def _compare(self, where: str, happened: dict[str, Any], wanted: dict[str, Any]) -> None:
        # A page is not told whether a token has been taken over; the later steps show it.
        known = {name: value for name, value in wanted.items() if name != "refused" or name in happened}
        await super()._compare(where, happened, known)


DISCONNECT = {"event": "<disconnect>"}


def events(
    received: dict[str, list[Any]], wanted: dict[str, list[Any]] | None = None
) -> dict[str, list[Any]]:
    """The messages of each client in one form, without those that the case does not mention."""
    told = {}
    for client, each in received.items():
        listed = [it["event"] for it in (wanted or received).get(client, [])]
        kept = [it for it in each if it["event"] not in OWN_EVENTS]
        kept = [it for it in kept if it["event"] in listed or not it["event"].startswith("error")]
        if kept:
            told[client] = [(it["event"], by_value(it.get("data"))) for it in kept]
    return told


def by_value(data: Any) -> Any:
    """Execution ids by their text."""
    if not isinstance(data, dict):
        return data
    ids = ("execution_to_add", "execution_to_remove")
    return {key: str(value) if key in ids else value for key, value in data.items()}
