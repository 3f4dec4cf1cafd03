"""The whole server without its network: real tokens, sessions, realm, relay and journal, and a clock that
tests turn.
"""

import json
import time
from itertools import count
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from tests.fakes import KEY, CountingMetrics, RecordingOutlet, history, ticket
from tuleaprt.errors import InvalidMessage
from tuleaprt.journal.journal import MemoryJournal, Record
from tuleaprt.operations.logs import Faults
from tuleaprt.relay.procedures import PODIUM, PRESENCES, campaign_procedures
from tuleaprt.relay.relay import Relay
from tuleaprt.transport.serializers import JSON
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import CampaignSeeded, Input, decode_seed
from tuleaprt.tuleap.message import decode
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.tuleap.topics import RoomPolicy
from tuleaprt.wamp.broker import Dispatch
from tuleaprt.wamp.procedures import REFRESH, Procedures, refresh
from tuleaprt.wamp.publication import Publication
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.router import Router
from tuleaprt.wamp.session import Session, State

START = int(time.time()) + 1_000_000
"""When the clock begins, a whole second: far ahead, because PyJWT looks at the clock of the system too."""

GRACE = 15
MAX_LIFETIME = 1800
FEATURES = {"subscriber": {"features": {"subscription_revocation": True}}}


class JournalOnRecord(MemoryJournal[Input]):
    """Keeps the records, to be read again."""

    def __init__(self, epoch: bytes) -> None:
        super().__init__(epoch)
        self.records: list[Record[Input]] = []

    def follow(self, apply: Any) -> None:
        def recorded(record: Record[Input]) -> None:
            self.records.append(record)
            apply(record)

        super().follow(recorded)


class World:
    def __init__(
        self, *, grace: float = GRACE, max_campaigns: int = 1000, idle_seconds: float = 172_800
    ) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.metrics = CountingMetrics()
        faults = Faults(self.metrics)
        policy = RoomPolicy()
        self.realm = Realm(
            "tuleap",
            policy=policy,
            history=history(seconds=1e9),
            new_id=count(5000).__next__,
            deliver=self.deliver,
            audit=lambda *deed: None,
            max_subscriptions=99,
            max_sessions_per_user=100,
        )
        self.journal = JournalOnRecord(b"e" * 32)
        verifier = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
        self.campaigns = Campaigns(max=max_campaigns, idle_seconds=idle_seconds, max_publications=1000)
        self.relay = Relay(
            self.realm,
            self.journal,
            campaigns=self.campaigns,
            revocations=verifier.revocations,
            grace=grace,
            clock=self.clock,
            run=ensureDeferred,
            metrics=self.metrics,
            faults=faults,
        )

        def refreshing(*asked: Any) -> Any:
            return refresh(self.realm, verifier, *asked)

        self.router = Router(
            realm=self.realm,
            authenticator=verifier,
            procedures=Procedures(
                self.realm, {REFRESH: refreshing, **campaign_procedures(self.campaigns, policy)}
            ),
            publisher=self.relay,
            anonymous=None,
            open_timeout=10,
            goodbye_timeout=20,
            requests_per_second=1e6,
        )
        self.windows: list[Window] = []
        self.published: list[Publication] = []
        publish = self.realm.publish

        def recorded(publication: Publication, at: float) -> None:
            self.published.append(publication)
            publish(publication, at)

        self.realm.publish = recorded  # type: ignore[method-assign]

    @property
    def now(self) -> float:
        return self.clock.seconds()

    def deliver(self, dispatch: Dispatch) -> None:
        """The fan-out, without its network and its turns."""
        for session, answer in dispatch.answers(dispatch.receivers, self.now):
            if answer is not None:
                assert isinstance(session, Session)
                kwargs = plain(answer.kwargs)
                session.outlet.done.append([36, dispatch.subscription.id, dispatch.publication.id, kwargs])  # type: ignore[attr-defined]

    def wait(self, seconds: float) -> None:
        """Let time pass. Everything that is due meanwhile happens at its time."""
        end = self.now + seconds
        due = self.now
        while due < end:
            asleep = [it for it in self.windows if it.session.state is not State.ENDED]
            calls = [call.getTime() for call in self.clock.getDelayedCalls()]
            due = max(self.now, min([end, *calls, *(it.outlet.waking_at for it in asleep)]))
            self.clock.advance(due - self.now)
            for window in asleep:
                if window.outlet.waking_at <= due:
                    window.session.wake(due)

    def post(self, body: dict[str, Any]) -> int:
        """The id of the publication, or the status of the refusal."""
        try:
            message = decode(json.dumps(body).encode())
        except InvalidMessage:
            return 422
        return done(self.relay.accept(message))

    def seed(self, topic: str, executions: list[dict[str, Any]]) -> int:
        results, users = decode_seed(json.dumps(executions).encode())
        return done(self.relay.seed(CampaignSeeded(topic=topic, results=results, users=users)))

    def revoke(self, user_id: int) -> None:
        done(self.relay.revoke(user_id))

    def open(
        self,
        user_id: int,
        groups: Any,
        uuid: str | None = None,
        *,
        lifetime: float = MAX_LIFETIME,
        token: str | None = None,
        **claims: Any,
    ) -> "Window":
        """A session with this token; or the window of a client that was refused."""
        window = Window(self)
        window.say([1, "tuleap", {"roles": FEATURES, "authmethods": ["ticket"], "authextra": {"uuid": uuid}}])
        window.say([5, token or self.ticket(user_id, groups, lifetime, **claims), {}])
        return window

    def ticket(self, user_id: int, groups: Any, lifetime: float = MAX_LIFETIME, **claims: Any) -> str:
        return ticket(user_id, groups, exp=self.now + lifetime, **claims)


class Window:
    """A client. ``events`` are the kwargs of its EVENTs; ``ended`` is the reason of an ABORT or GOODBYE."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.outlet = RecordingOutlet()
        self.session = Session(world.router, self.outlet, opened=world.now)
        self.revoked: list[int] = []
        world.windows.append(self)

    def say(self, raw: list[Any]) -> None:
        self.session.receive(raw, self.world.now)

    def take(self) -> list[Any]:
        """What the server has said since."""
        return [it for it in self.outlet.take() if isinstance(it, list)]

    def events(self) -> list[dict[str, Any]]:
        return [it[3] for it in self.take() if it[0] == 36]

    def ended(self) -> str | None:
        return next((str(it[2]) for it in self.take() if it[0] in (3, 6)), None)

    def subscribe(self, topic: str) -> int | str:
        """Its id, or the URI of the refusal."""
        return self._answer([32, 9, {}, topic])  # type: ignore[no-any-return]

    def unsubscribe(self, id: int) -> None:
        self.say([34, 9, id])

    def call(self, procedure: str, *args: Any, **kwargs: Any) -> Any:
        """The first result, or the URI of the refusal."""
        return self._answer([48, 9, {}, procedure, list(args), kwargs])

    def presences(self, campaign: object = 9) -> Any:
        return self.call(PRESENCES, campaign)

    def podium(self, campaign: object = 9) -> Any:
        return self.call(PODIUM, campaign)

    def refresh(self, token: str) -> Any:
        return self.call(REFRESH, token)

    def position(self) -> tuple[int, int]:
        """The first of its subscriptions, and where the history of that is now."""
        subscription = min(self.session.subscriptions)
        self.say([48, 9, {}, "wamp.subscription.get_events", [subscription], {"limit": 0}])
        return subscription, self.outlet.done.pop()[4]["position"]

    def missed(self, subscription: int, after: int) -> list[dict[str, Any]]:
        """The kwargs of what ``get_events`` says it missed."""
        before = len(self.outlet.done)
        self.say([48, 9, {}, "wamp.subscription.get_events", [subscription], {"after_publication": after}])
        result = self.outlet.done.pop()
        assert len(self.outlet.done) == before
        return [plain(it["kwargs"]) for it in result[3]]

    def close(self) -> None:
        """The connection is lost."""
        self.session.lost()

    def _answer(self, raw: list[Any]) -> Any:
        before = len(self.outlet.done)
        self.say(raw)
        index = next(i for i in range(before, len(self.outlet.done)) if self.outlet.done[i][0] in (8, 33, 50))
        answer = self.outlet.done.pop(index)
        if answer[0] == 8:
            return answer[4]
        return answer[2] if answer[0] == 33 else plain(answer[3][0])


def done(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    results: list[Any] = []
    ensureDeferred(coroutine).addBoth(results.append)
    assert not hasattr(results[0], "raiseException"), results[0]
    return results[0]


def plain(value: Any) -> Any:
    """What a client makes of it."""
    return JSON.decode(JSON.encode(value))
