"""The commands of a campaign that change the server's knowledge (contract 1.4, 1.5). All others are only
forwarded.

::

    testmanagement_execution:create         {"artifact_id": 39, …}
    testmanagement_execution:update         {"artifact_id": 39, "status": "passed", "user": {"id": 101, …}, …}
    testmanagement_execution:delete         {"artifact_id": 39, …}
    testmanagement_execution:link_artifact  {"artifact_id": 39, …}
    testmanagement_user:presence            {"presence": {"execution_id": 39, "uuid": "7b1c8d2e-…",
                                                          "remove_from": "", "user": {"id": 101, …}}}

The id of an execution is a number or its text; both name the same execution. ``remove_from`` is the
execution that the window leaves. ``""`` means that it leaves none; ``execution_id`` itself means that it
leaves that one and enters none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.body import refuse
from tuleaprt.tuleap.rights import UserId
from tuleaprt.tuleap.topics import parse_id
from tuleaprt.wamp.publication import MAX_UUID_LENGTH, JsonText, Window

PRESENCE = "testmanagement_user:presence"
LEAVE = "user:leave"
PODIUM = "testmanagement_podium:update"

SERVER_COMMANDS = frozenset({LEAVE, "presences", PODIUM})
"""Commands that only the server makes. A post must not carry them (docs/tuleap.rst)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """An execution has been added to the campaign."""

    execution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """An execution has a new result.

    ``author`` is the id of the user, or None; ``user`` is Tuleap's representation of the user.
    ``is_automated`` is None if the message does not say it, and Tuleap's messages do not.
    """

    execution: int
    status: str | None
    author: int | None
    user: JsonText
    is_automated: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """An execution has been removed from the campaign."""

    execution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A bug has been linked to an execution. The rights of the message are the bug's."""

    execution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """A window has opened an execution, or has left it if ``left`` is the same execution.

    ``viewer`` is Tuleap's representation of the user, with the key ``uuid`` of the window.
    """

    execution: int
    left: int | None
    window: Window
    viewer: JsonText


Command = Created | Updated | Deleted | Linked | Viewing


class _User(msgspec.Struct):
    id: UserId | None


class _Execution(msgspec.Struct):
    artifact_id: int | str


class _Result(msgspec.Struct):
    artifact_id: int | str
    status: str | None
    user: _User
    automated: bool | None = None


class _Presence(msgspec.Struct):
    execution_id: int | str
    uuid: str
    remove_from: int | str
    user: _User


class _PresenceData(msgspec.Struct):
    presence: _Presence


def command_of(cmd: str, data: Any, sender: Window | None) -> Command | None:
    """The command in a message of a campaign; None: it is only forwarded.

    Raises:
        RefusedMessage: the data do not have the command's shape.
    """
    meaning = _MEANINGS.get(cmd)
    return None if meaning is None else meaning(data, sender)


def execution_id(value: int | str, path: str) -> int:
    """
    Raises:
        RefusedMessage: the value is not a canonical decimal number from 1 to 2^53-1, or its text.
    """
    id = parse_id(value)
    if id is None:
        raise RefusedMessage("invalid_id", "this is not the id of an execution", path)
    return id


def _created(data: Any, sender: Window | None) -> Created:
    return Created(execution=_execution(data))


def _updated(data: Any, sender: Window | None) -> Updated:
    result = _convert(data, _Result)
    return Updated(
        execution=execution_id(result.artifact_id, "$.data.artifact_id"),
        status=result.status,
        author=result.user.id or None,
        user=JsonText(msgspec.json.encode(data["user"])),
        is_automated=result.automated,
    )


def _deleted(data: Any, sender: Window | None) -> Deleted:
    return Deleted(execution=_execution(data))


def _linked(data: Any, sender: Window | None) -> Linked:
    return Linked(execution=_execution(data))


def _viewing(data: Any, sender: Window | None) -> Viewing:
    presence = _convert(data, _PresenceData).presence
    root = "$.data.presence"
    if sender is None or presence.uuid != sender.uuid:
        raise RefusedMessage("other_window", "it must be the same as sender_uuid", f"{root}.uuid")
    if len(presence.uuid) > MAX_UUID_LENGTH:
        raise RefusedMessage("long_uuid", f"a uuid has at most {MAX_UUID_LENGTH} characters", f"{root}.uuid")
    if (presence.user.id or 0) != sender.user_id:
        raise RefusedMessage("other_user", "the viewer must be the sender", f"{root}.user.id")
    left = presence.remove_from
    return Viewing(
        execution=execution_id(presence.execution_id, f"{root}.execution_id"),
        left=None if left == "" else execution_id(left, f"{root}.remove_from"),
        window=sender,
        viewer=JsonText(msgspec.json.encode(data["presence"]["user"] | {"uuid": sender.uuid})),
    )


_MEANINGS: dict[str, Callable[[Any, Window | None], Command]] = {
    "testmanagement_execution:create": _created,
    "testmanagement_execution:update": _updated,
    "testmanagement_execution:delete": _deleted,
    "testmanagement_execution:link_artifact": _linked,
    PRESENCE: _viewing,
}

T = TypeVar("T")


def _convert(data: Any, type: type[T]) -> T:
    try:
        return msgspec.convert(data, type)
    except msgspec.ValidationError as error:
        refuse(RefusedMessage, "invalid_data", error, "$.data")


def _execution(data: Any) -> int:
    return execution_id(_convert(data, _Execution).artifact_id, "$.data.artifact_id")
