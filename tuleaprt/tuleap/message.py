"""The body of ``POST /message``. All checks of a post are made here (contract 1).

::

    {"sender_user_id": 101,              0: anonymous
     "sender_uuid": "7b1c8d2e-…",        the sender's window; null or "": none
     "room_id": 3,                       or "testmanagement_9"
     "rights": {…},                      rights.py
     "cmd": "kanban_item:create",        begins with the family of the room; commands.py
     "data": {"artifact_id": 321}}       any JSON, forwarded unchanged
"""

from functools import lru_cache
from typing import Any

import msgspec

from tuleaprt.errors import MalformedMessage, RefusedMessage
from tuleaprt.tuleap.body import check_json, check_texts, not_json, refuse
from tuleaprt.tuleap.commands import SERVER_COMMANDS, Command, command_of
from tuleaprt.tuleap.rights import Rights, UserId
from tuleaprt.tuleap.topics import Family, room
from tuleaprt.wamp.publication import JsonText, Window


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A valid post.

    ``sender`` is the window that it names, or None. ``command`` is its meaning for a campaign, or None.
    ``data_json`` is the text of ``data``, ``size`` the length of the body in bytes.
    """

    sender: Window | None
    family: Family
    topic: str
    rights: Rights
    cmd: str
    command: Command | None
    data_json: JsonText
    size: int


class _Envelope(msgspec.Struct):
    sender_user_id: UserId
    sender_uuid: str | None
    room_id: int | str
    rights: msgspec.Raw
    cmd: str
    data: Any


class _Data(msgspec.Struct):
    data: msgspec.Raw


_envelopes = msgspec.json.Decoder(_Envelope)
_rights = msgspec.json.Decoder(Rights)
_data = msgspec.json.Decoder(_Data)

_known_rights = lru_cache(maxsize=1024)(_rights.decode)
"""Messages of one tracker have equal rights. The cache makes them one object."""

MAX_KNOWN_RIGHTS = 4096
"""The longest rights that are cached, in bytes. Tuleap's have some hundred."""


def decode(body: bytes) -> Message:
    """The message in a body.

    Raises:
        MalformedMessage: the body is not JSON, or not a message.
        RefusedMessage: the rights, the room, the command or the data are not accepted.
    """
    if not body:
        raise MalformedMessage("empty_body", "the body is empty (PHP posts this when its encoding fails)")
    try:
        envelope = _envelopes.decode(body)
        check_json(body)
    except msgspec.ValidationError as error:
        refuse(MalformedMessage, "invalid_envelope", error)
    except (ValueError, RecursionError) as error:
        raise not_json(error) from None
    try:
        rights_json = bytes(envelope.rights)
        rights = (_known_rights if len(rights_json) <= MAX_KNOWN_RIGHTS else _rights.decode)(rights_json)
    except ValueError as error:
        refuse(RefusedMessage, "invalid_rights", error, "$.rights")
    family, topic = room(envelope.room_id)
    if envelope.cmd in SERVER_COMMANDS:
        raise RefusedMessage("refused_command", "only the server itself makes this command", "$.cmd")
    if not envelope.cmd.startswith(family):
        raise RefusedMessage(
            "refused_command", f"the command of a {family} room begins with {family}", "$.cmd"
        )
    check_texts(body, envelope.data, "$.data")
    sender = Window(envelope.sender_user_id, envelope.sender_uuid) if envelope.sender_uuid else None
    return Message(
        sender=sender,
        family=family,
        topic=topic,
        rights=rights,
        cmd=envelope.cmd,
        command=command_of(envelope.cmd, envelope.data, sender),
        data_json=JsonText(bytes(_data.decode(body).data)),
        size=len(body),
    )
