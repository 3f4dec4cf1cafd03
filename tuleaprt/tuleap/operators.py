"""What an operator publishes over WAMP: a post in another envelope, with the same rules.

::

    PUBLISH  [16, <request>, <options>, "org.tuleap.kanban.3", [], {"cmd": …, "data": …, "rights": {…}}]
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.message import Message, decode
from tuleaprt.tuleap.topics import room_id

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
