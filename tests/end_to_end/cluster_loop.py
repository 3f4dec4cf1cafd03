"""Posts to servers that are disturbed all the time, and what each browser is due."""

import json
import signal
import time
from random import Random
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests import campaigns
from tests.end_to_end.clients import PythonClient
from tests.end_to_end.cluster import Browser, Node, pause
from tests.fakes import body, ticket
from tests.redis_server import RedisServer
from tests.web.requests import Answer
from tuleaprt.relay.procedures import PODIUM, PRESENCES

EVERYONE, MEMBERS, NOBODY = "@site_active", "@ug_159", "@ug_99"
TESTERS, TESTS = range(101, 107), range(39, 45)


def post(data: object, group: str = EVERYONE) -> dict[str, Any]:
    rights = {
        "submitter_id": None,
        "submitter_can_view": False,
        "submitter_only": [],
        "artifact": [],
        "tracker": [group],
    }
    return body(cmd="kanban:edit", data=data, sender_uuid=None, sender_user_id=0, rights=rights)


class Loop:
    """Posts to servers that are killed and started again, and what each browser is due."""

    def __init__(self, redis: RedisServer, nodes: list[Node], front: int, random: Random) -> None:
        self.redis = redis
        self.front = front
        self.nodes = nodes
        self.random = random
        self.due: dict[int, str] = {}
        """The group of each post that was answered 200, by its number, in order."""
        self.perhaps: dict[int, str] = {}
        """The group of each post whose outcome is unknown."""
        self.ids: dict[int, int] = {}
        self.deeds: list[str] = []
        self._number = 0

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        disturbing = ensureDeferred(self._disturb(end))
        while time.monotonic() < end:
            await self.post(self.random.choice([EVERYONE, MEMBERS, NOBODY]))
            if self.random.random() < 0.3:
                await self._test()
            await pause(0.005)
        await disturbing
        for node in self.nodes:
            if not node.is_up:
                await node.start()

    async def post(self, group: str) -> int:
        """A post to one of the servers, or to nginx. Returns its number."""
        self._number += 1
        number = self._number
        answer = await self._send(post(number, group))
        if answer is None:
            self.perhaps[number] = group
        elif answer.status == 200:
            self.due[number] = group
            self.ids[number] = answer.json["publication"]
        elif answer.status == 503:
            if "not known" in answer.error["message"]:
                self.perhaps[number] = group
        else:
            # nginx has lost the server, or found none.
            assert answer.status in (502, 504), answer
            self.perhaps[number] = group
        return number

    async def _send(self, message: dict[str, Any]) -> Answer | None:
        """The answer of one of the servers, or of nginx. None: there is none."""
        node = self.random.choice(self.nodes)
        port = self.random.choice([node.private, self.front])
        raw = json.dumps(message).encode()
        try:
            return await node.server.request("POST", "/message", raw, port, Content_Type="application/json")
        except OSError:
            await pause(0.02)
            return None

    async def _test(self) -> None:
        """A tester opens, leaves or decides a test of the campaign."""
        by, execution, former = (self.random.choice(it) for it in (TESTERS, TESTS, (*TESTS, None)))
        if self.random.random() < 0.5:
            await self._send(campaigns.presence(by, execution, former))
        else:
            await self._send(
                campaigns.update(by, execution, self.random.choice(["passed", "failed", "notrun"]))
            )

    async def _disturb(self, end: float) -> None:
        deeds = [
            self._kill,
            self._kill,
            self._restart,
            self._hang,
            self._cut,
            self._freeze,
            self._restart_redis,
        ]
        while time.monotonic() < end:
            for deed in self.random.sample(deeds, len(deeds)):
                await pause(self.random.uniform(0.05, 0.3))
                self.deeds.append(deed.__name__)
                await deed()
                if time.monotonic() > end:
                    return

    async def _kill(self, how: str = "KILL") -> None:
        node = self.random.choice(self.nodes)
        assert await node.stop(how) in (0, -9)
        await pause(self.random.uniform(0, 0.3))
        await node.start()

    async def _restart(self) -> None:
        await self._kill("TERM")

    async def _hang(self) -> None:
        """A server that gets no processor for a while."""
        node = self.random.choice(self.nodes)
        node.server.process.transport.signalProcess(signal.SIGSTOP)  # type: ignore[union-attr]
        await pause(self.random.uniform(0.1, 0.5))
        node.server.process.transport.signalProcess(signal.SIGCONT)  # type: ignore[union-attr]

    async def _cut(self) -> None:
        self.redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def _freeze(self) -> None:
        self.redis.ask("CLIENT", "PAUSE", 500, "ALL")
        await pause(0.5)

    async def _restart_redis(self) -> None:
        self.redis.stop()
        self.redis.start()

    def check(self, browser: Browser) -> None:
        """0 lost, 0 doubled, 0 to the wrong one, and in order."""
        mine = {number for number, group in self.due.items() if group in browser.groups}
        allowed = mine | {number for number, group in self.perhaps.items() if group in browser.groups}
        got = browser.numbers
        missing = mine - set(got)
        for at in browser.reloads:
            before, after = max(got[:at], default=0), min(got[at:], default=0)
            missing -= {number for number in missing if before < number < after}
        # A page that has loaded its board again begins anew.
        for part in _parts(got, browser.reloads):
            assert len(part) == len(set(part)), "doubled"
            in_order = [number for number in part if number in self.due]
            assert in_order == sorted(in_order)
        assert not missing, f"lost: {sorted(missing)} after {self.deeds}"
        assert set(got) <= allowed, "to the wrong one"
        assert all(
            self.ids.get(number, id) == id for number, id in zip(got, browser.publications, strict=True)
        )


def _parts(got: list[int], reloads: list[int]) -> list[list[int]]:
    """What a browser got until it was told that its position is lost, from then on, and so on."""
    return [got[start:end] for start, end in zip([0, *reloads], [*reloads, len(got)], strict=True)]


async def agreed(nodes: list[Node]) -> list[Any]:
    """Viewers and podium of the campaign, as soon as all servers say the same. The end of a grace may be
    between two answers.
    """
    clients = [PythonClient(it.server.url) for it in nodes]
    for client in clients:
        await client.open(ticket(199, campaigns.MEMBERS))
    for _ in range(100):
        answers = [[(await it.call(asked, 9)).args for asked in (PRESENCES, PODIUM)] for it in clients]
        if all(it == answers[0] for it in answers):
            break
        await pause(0.1)
    for client in clients:
        await client.leave()
    assert all(it == answers[0] for it in answers), answers
    return answers[0]
