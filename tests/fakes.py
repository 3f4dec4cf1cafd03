"""Stand-ins for the seams, and makers of values, for tests that need no network."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jwt
from autobahn.wamp.message import Message as WampMessage

from tuleaprt.errors import TicketExpired, TicketRefused
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.tuleap.rights import Rights
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.broker import Kwargs, Publication, Window
from tuleaprt.wamp.outlet import End

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


def identity(
    user_id: int = 102,
    groups: Iterable[str] = MEMBER,
    *,
    role: Role = Role.USER,
    topics: Iterable[str] | None = None,
    expires_at: float = 1800.0,
) -> Identity:
    return Identity(
        user_id=user_id,
        role=role,
        groups=frozenset(groups),
        topics=None if topics is None else frozenset(topics),
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
) -> Publication:
    whole = {"cmd": "kanban:delete", "data": ""} if kwargs is None else kwargs
    return Publication(
        id=77,
        topic=topic,
        kwargs=whole,
        view=view or (lambda groups, user_id: whole),
        submitters=frozenset(submitters),
        sender=sender,
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
    return jwt.encode(claims, key, algorithm=algorithm)


class Tickets:
    """An Authenticator that knows some words."""

    def __init__(self, **identities: Identity) -> None:
        self.identities = identities

    def authenticate(self, ticket: str, now: float) -> Identity:
        if ticket == "expired":
            raise TicketExpired("the ticket has expired")
        if ticket not in self.identities:
            raise TicketRefused("unknown word")
        return self.identities[ticket]


class Member:
    """A session, to its realm."""

    def __init__(self) -> None:
        self.id = 0
        self.identity: Identity = identity()
        self.window: str | None = None
        self.subscriptions: set[int] = set()


class RecordingOutlet:
    """An Outlet that remembers what a session did with it, in order."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def send(self, message: WampMessage) -> None:
        self.done.append(message.marshal())

    def close(self, end: End, detail: str = "") -> None:
        self.done.append((end, detail))

    def take(self) -> list[Any]:
        done, self.done = self.done, []
        return done


class Everything:
    """A Policy that allows every topic but org.tuleap.secret."""

    def may_subscribe(self, identity: Identity, topic: str) -> bool:
        return topic != "org.tuleap.secret"


class CountingMetrics:
    """Metrics as plain numbers."""

    def __init__(self) -> None:
        self.internal_errors = 0
        self.deliveries = 0
        self.filtered = 0
        self.messages: list[str] = []
        self.closes: list[str] = []

    def message(self, result: str) -> None:
        self.messages.append(result)

    def published(self, family: str) -> None: ...

    def delivered(self, deliveries: int, filtered: int) -> None:
        self.deliveries += deliveries
        self.filtered += filtered

    def connected(self) -> None: ...

    def disconnected(self, reason: str) -> None:
        self.closes.append(reason)

    def internal_error(self) -> None:
        self.internal_errors += 1
