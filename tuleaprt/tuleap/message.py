"""The body of ``POST /message``: everything about it is checked here (contract 1).

::

    {"sender_user_id": 101,              0: anonymous
     "sender_uuid": "7b1c8d2e-…",        the sender's window; null or "": none
     "room_id": 3,                       or "testmanagement_9"
     "rights": {…},                      rights.py
     "cmd": "kanban_item:create",        begins with the family of the room
     "data": {"artifact_id": 321}}       any JSON, forwarded unchanged
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from tuleaprt.errors import InvalidMessage, MalformedMessage, RefusedMessage
from tuleaprt.tuleap.rights import Rights, UserId
from tuleaprt.tuleap.topics import Family, room
from tuleaprt.wamp.publication import JsonText

MAX_DEPTH = 100
"""How deep a body may be nested; Tuleap's go to 5. Whoever decodes an EVENT recurses too."""

SERVER_COMMANDS = frozenset({"user:leave", "presences", "testmanagement_podium:update"})
"""Commands that only the server makes (docs/architecture.rst)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A post that was found good.

    ``sender_uuid`` is None when it names no window, ``data_json`` is ``data`` to the letter, ``size`` is in
    bytes.
    """

    sender_user_id: int
    sender_uuid: str | None
    family: Family
    topic: str
    rights: Rights
    cmd: str
    data: Any
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
"""The messages of one tracker have the same rights: one object for all that are kept."""

MAX_KNOWN_RIGHTS = 4096
"""How many bytes such rights may have; Tuleap's have some hundred."""


def decode(body: bytes) -> Message:
    """The message that a body holds.

    Raises:
        MalformedMessage: it is not JSON, or not the envelope.
        RefusedMessage: its rights, room, command or data are not accepted.
    """
    if not body:
        raise MalformedMessage("empty_body", "the body is empty (PHP posts this when its encoding fails)")
    try:
        envelope = _envelopes.decode(body)
        _check_keys_and_depth(body)
    except msgspec.ValidationError as error:
        _refuse(MalformedMessage, "invalid_envelope", error)
    except RecursionError:
        raise MalformedMessage("too_deep", "the body is nested too deep") from None
    except ValueError as error:
        raise MalformedMessage("invalid_json", f"the body is not JSON: {_first_line(error)}") from None
    try:
        rights_json = bytes(envelope.rights)
        rights = (_known_rights if len(rights_json) <= MAX_KNOWN_RIGHTS else _rights.decode)(rights_json)
    except ValueError as error:
        _refuse(RefusedMessage, "invalid_rights", error, "$.rights")
    family, topic = room(envelope.room_id)
    if envelope.cmd in SERVER_COMMANDS:
        raise RefusedMessage("refused_command", "only the server itself makes this command", "$.cmd")
    if not envelope.cmd.startswith(family):
        raise RefusedMessage(
            "refused_command", f"the command of a {family} room begins with {family}", "$.cmd"
        )
    _check_texts(body, envelope.data)
    return Message(
        sender_user_id=envelope.sender_user_id,
        sender_uuid=envelope.sender_uuid or None,
        family=family,
        topic=topic,
        rights=rights,
        cmd=envelope.cmd,
        data=envelope.data,
        data_json=JsonText(bytes(_data.decode(body).data)),
        size=len(body),
    )


_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>\w+)`")


def _refuse(cls: type[InvalidMessage], code: str, error: Exception, root: str = "$") -> NoReturn:
    match = _PATH.fullmatch(str(error))
    what, path = (match["what"], root + (match["path"] or "")) if match else (str(error), root)
    if missing := _MISSING.fullmatch(what):
        path += f".{missing['key']}"
    raise cls(code, what, path) from None


def _first_line(error: ValueError) -> str:
    # Not the text of a UnicodeDecodeError: it goes on to quote what it could not read.
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).partition("\n")[0]


def _check_keys_and_depth(body: bytes) -> None:
    """What msgspec lets pass: it takes the last of two equal keys, and its bound on depth is Python's."""
    _unique_keys.decode(body.decode())
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        level = [msgspec.json.decode(body)]
        for _ in range(MAX_DEPTH + 1):
            level = [child for node in level for child in _children(node)]
        if level:
            raise RecursionError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise MalformedMessage("duplicate_key", "an object names a key twice")
    return unique


_unique_keys = json.JSONDecoder(object_pairs_hook=_unique)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _check_texts(body: bytes, data: Any) -> None:
    """Refuse texts that begin with U+0000: in WAMP's JSON they are binary (WAMP: Binary support in JSON)."""
    if b'"\\u0000' in body:
        for path, text in _texts(data, "$.data"):
            if text.startswith("\0"):
                raise RefusedMessage("invalid_text", "a text must not begin with U+0000", path)


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _texts(child, f"{path}[{index}]")
    elif isinstance(node, dict):
        for key, child in node.items():
            yield f"{path} (a key)", key
            # Not the key itself: it is the poster's text, and the path goes into the log.
            yield from _texts(child, f"{path}[...]")
