"""Substitutes for the seams, and makers of values, for tests that need no network."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import jwt
from autobahn.wamp.message import Message as WampMessage

from tuleaprt.errors import RequestError, TicketExpired, TicketRefused
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.broker import Dispatch
from tuleaprt.wamp.calls import Procedure
from tuleaprt.wamp.history import History
from tuleaprt.wamp.identifiers import Match, anchor_id
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.procedures import Procedures
from tuleaprt.wamp.publication import Audience, Kwargs, Publication, Replay, Window
from tuleaprt.wamp.realm import Realm
from tuleaprt.wamp.router import Router

FIXTURES = Path(__file__).parent / "fixtures" / "tuleap"
WIRE = sorted((FIXTURES / "wire").glob("*.body"))
KEY = (FIXTURES / "tuleap-realtime-key").read_bytes().removeprefix(b"PRIVATE_KEY=")
MEMBER = ("@site_active", "@gpig_project_members")
KANBAN = "org.tuleap.kanban.3"
CAMPAIGN = "org.tuleap.testmanagement.9"


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a fixture file that say what is expected (null: nothing is)."""
    found = json.loads((FIXTURES / name).read_text())["cases"]
    return [case for case in found if case["tuleaprt"] is not None]


def wire(name: str) -> bytes:
    """A body exactly as PHP posts it."""
    return (FIXTURES / "wire" / f"{name}.body").read_bytes()


def body(**changes: Any) -> dict[str, Any]:
    """The readable form of an ordinary post, with some of its keys replaced."""
    return json.loads((FIXTURES / "msg_kanban_item_create.json").read_text()) | changes


def message(**changes: Any) -> Message:
    return decode(json.dumps(body(**changes)).encode())


def data_of(message: Message) -> Any:
    return json.loads(message.data_json.text)


def identity(
    user_id: int = 102,
    groups: Iterable[str] = MEMBER,
    *,
    role: Role = Role.USER,
    topics: Iterable[str] | None = None,
    expires_at: float = 1800.0,
    exp: float | None = None,
) -> Identity:
    return Identity(
        user_id=user_id,
        role=role,
        groups=frozenset(groups),
        topics=None if topics is None else frozenset(topics),
        exp=expires_at if exp is None else exp,
        expires_at=expires_at,
    )


def rights(**changes: Any) -> Rights:
    values: dict[str, Any] = {
        "submitter_id": None,
        "submitter_can_view": False,
        "submitter_only": frozenset(),
        "artifact": frozenset(),
        "tracker": frozenset({"@site_active"}),
    }
    return Rights(**values | changes)


def publication(
    kwargs: Kwargs | None = None,
    *,
    topic: str = KANBAN,
    view: Callable[[frozenset[str], int | None], Kwargs | None] | None = None,
    submitters: Iterable[int] = (),
    sender: Window | None = None,
    id: int = 77,
    args: Sequence[Any] = (),
    audience: Audience | None = None,
    replay: Replay = Replay.EACH,
    size: int = 100,
) -> Publication:
    """A publication that all users receive, unless a view says otherwise."""
    whole = {"cmd": "kanban:delete", "data": ""} if kwargs is None else kwargs
    return Publication(
        id=id,
        topic=topic,
        args=args,
        kwargs=whole,
        view=view or (lambda groups, user_id: whole),
        submitters=frozenset(submitters),
        sender=sender,
        audience=audience,
        replay=replay,
        size=size,
    )


def untold(id: int = 77, topic: str = KANBAN) -> Publication:
    """A publication that has its id and nothing else."""
    return Publication(id=id, topic=topic, kwargs=None, view=lambda groups, user_id: None)


def history(
    *, events_per_topic: int = 500, seconds: float = 600, max_bytes: int = 2**26, epoch: bytes = b"e"
) -> History:
    return History(
        events_per_topic=events_per_topic,
        seconds=seconds,
        max_bytes=max_bytes,
        anchor=lambda pattern, place: anchor_id(epoch, pattern, place),
    )


class Sent:
    """What a realm sends on its way, and what it notes of operators."""

    def __init__(self) -> None:
        self.dispatches: list[Dispatch] = []
        self.deeds: list[tuple[int, str, str]] = []

    def audit(self, session: int, identity: Identity, deed: str, what: str) -> None:
        self.deeds.append((session, deed, what))

    def take(self) -> list[tuple[str, list[Any]]]:
        """Topic and args of what was sent since: the meta events."""
        taken = [(it.publication.topic, list(it.publication.args)) for it in self.dispatches]
        self.dispatches.clear()
        return taken


def new_realm(
    sent: Sent | None = None, *, max_subscriptions: int = 9, max_sessions_per_user: int = 100, **limits: Any
) -> Realm:
    """A realm named tuleap, whose sessions have the ids 5000, 5001 …"""
    sent = sent or Sent()
    return Realm(
        "tuleap",
        policy=Everything(),
        history=history(**limits),
        new_id=count(5000).__next__,
        deliver=sent.dispatches.append,
        audit=sent.audit,
        max_subscriptions=max_subscriptions,
        max_sessions_per_user=max_sessions_per_user,
    )


class Publishing:
    """A Publisher that answers on command."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Any], dict[str, Any], Audience]] = []
        self.answers: list[Callable[[int | RequestError], None]] = []

    def publish(
        self,
        topic: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        audience: Audience,
        answer: Callable[[int | RequestError], None],
    ) -> None:
        self.asked.append((topic, list(args), dict(kwargs), audience))
        self.answers.append(answer)


def new_router(
    realm: Realm,
    authenticator: Any = None,
    *,
    publisher: Any = None,
    anonymous: Identity | None = None,
    requests_per_second: float = 1000,
    others: Mapping[str, Procedure] | None = None,
) -> Router:
    return Router(
        realm=realm,
        authenticator=authenticator or Tickets(),
        procedures=Procedures(realm, others or {}),
        publisher=publisher or Publishing(),
        anonymous=anonymous,
        open_timeout=10,
        goodbye_timeout=20,
        requests_per_second=requests_per_second,
    )


def ticket(
    user_id: object = 102,
    groups: object = MEMBER,
    *,
    exp: object = None,
    key: bytes = KEY,
    algorithm: str = "HS512",
    **data: object,
) -> str:
    """A token as Tuleap signs it, good for half an hour from now unless ``exp`` says otherwise."""
    claims = {
        "data": {"user_id": user_id, "user_rights": groups, **data},
        "exp": time.time() + 1800 if exp is None else exp,
    }
    return jwt.encode(claims, key, algorithm=algorithm, sort_headers=False)


class Tickets:
    """An Authenticator that knows some words."""

    def __init__(self, **identities: Identity) -> None:
        self.identities = identities

    def authenticate(self, ticket: str, now: float) -> Identity:
        if ticket == "expired":
            raise TicketExpired("the token has expired")
        if ticket not in self.identities:
            raise TicketRefused("unknown word")
        return self.identities[ticket]


class RecordingOutlet:
    """An Outlet that remembers what a session did with it, in order, and when it is to be woken."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.description = {"type": "websocket", "protocol": "wamp.2.json", "peer": "tcp4:192.0.2.1:7"}
        self.longest = 2**20
        self.waking_at = float("inf")
        self.is_paused = False

    def wake_at(self, when: float) -> None:
        self.waking_at = when

    def pause(self, is_paused: bool) -> None:
        self.is_paused = is_paused

    def send(self, message: WampMessage, until: float = float("inf")) -> None:
        self.done.append(message.marshal())

    def close(self, end: End, detail: str = "") -> None:
        self.done.append((end, detail))

    def take(self) -> list[Any]:
        done, self.done = self.done, []
        return done


class Member:
    """A session, to its realm. ``dismissed`` and ``lost`` are what the realm did to it."""

    def __init__(self, **of_identity: Any) -> None:
        self.id = 0
        self.identity: Identity = identity(**of_identity)
        self.window: str | None = None
        self.subscriptions: set[int] = set()
        self.authmethod = "ticket"
        self.outlet = RecordingOutlet()
        self.dismissed: list[tuple[End, str, str | None]] = []
        self.lost: list[tuple[int, str]] = []
        self.leave: Callable[[Any], None] = lambda session: None

    def dismiss(self, end: End, reason: str, message: str | None, now: float) -> None:
        self.dismissed.append((end, reason, message))
        self.leave(self)

    def revoked(self, subscription: int, reason: str) -> None:
        self.lost.append((subscription, reason))

    def assume(self, identity: Identity) -> None:
        self.identity = identity


class Everything:
    """A Policy that allows every topic but org.tuleap.secret, which may be another one meanwhile."""

    def __init__(self) -> None:
        self.secrets = {"org.tuleap.secret"}

    def may_subscribe(self, identity: Identity, topic: str, match: Match) -> bool:
        return topic not in self.secrets


class CountingMetrics:
    """Metrics as plain numbers."""

    def __init__(self) -> None:
        self.internal_errors = 0
        self.dropped = 0
        self.deliveries = 0
        self.filtered = 0
        self.messages: list[str] = []
        self.closes: list[str] = []
        self.results: list[tuple[str, str]] = []
        self.fanouts: list[float] = []
        self.posts: list[float] = []
        self.probes: list[float] = []
        self.lag = 0.0

    def message(self, result: str) -> None:
        self.messages.append(result)

    def published(self, family: str) -> None: ...

    def delivered(self, deliveries: int, filtered: int) -> None:
        self.deliveries += deliveries
        self.filtered += filtered

    def fanned_out(self, seconds: float) -> None:
        self.fanouts.append(seconds)

    def answered(self, seconds: float) -> None:
        self.posts.append(seconds)

    def authenticated(self, result: str) -> None:
        self.results.append(("authentication", result))

    def refreshed(self, result: str) -> None:
        self.results.append(("refresh", result))

    def history_read(self, result: str) -> None:
        self.results.append(("history read", result))

    def unauthenticated_dropped(self) -> None:
        self.dropped += 1

    def probed(self, seconds: float) -> None:
        self.probes.append(seconds)

    def reactor_lag(self, seconds: float) -> None:
        self.lag = seconds

    def disconnected(self, reason: str) -> None:
        self.closes.append(reason)

    def internal_error(self) -> None:
        self.internal_errors += 1
