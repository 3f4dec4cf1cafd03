"""Posts the substitute's messages to the server, one after the other, as Tuleap does (contract 1.1)."""

import json
import sys
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

TIMEOUT_SECONDS = 5
REMEMBERED = 1000


class Poster:
    """Posts to one server. ``posted_at`` is the time of each publication's post (seconds of the clock)."""

    def __init__(self, reactor: Any, private: str, clock: Callable[[], float]) -> None:
        """``private`` is host and port of the private site."""
        self.posted_at: OrderedDict[int, float] = OrderedDict()
        self.private = private
        self._reactor: IReactorTime = reactor
        self._clock = clock
        self._lock = DeferredLock()
        # A new connection for each post: a kept one would be dead after a restart of the server.
        self._agent = Agent(reactor, TIMEOUT_SECONDS, pool=HTTPConnectionPool(reactor, persistent=False))

    async def post(self, bodies: list[bytes]) -> list[int]:
        """The ids of the publications. A failure is a line on stderr and nothing else, as in Tuleap."""
        await self._lock.acquire()
        try:
            return [id for id in [await self._post(body) for body in bodies] if id is not None]
        finally:
            self._lock.release()

    async def when(self, publication: str) -> float | None:
        """When the publication was posted, in ms; None: not by this process. Waits for posts in progress."""
        await self._lock.acquire()
        self._lock.release()
        posted_at = self.posted_at.get(int(publication)) if publication.isdecimal() else None
        return None if posted_at is None else posted_at * 1000

    async def seed(self, campaign: int, results: list[Any], operator: str) -> None:
        """Put the results that no message has told the server, as an administrator's script does."""
        body = json.dumps(results).encode()
        await self._ask("PUT", f"/campaigns/{campaign}/executions", body, Authorization=f"Bearer {operator}")

    async def counts(self) -> dict[str, float] | None:
        """The server's metrics, summed over their labels; None if the server does not answer."""
        page = await self._ask("GET", "/metrics", None)
        if page is None:
            return None
        families = text_string_to_metric_families(page.decode())
        samples = [sample for family in families for sample in family.samples]
        return {
            name: sum(it.value for it in samples if it.name == f"tuleaprt_{name}")
            for name in ("deliveries_total", "filtered_total")
        }

    async def _post(self, body: bytes) -> int | None:
        now = self._clock()
        answer = await self._ask("POST", "/message", body)
        if answer is None:
            return None
        publication: int = json.loads(answer)["publication"]
        self.posted_at[publication] = now
        if len(self.posted_at) > REMEMBERED:
            self.posted_at.popitem(last=False)
        return publication

    async def _ask(self, method: str, path: str, body: bytes | None, **more: str) -> bytes | None:
        port = self.private.rpartition(":")[2]
        headers = Headers({"Host": [f"localhost:{port}"], **{name: [it] for name, it in more.items()}})
        producer = None
        if body is not None:
            headers.addRawHeader("Content-Type", "application/json")
            producer = FileBodyProducer(BytesIO(body))
        uri = f"http://{self.private}{path}".encode()
        asked: Deferred[Any] = self._agent.request(method.encode(), uri, headers, producer)
        try:
            response = await asked.addTimeout(TIMEOUT_SECONDS, self._reactor)
            text: bytes = await readBody(response)
        except Exception as error:
            print(f"{method} {path}: {type(error).__name__}", file=sys.stderr, flush=True)
            return None
        if response.code != 200:
            print(f"{method} {path}: {response.code} {text.decode()}", file=sys.stderr, flush=True)
            return None
        return text
