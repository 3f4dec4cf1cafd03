"""The whole server without its network: real tokens, sessions, realm, relay and journal, and a clock that
tests turn.
"""

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from tests.fakes import KEY, MEMBER, CountingMetrics, RecordingOutlet, history, ticket
from tuleaprt.errors import InvalidMessage
from tuleaprt.journal.journal import MemoryJournal, Record
from tuleaprt.operations.logs import Faults
from tuleaprt.relay.procedures import PODIUM, PRESENCES, campaign_procedures
from tuleaprt.relay.relay import Relay
from tuleaprt.socketio.events import event_packet
from tuleaprt.socketio.pages import Page
from tuleaprt.socketio.router import PageRouter, Positions
from tuleaprt.socketio.session import PageSession
from tuleaprt.transport.serializers import JSON
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.tuleap.inputs import CampaignSeeded, Input, decode_seed
from tuleaprt.tuleap.message import decode
from tuleaprt.tuleap.ticket import TicketVerifier
from tuleaprt.tuleap.topics import RoomPolicy
from tuleaprt.wamp.broker import Dispatch
from tuleaprt.wamp.outlet import End
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
        self,
        *,
        grace: float = GRACE,
        max_campaigns: int = 1000,
        idle_seconds: float = 172_800,
        node: str = "here",
        journal: Any = None,
        clock: Clock | None = None,
    ) -> None:
        if clock is None:
            clock = Clock()
            clock.advance(START)
        self.clock = clock
        self.metrics = CountingMetrics()
        faults = Faults(self.metrics)
        policy = RoomPolicy()
        self.realm = Realm(
            "tuleap",
            policy=policy,
            history=history(seconds=1e9),
            new_id=count(5000 if node == "here" else hash(node) % 2**40).__next__,
            deliver=self.deliver,
            audit=lambda *deed: None,
            max_subscriptions=99,
            max_sessions_per_user=100,
        )
        self.journal = JournalOnRecord(b"e" * 32) if journal is None else journal
        verifier = self.verifier = TicketVerifier(KEY, algorithms=["HS512"], max_lifetime=MAX_LIFETIME)
        self.campaigns = Campaigns(max=max_campaigns, idle_seconds=idle_seconds, max_publications=1000)
        self.relay = Relay(
            self.realm,
            self.journal,
            node=node,
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
        self.pages = PageRouter(
            realm=self.realm,
            authenticator=verifier,
            refresh=refreshing,
            presences=self.campaigns.presences,
            replayed=self.metrics.history_read,
            positions=Positions(),
            open_timeout=10,
            reminder=5,
            ping_interval=25,
            ping_timeout=20,
            requests_per_second=1e6,
            max_replay=100_000,
        )
        self.windows: list[Window] = []
        self.sockets: list[PageWindow] = []
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
            if answer is None:
                continue
            if isinstance(session, PageSession):
                session.outlet.event(dispatch.publication.id, answer.kwargs)  # type: ignore[attr-defined]
            else:
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
            wakings = [it.outlet.waking_at for it in (*asleep, *self.sockets)]
            due = max(self.now, min([end, *calls, *wakings]))
            self.clock.advance(due - self.now)
            for window in asleep:
                if window.outlet.waking_at <= due:
                    window.session.wake(due)
            for socket in self.sockets:
                if socket.outlet.waking_at <= due:
                    socket.page.wake(due)
                    socket.answer_pings()

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


class PageOutlet:
    """An Outlet of a page that remembers what came by it."""

    def __init__(self) -> None:
        self.description = {"type": "socketio", "protocol": "engine.io.4.polling", "peer": "tcp4:192.0.2.1:7"}
        self.longest = 2**20
        self.handed = 0
        self.missing = 0
        self.waking_at = float("inf")
        self.namespace = ""
        self.packets: list[bytes] = []
        self.ended: tuple[End, str] | None = None
        self.notes: list[str] = []
        self.waiting: list[Callable[[], None]] | None = None
        """What waits for the fan-out; None: nothing waits."""

    def first_missing(self, subscription: object) -> int:
        return self.missing

    def commit(self) -> None: ...

    def enter(self, namespace: str) -> None:
        self.namespace = namespace

    def put(self, packet: bytes, publication: int = 0) -> None:
        self.packets.append(packet)
        self.handed = publication or self.handed

    def then(self, do: Callable[[], None], session: object) -> None:
        if self.waiting is None:
            do()
        else:
            self.waiting.append(do)

    def close(self, end: End, detail: str = "") -> None:
        self.ended = self.ended or (end, detail)

    def wake_at(self, when: float) -> None:
        self.waking_at = when

    def note(self, text: str) -> None:
        self.notes.append(text)

    def event(self, publication: int, kwargs: Any) -> None:
        """As the fan-out does."""
        if packet := event_packet(self.namespace, kwargs):
            self.put(packet, publication)


class PageWindow:
    """A page over socket.io. ``uuid`` is that of its window."""

    is_alive = True
    """Whether it answers pings."""

    def __init__(self, world: World, namespace: str | None = "/", uuid: str = "u-page") -> None:
        self.world = world
        self.uuid = uuid
        self.outlet = PageOutlet()
        self.page = Page(world.pages, self.outlet, sid="sid", opened=world.now)
        self.prefix = "" if namespace in ("/", None) else f"{namespace},"
        world.sockets.append(self)
        if namespace is not None:
            self.say("40" + self.prefix)
            assert self.take() == [("0", {"sid": "sid"})]

    def say(self, packet: str) -> None:
        self.page.receive(packet.encode(), self.world.now)

    def emit(self, name: str, argument: Any) -> None:
        self.say(f"42{self.prefix}{json.dumps([name, argument])}")

    def subscribe(
        self, room_id: object = 3, user_id: int = 102, groups: Any = MEMBER, **changes: Any
    ) -> None:
        """``lifetime`` and further claims go into the token, unless ``token`` replaces it."""
        uuid, version = changes.pop("uuid", self.uuid), changes.pop("version", "2.0.0")
        token = changes.pop("token", None) or self.world.ticket(user_id, groups, **changes)
        argument = {"nodejs_server_version": version, "token": token, "room_id": room_id, "uuid": uuid}
        self.emit("subscription", argument)

    def take(self) -> list[Any]:
        """What came since: the type and the payload of each packet; of Engine.IO's own the packet."""
        taken: list[Any] = []
        for packet in self.outlet.packets:
            text = packet.decode()
            if text[0] == "4":
                rest = text[2:].removeprefix(self.prefix)
                taken.append((text[1], json.loads(rest) if rest else None))
            else:
                taken.append(text)
        self.outlet.packets.clear()
        return taken

    def answer_pings(self) -> None:
        if self.is_alive and b"2" in self.outlet.packets:
            self.outlet.packets.remove(b"2")
            self.say("3")

    def events(self) -> list[Any]:
        """Name and data of each event since; nothing else may have come."""
        taken = self.take()
        assert all(it[0] == "2" for it in taken), taken
        return [(it[1][0], it[1][1]) for it in taken]

    @property
    def ended(self) -> tuple[End, str] | None:
        return self.outlet.ended

    def lose(self) -> None:
        """The connection is lost."""
        self.outlet.waking_at = float("inf")
        self.page.lost()


def done(coroutine: Any) -> Any:
    """The result of a coroutine that waits for nothing."""
    results: list[Any] = []
    ensureDeferred(coroutine).addBoth(results.append)
    assert not hasattr(results[0], "raiseException"), results[0]
    return results[0]


def plain(value: Any) -> Any:
    """What a client makes of it."""
    return JSON.decode(JSON.encode(value))
