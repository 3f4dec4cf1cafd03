"""The fixtures' sequences, without a network."""

import json
from typing import Any

import pytest

from tests.fakes import FIXTURES, Role, identity
from tests.sequences import PRESENCE_CASES, SESSION_CASES, Player
from tests.world import GRACE, Window, World, done
from tuleaprt.relay.procedures import PRESENCES


class WorldStage:
    def __init__(self) -> None:
        self.world = World()
        self._clients: dict[str, Window] = {}

    @property
    def now(self) -> float:
        return self.world.now

    async def open(self, client: str, token: str, uuid: str | None) -> str | None:
        window = self._clients[client] = self.world.open(0, [], uuid, token=token or " ")
        return None if window.session.is_joined else window.ended()

    async def connect(self, client: str) -> None:
        self._clients[client] = Window(self.world)

    async def subscribe(self, client: str, topic: str) -> None:
        assert isinstance(self._clients[client].subscribe(topic), int)

    async def presences(self, client: str, campaign: str) -> Any:
        return self._clients[client].call(PRESENCES, campaign)

    async def refresh(self, client: str, token: str) -> bool:
        return isinstance(self._clients[client].refresh(token), dict)

    async def post(self, body: dict[str, Any]) -> int:
        return 422 if self.world.post(body) == 422 else 200

    async def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    async def disconnect(self, client: str) -> None:
        self._clients[client].close()
        self.world.wait(GRACE)

    async def received(self, client: str) -> list[dict[str, Any]]:
        window = self._clients[client]
        events = [it[3] for it in window.outlet.done if isinstance(it, list) and it[0] == 36]
        window.outlet.done = [it for it in window.outlet.done if isinstance(it, list) and it[0] in (3, 6)]
        return events

    async def ended(self, client: str) -> str | None:
        return self._clients[client].ended()

    async def viewers(self, topic: str) -> Any:
        operator = identity(1, role=Role.OPERATOR)
        seen = self.world.campaigns.presences(topic, operator)
        return {
            str(execution): [json.loads(it.text) for it in viewers] for execution, viewers in seen.items()
        }


@pytest.mark.parametrize("case", PRESENCE_CASES, ids=lambda case: str(case["id"]))
def test_presence(case: dict[str, Any]) -> None:
    stage = WorldStage()
    done(Player(stage, case).play())
    assert stage.world.metrics.internal_errors == 0


@pytest.mark.parametrize("case", SESSION_CASES, ids=lambda case: str(case["id"]))
def test_session(case: dict[str, Any]) -> None:
    stage = WorldStage()
    done(Player(stage, case).play())
    assert stage.world.metrics.internal_errors == 0


PODIUM_CASES = json.loads((FIXTURES / "podium_cases.json").read_text())["legacy_sequences"]


@pytest.mark.parametrize("case", PODIUM_CASES, ids=lambda case: str(case["id"]))
def test_podium(case: dict[str, Any]) -> None:
    world = World()
    clients = {"A": (101, "u-a"), "B": (102, "u-b")}
    windows: dict[str, Window] = {}
    for step, wanted in zip(case["steps"], case["tuleaprt"], strict=True):
        if step["op"] == "subscribe":
            user, uuid = clients[step["client"]]
            window = windows[step["client"]] = world.open(user, ["@site_active"], uuid)
            window.subscribe("org.tuleap.testmanagement.9")
        else:
            assert world.post(step["body"]) != 422
        for window in windows.values():
            scores = {str(it["user"]["id"]): it["score"] for it in window.podium()}
            assert scores == wanted["scores"]
