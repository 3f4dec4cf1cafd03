"""Health checks: a probe through the whole server, and readiness.

The probe is an input. It passes the journal, the relay and the fan-out, and returns to this module, which
acts as its own subscriber. Its subscription is not in the broker, so no topic, pattern or procedure
reaches it. The event history does not keep it, and the metrics do not count it.
"""

import math
import secrets
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from typing import Any

from twisted.logger import Logger

from tuleaprt.errors import JournalUnavailable
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import Metrics
from tuleaprt.relay.relay import Relay
from tuleaprt.relay.windows import Clock
from tuleaprt.transport.serializers import WEBSOCKET_FORMATS
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.broker import Dispatch, Subscription
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.publication import Publication


class Readiness:
    """Whether the server is ready for posts and clients. ``problems`` return what is wrong with a part of the
    server, or None.

    The key needs no check: without it, the server does not start.
    """

    def __init__(self, *problems: Callable[[], str | None]) -> None:
        self._problems = problems
        self.is_listening = False
        self.is_stopping = False

    def problems(self) -> list[str]:
        """What prevents readiness, one line for each reason. An empty list: the server is ready."""
        found = [
            "shutting down" if self.is_stopping else None,
            None if self.is_listening or self.is_stopping else "not listening",
            *(problem() for problem in self._problems),
        ]
        return [it for it in found if it is not None]


TOPIC = "org.tuleap.probe"

INTERVAL = 10
"""Seconds between two probes."""

PATIENCE = 10
"""A probe that has not returned after this many seconds has failed."""

NOT_YET = "the probe has not returned yet"


class Probe:
    """Sends probes, and owns the delayed call of the next one. ``run`` starts a coroutine. ``on_ok`` is
    called at each return.
    """

    log = Logger()
    # Attributes of a subscriber, for the broker and the fan-out. No session of a realm has the id 0.
    id = 0
    identity = Identity(
        user_id=0, role=Role.USER, groups=frozenset(), topics=frozenset(), exp=math.inf, expires_at=math.inf
    )
    window = None
    format = WEBSOCKET_FORMATS["wamp.2.json"]
    socket = None

    def __init__(
        self,
        relay: Relay,
        *,
        clock: Clock,
        run: Callable[[Coroutine[Any, Any, None]], object],
        deliver: Callable[[Dispatch], None],
        metrics: Metrics,
        faults: Faults,
    ) -> None:
        self._relay = relay
        self._clock = clock
        self._run = run
        self._deliver = deliver
        self._metrics = metrics
        self._faults = faults
        self._subscription = Subscription(0, TOPIC, Match.EXACT, clock.seconds())
        self._subscription.subscribers[self] = None
        # Nodes that share a journal ignore each other's probes.
        self._node = secrets.token_hex(8)
        self._numbers = count(1)
        self._awaited = ""
        self._sent_at = 0.0
        self._since: float | None = None
        """When the first probe was sent that has not returned."""
        self._failure = ""
        self._is_appending = False
        self._reported: str | None = None
        self._call: Any = None
        self.on_ok: Callable[[], object] = lambda: None
        self.last_ok: float | None = None
        """When a probe has returned last, in seconds of the clock."""
        relay.follow_probes(self._echo)

    def start(self) -> None:
        """Send the first probe now. It returns before the first request can be read."""
        self._tick(self._clock.seconds())

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def problem(self) -> str | None:
        """What is wrong, in words; None: nothing."""
        if self._failure:
            return f"the probe has failed: {self._failure}"
        waited = 0.0 if self._since is None else self._clock.seconds() - self._since
        if waited >= PATIENCE:
            return f"the probe has not returned for {waited:.0f} s"
        return NOT_YET if self.last_ok is None else None

    # Called by the fan-out.

    @property
    def outlet(self) -> "Probe":
        return self

    def write(self, frame: bytes) -> None:
        if self._awaited and self._awaited.encode() in frame:
            now = self._clock.seconds()
            self._metrics.probed(now - self._sent_at)
            self._awaited, self._failure, self._since, self.last_ok = "", "", None, now
            if self._reported is not None:
                self._reported = None
                self.log.info("the probe has returned", event="probe.ok")
            self.on_ok()

    def close(self, end: End, detail: str = "") -> None:
        self._failure = f"its receiver was closed: {end}"

    # Internal.

    def _tick(self, due: float) -> None:
        now = self._clock.seconds()
        self._metrics.reactor_lag(now - due)
        self._call = self._clock.callLater(INTERVAL, partial(self._tick, now + INTERVAL))
        # A probe that the journal has not accepted is still waiting there. More of them would wait behind it.
        if not self._is_appending:
            self._send()
        problem = self.problem()
        if problem not in (None, NOT_YET) and self._reported is None:
            self._reported = problem
            self.log.error("the server is not ready: {reason}", reason=problem, event="probe.failed")

    def _send(self) -> None:
        now = self._clock.seconds()
        self._awaited = f"{self._node}-{next(self._numbers)}"
        self._sent_at = now
        if self._since is None:
            self._since = now
        self._run(self._append(self._awaited))

    async def _append(self, token: str) -> None:
        self._is_appending = True
        try:
            await self._relay.probe(token)
        except JournalUnavailable:
            self._failure = "the journal does not accept it"
        except Exception:
            self._faults.record("journalling a probe")
            self._failure = "the journal has failed"
        finally:
            self._is_appending = False

    def _echo(self, token: str, id: int) -> None:
        """The journal has returned a probe."""
        kwargs = {"probe": token}
        publication = Publication(id=id, topic=TOPIC, kwargs=kwargs, view=lambda groups, user_id: kwargs)
        self._deliver(Dispatch(publication, self._subscription, is_counted=False))
