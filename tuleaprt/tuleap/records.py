"""Inputs as bytes, for journals that outlive the process.

::

    octet 1     the version of the format, 1
    the rest    MessagePack: {"type": "post", "topic": …, "cmd": …, "rights": {…}, "data": <JSON text>, …}

A reader skips a type that it does not know, and fields that it does not know, so that servers of two versions
can share a journal. Whatever a version has written, every later version reads.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuleaprt.errors import CorruptRecord, InvalidMessage
from tuleaprt.tuleap import inputs
from tuleaprt.tuleap.commands import command_of
from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.podium import Result
from tuleaprt.tuleap.rights import Rights
from tuleaprt.tuleap.topics import family_of
from tuleaprt.wamp.publication import Audience, JsonText, Window

VERSION = b"\x01"


class _Record(msgspec.Struct, tag_field="type"):
    pass


class _Message(_Record):
    topic: str
    cmd: str
    rights: Rights
    data: bytes
    size: int
    sender: Window | None


class _Post(_Message, tag="post"):
    pass


class _OperatorPublish(_Message, tag="operator_publish"):
    audience: Audience


class _CampaignSeeded(_Record, tag="campaign_seeded"):
    topic: str
    results: dict[int, Result]
    users: dict[int, bytes]


class _UserRevoked(_Record, tag="user_revoked"):
    user_id: int


class _GroupsShown(_Record, tag="groups_shown"):
    user_id: int
    exp: float
    groups: frozenset[str]


class _WindowSeen(_Record, tag="window_seen"):
    window: Window
    session: int
    node: str = ""
    is_new: bool = False


class _WindowLost(_Record, tag="window_lost"):
    window: Window
    session: int


class _WindowUnsubscribed(_Record, tag="window_unsubscribed"):
    window: Window
    topic: str


class _GraceEnded(_Record, tag="grace_ended"):
    window: Window
    since: float


class _Stopped(_Record, tag="stopped"):
    positions: inputs.Positions
    node: str = ""


class _SessionsKilled(_Record, tag="sessions_killed"):
    node: str
    authid: str | None
    authrole: str | None
    reason: str
    message: str | None


class _Probed(_Record, tag="probed"):
    token: str
    node: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(
    _Post
    | _OperatorPublish
    | _CampaignSeeded
    | _UserRevoked
    | _GroupsShown
    | _WindowSeen
    | _WindowLost
    | _WindowUnsubscribed
    | _GraceEnded
    | _Stopped
    | _SessionsKilled
    | _Probed
)


class _Tagged(msgspec.Struct):
    type: str


_tagged = msgspec.msgpack.Decoder(_Tagged)
_TYPES = frozenset(
    it.__struct_config__.tag
    for it in (
        _Post,
        _OperatorPublish,
        _CampaignSeeded,
        _UserRevoked,
        _GroupsShown,
        _WindowSeen,
        _WindowLost,
        _WindowUnsubscribed,
        _GraceEnded,
        _Stopped,
        _SessionsKilled,
        _Probed,
    )
)


def encode(input: inputs.Input) -> bytes:
    return VERSION + _encode(_written(input))


def _written(input: inputs.Input) -> _Record:
    match input:
        case inputs.Post(message=message):
            return _Post(**_fields(message))
        case inputs.OperatorPublish(message=message, audience=audience):
            return _OperatorPublish(**_fields(message), audience=audience)
        case inputs.CampaignSeeded(topic=topic, results=results, users=users):
            texts = {user: it.text for user, it in users.items()}
            return _CampaignSeeded(topic=topic, results=dict(results), users=texts)
        case inputs.UserRevoked(user_id=user_id):
            return _UserRevoked(user_id=user_id)
        case inputs.GroupsShown(user_id=user_id, exp=exp, groups=groups):
            return _GroupsShown(user_id=user_id, exp=exp, groups=groups)
        case inputs.WindowSeen(window=window, session=session, node=node, is_new=is_new):
            return _WindowSeen(window=window, session=session, node=node, is_new=is_new)
        case inputs.WindowLost(window=window, session=session):
            return _WindowLost(window=window, session=session)
        case inputs.WindowUnsubscribed(window=window, topic=topic):
            return _WindowUnsubscribed(window=window, topic=topic)
        case inputs.GraceEnded(window=window, since=since):
            return _GraceEnded(window=window, since=since)
        case inputs.Stopped(positions=positions, node=node):
            return _Stopped(positions=positions, node=node)
        case inputs.SessionsKilled():
            return _SessionsKilled(
                node=input.node,
                authid=input.authid,
                authrole=input.authrole,
                reason=input.reason,
                message=input.message,
            )
        case _:
            return _Probed(token=input.token, node=input.node)


def _fields(message: Message) -> Mapping[str, Any]:
    return {
        "topic": message.topic,
        "cmd": message.cmd,
        "rights": message.rights,
        "data": message.data_json.text,
        "size": message.size,
        "sender": message.sender,
    }


def decode(body: bytes) -> inputs.Input | None:
    """The input; None: a newer version has written it, and this one does not know its type.

    Raises:
        CorruptRecord: this is not a record. The text quotes nothing of it.
    """
    if body[:1] != VERSION:
        if body[:1] > VERSION:
            return None
        raise CorruptRecord("the record has no version")
    try:
        if _tagged.decode(body[1:]).type not in _TYPES:
            return None
        return _read(_decoder.decode(body[1:]))
    except (ValueError, RecursionError, InvalidMessage) as error:
        raise CorruptRecord(f"the record cannot be read: {type(error).__name__}") from None


def _read(record: _Record) -> inputs.Input:
    match record:
        case _Post():
            return inputs.Post(message=_message(record))
        case _OperatorPublish():
            return inputs.OperatorPublish(message=_message(record), audience=record.audience)
        case _CampaignSeeded():
            users = {user: JsonText(text) for user, text in record.users.items()}
            return inputs.CampaignSeeded(topic=record.topic, results=record.results, users=users)
        case _UserRevoked():
            return inputs.UserRevoked(user_id=record.user_id)
        case _GroupsShown():
            return inputs.GroupsShown(user_id=record.user_id, exp=record.exp, groups=record.groups)
        case _WindowSeen():
            return inputs.WindowSeen(
                window=record.window, session=record.session, node=record.node, is_new=record.is_new
            )
        case _WindowLost():
            return inputs.WindowLost(window=record.window, session=record.session)
        case _WindowUnsubscribed():
            return inputs.WindowUnsubscribed(window=record.window, topic=record.topic)
        case _GraceEnded():
            return inputs.GraceEnded(window=record.window, since=record.since)
        case _Stopped():
            return inputs.Stopped(positions=record.positions, node=record.node)
        case _SessionsKilled():
            return inputs.SessionsKilled(
                node=record.node,
                authid=record.authid,
                authrole=record.authrole,
                reason=record.reason,
                message=record.message,
            )
    assert isinstance(record, _Probed)
    return inputs.Probed(token=record.token, node=record.node)


def _message(record: _Message) -> Message:
    return Message(
        sender=record.sender,
        family=family_of(record.topic),
        topic=record.topic,
        rights=record.rights,
        cmd=record.cmd,
        command=command_of(record.cmd, msgspec.json.decode(record.data), record.sender),
        data_json=JsonText(record.data),
        size=record.size,
    )
