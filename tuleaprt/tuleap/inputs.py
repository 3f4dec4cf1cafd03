"""The body of ``PUT /campaigns/<id>/executions``: what the results of a campaign are.

::

    [{"execution_id": 39, "status": "passed", "user": {"id": 101, …}, "automated": false, "rights": {…}}, …]

``user`` is the author of the latest result, as Tuleap represents him; null: nobody. ``automated`` may be left
out (false), and so may ``rights``, but then nobody may see it until a post says who may.

What the journal carries: all that the campaigns, and what is published, follow from.

Sessions, groups and the ends of tickets are each node's own and are not among them.

What an operator publishes over WAMP: a post in another envelope, with the same rules.

::

    PUBLISH  [16, <request>, <options>, "org.tuleap.kanban.3", [], {"cmd": …, "data": …, "rights": {…}}]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A ``POST /message``."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPublish:
    """An operator's PUBLISH; ``audience`` is whom he wants to reach."""

    message: Message
    audience: Audience


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSeeded:
    """An operator has said what the results of a campaign are (``seed.decode``)."""

    topic: str
    results: Mapping[int, Result]
    users: Mapping[int, JsonText]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRevoked:
    """An administrator has revoked the tickets that a user has."""

    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """A window that is on an execution is connected; ``session`` speaks for it."""

    window: Window
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLost:
    """The session that spoke for such a window has ended."""

    window: Window
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowUnsubscribed:
    """Such a window does not show this campaign any more."""

    window: Window
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceEnded:
    """Such a window has been absent for long, since then; any node may say so, and more than once."""

    window: Window
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A server looks whether the journal comes back to it; nothing is published of it."""

    token: str


Input = (
    Post
    | OperatorPublish
    | CampaignSeeded
    | UserRevoked
    | WindowSeen
    | WindowLost
    | WindowUnsubscribed
    | GraceEnded
    | Probed
)


KEYS = ("cmd", "data", "rights")


def message_of(topic: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Message | None:
    """The message that it stands for, of no sender; None: this is not the topic of a room.

    Raises:
        InvalidMessage: it is not accepted; ``path`` begins at the kwargs.
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
            raise RefusedMessage("invalid_value", "JSON cannot say this", path)
        body = msgspec.json.encode(
            {"sender_user_id": 0, "sender_uuid": None, "room_id": room, **{key: kwargs[key] for key in KEYS}}
        )
    except RecursionError:
        raise RefusedMessage("too_deep", "this is nested too deep") from None
    return decode(body)


def _what_is_no_json(node: Any, path: str) -> Iterator[str]:
    """Where there is something that only other serializers know: bytes, times, NaN, other keys."""
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
    """The result of each execution, and how their authors are represented, by user id.

    Raises:
        MalformedMessage: it is not JSON.
        RefusedMessage: it is, but not this.
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
            # As a post's: spaces do not make another representation of him.
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
