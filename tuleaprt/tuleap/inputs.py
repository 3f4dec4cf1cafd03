"""The inputs that the journal carries. Campaigns and publications follow from them and from nothing else.

Sessions and the ends of tokens belong to each node and are not inputs.

An operator's publication over WAMP obeys the rules of a post::

    PUBLISH  [16, <request>, <options>, "org.tuleap.kanban.3", [], {"cmd": …, "data": …, "rights": {…}}]

A seed is the body of ``PUT /campaigns/<id>/executions``, the results of a campaign::

    [{"execution_id": 39, "status": "passed", "user": {"id": 101, …}, "automated": false, "rights": {…}}, …]

``user`` is the author of the latest result as Tuleap represents users; null: none. ``automated`` may be
absent (false). ``rights`` may be absent or null: then the known rights stay.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.body import check_json, check_texts, not_json, refuse
from tuleaprt.tuleap.commands import execution_id
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.tuleap.podium import Result
from tuleaprt.tuleap.rights import Rights, UserId
from tuleaprt.tuleap.topics import room_id
from tuleaprt.wamp.publication import Audience, JsonText, Window


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A ``POST /message``."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPublish:
    """An operator's PUBLISH; ``audience`` are the sessions that the operator wants to reach."""

    message: Message
    audience: Audience


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSeeded:
    """An operator has put the results of a campaign (``decode_seed``)."""

    topic: str
    results: Mapping[int, Result]
    users: Mapping[int, JsonText]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRevoked:
    """An administrator has revoked the tokens that a user has."""

    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsShown:
    """The newest token of a user, which ends at ``exp``, shows these groups."""

    user_id: int
    exp: float
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """A window that is on an execution has the session ``session`` of this node. ``is_new``: it has just
    opened it, so it replaces every former session of the window.
    """

    window: Window
    session: int
    node: str = ""
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLost:
    """The session of a window that is on an execution has ended."""

    window: Window
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowUnsubscribed:
    """A window that is on an execution of this campaign has unsubscribed from it."""

    window: Window
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceEnded:
    """The grace of a window that has no session since then is over. Any node may append it, even twice."""

    window: Window
    since: float


Positions = tuple[tuple[int, str, str, int], ...]
"""The last publications that windows over socket.io have received: user id, uuid, topic, publication id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A node has stopped in order. The positions hold only for a short time, and at a start only if this is
    the last record, because a node that is killed cannot say what its windows have received.
    """

    positions: Positions
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsKilled:
    """An operator of this node has killed the sessions with an ``authid`` or with an ``authrole``; both None:
    all sessions. ``reason`` is a URI.
    """

    node: str
    authid: str | None
    authrole: str | None
    reason: str
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A node tests whether the journal returns what it appends, and shows that it runs. Nothing is
    published.
    """

    token: str
    node: str = ""


Input = (
    Post
    | OperatorPublish
    | CampaignSeeded
    | UserRevoked
    | GroupsShown
    | WindowSeen
    | WindowLost
    | WindowUnsubscribed
    | GraceEnded
    | Stopped
    | SessionsKilled
    | Probed
)


KEYS = ("cmd", "data", "rights")


def message_of(topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Message | None:
    """The message of an operator's publication, without a sender; None: the topic is not a kanban's or
    campaign's.

    Raises:
        InvalidMessage: the message is not accepted; ``path`` begins at the keyword arguments.
    """
    room = room_id(topic)
    if room is None:
        return None
    if args:
        raise RefusedMessage("unknown_args", "there are no positional arguments here; they must be empty")
    for key in KEYS:
        if key not in kwargs:
            raise RefusedMessage("missing_key", "this keyword argument is missing", f"$.{key}")
    if len(kwargs) > len(KEYS):
        raise RefusedMessage("unknown_key", f"the keyword arguments here are {', '.join(KEYS)}")
    try:
        for path in _what_is_no_json(kwargs, "$"):
            raise RefusedMessage("invalid_value", "JSON does not have this value", path)
        body = msgspec.json.encode(
            {"sender_user_id": 0, "sender_uuid": None, "room_id": room, **{key: kwargs[key] for key in KEYS}}
        )
    except RecursionError:
        raise RefusedMessage("too_deep", "this is nested too deep") from None
    return decode(body)


def _what_is_no_json(node: Any, path: str) -> Iterator[str]:
    """The places of values that JSON does not have: bytes, times, NaN, keys that are not text."""
    if isinstance(node, dict):
        for key, child in node.items():
            if isinstance(key, str):
                yield from _what_is_no_json(child, f"{path}[...]" if path != "$" else f"$.{key}")
            else:
                yield f"{path} (a key)"
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _what_is_no_json(child, f"{path}[{index}]")
    elif isinstance(node, float):
        if not math.isfinite(node):
            yield path
    elif not isinstance(node, str | int | None):
        yield path


class _User(msgspec.Struct):
    id: UserId | None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    execution_id: int | str
    status: str | None
    user: msgspec.Raw
    automated: bool = False
    rights: Rights | None = None


_entries = msgspec.json.Decoder(list[_Entry])
_users = msgspec.json.Decoder(_User | None)


def decode_seed(body: bytes) -> tuple[Mapping[int, Result], Mapping[int, JsonText]]:
    """The result of each execution, and the representation of their authors by user id.

    Raises:
        MalformedMessage: the body is not JSON.
        RefusedMessage: the body is not a seed.
    """
    try:
        check_json(body)
        entries = _entries.decode(body)
    except msgspec.ValidationError as error:
        refuse(RefusedMessage, "invalid_executions", error)
    except (ValueError, RecursionError) as error:
        raise not_json(error) from None
    check_texts(body, msgspec.json.decode(body), "$")
    results: dict[int, Result] = {}
    users: dict[int, JsonText] = {}
    for index, entry in enumerate(entries):
        place = f"$[{index}]"
        id = execution_id(entry.execution_id, f"{place}.execution_id")
        if id in results:
            raise RefusedMessage("duplicate_id", "this execution is listed twice", f"{place}.execution_id")
        author = _author(entry.user, f"{place}.user")
        if author is not None:
            # Encoded again, so that white space does not make a different representation of the user.
            users[author] = JsonText(msgspec.json.encode(msgspec.json.decode(entry.user)))
        results[id] = Result(
            status=entry.status, author=author, is_automated=entry.automated, rights=entry.rights
        )
    return results, users


def _author(user: Any, place: str) -> int | None:
    try:
        decoded = _users.decode(user)
    except msgspec.ValidationError as error:
        refuse(RefusedMessage, "invalid_executions", error, place)
    return (decoded and decoded.id) or None
