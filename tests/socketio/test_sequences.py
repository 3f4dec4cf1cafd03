"""The fixtures' sequences over socket.io, without a network: the Node server's defects do not come back."""

from typing import Any

import pytest

from tests.relay.test_sequences import WorldStage
from tests.sequences import ALL_SESSION_CASES, PRESENCE_CASES, PagePlayer
from tests.world import GRACE, PageWindow, done


class WorldPageStage(WorldStage):
    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, PageWindow] = {}

    async def connect(self, client: str, namespace: str) -> None:  # type: ignore[override]
        self._pages[client] = PageWindow(self.world, namespace)

    async def emit(self, client: str, name: str, argument: dict[str, Any]) -> None:
        self._pages[client].emit(name, argument)

    async def disconnect(self, client: str) -> None:
        self._pages[client].lose()
        self.world.wait(GRACE)

    async def received(self, client: str) -> list[dict[str, Any]]:
        told = []
        for type, payload in self._pages[client].take():
            told.append(
                {"event": payload[0], "data": payload[1]} if type == "2" else {"event": "<disconnect>"}
            )
        return told


@pytest.mark.parametrize("case", PRESENCE_CASES, ids=lambda case: str(case["id"]))
def test_presence(case: dict[str, Any]) -> None:
    stage = WorldPageStage()
    done(PagePlayer(stage, case).play())
    assert stage.world.metrics.internal_errors == 0


@pytest.mark.parametrize("case", ALL_SESSION_CASES, ids=lambda case: str(case["id"]))
def test_session(case: dict[str, Any]) -> None:
    stage = WorldPageStage()
    done(PagePlayer(stage, case).play())
    assert stage.world.metrics.internal_errors == 0
