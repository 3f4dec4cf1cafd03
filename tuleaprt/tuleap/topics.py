"""Rooms of Tuleap and topics of WAMP; nobody else knows how the two are spelled.

::

    room_id 3 or "3"             ↔  org.tuleap.kanban.3
    room_id "testmanagement_9"   ↔  org.tuleap.testmanagement.9

An id is a canonical decimal number from 1 to 2^53-1, in ASCII digits. Source: contract 1.2.
"""

import re
from enum import StrEnum

from tuleaprt.errors import RefusedMessage

MAX_ID = 2**53 - 1
_ID = re.compile(r"[1-9][0-9]{0,15}")
_ROOM_PREFIX = "testmanagement_"


class Family(StrEnum):
    """What a room is. The value begins its commands, and follows ``org.tuleap.`` in its topic."""

    KANBAN = "kanban"
    TESTMANAGEMENT = "testmanagement"

    @property
    def prefix(self) -> str:
        return f"org.tuleap.{self}."


def room(room_id: int | str) -> tuple[Family, str]:
    """The family and the topic of a room.

    Raises:
        RefusedMessage: it is the id of no kind of room.
    """
    text = str(room_id) if isinstance(room_id, int) else room_id
    family = Family.KANBAN
    if isinstance(room_id, str) and room_id.startswith(_ROOM_PREFIX):
        family = Family.TESTMANAGEMENT
        text = room_id.removeprefix(_ROOM_PREFIX)
    if not _is_id(text):
        raise RefusedMessage(
            "unknown_room", f"a room is a kanban id or {_ROOM_PREFIX}<campaign id>", "$.room_id"
        )
    return family, family.prefix + text


def room_id(topic: str) -> str | None:
    """The room of a topic, as a post names it; None: it is not the topic of a room."""
    for family, prefix in ((Family.KANBAN, ""), (Family.TESTMANAGEMENT, _ROOM_PREFIX)):
        id = topic.removeprefix(family.prefix)
        if id != topic and _is_id(id):
            return prefix + id
    return None


def _is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None and int(text) <= MAX_ID
