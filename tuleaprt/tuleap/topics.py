"""Rooms of Tuleap and topics of WAMP. Only this module knows how they are spelled.

::

    room_id 3 or "3"             ↔  org.tuleap.kanban.3
    room_id "testmanagement_9"   ↔  org.tuleap.testmanagement.9

An id is a canonical decimal number from 1 to 2^53-1, in ASCII digits. Source: contract 1.2.
"""

import re
from enum import StrEnum

from tuleaprt.errors import RefusedMessage
from tuleaprt.wamp.auth import Identity, Role
from tuleaprt.wamp.identifiers import Match

MAX_ID = 2**53 - 1
_ID = re.compile(r"[1-9][0-9]{0,15}")
_ROOM_PREFIX = "testmanagement_"


class Family(StrEnum):
    """The kind of a room. Its commands begin with the value, and its topics have it after ``org.tuleap.``."""

    KANBAN = "kanban"
    TESTMANAGEMENT = "testmanagement"

    @property
    def prefix(self) -> str:
        return f"org.tuleap.{self}."


def campaign_topic(id: int) -> str:
    return f"{Family.TESTMANAGEMENT.prefix}{id}"


def family_of(topic: str) -> Family:
    """The family of a room's topic."""
    return Family.KANBAN if topic.startswith(Family.KANBAN.prefix) else Family.TESTMANAGEMENT


def room(room_id: int | str) -> tuple[Family, str]:
    """The family and the topic of a room.

    Raises:
        RefusedMessage: the id is not that of a room.
    """
    family = Family.KANBAN
    if isinstance(room_id, str) and room_id.startswith(_ROOM_PREFIX):
        family = Family.TESTMANAGEMENT
        room_id = room_id.removeprefix(_ROOM_PREFIX)
    id = parse_id(room_id)
    if id is None:
        raise RefusedMessage(
            "unknown_room", f"a room is a kanban id or {_ROOM_PREFIX}<campaign id>", "$.room_id"
        )
    return family, f"{family.prefix}{id}"


def room_id(topic: str) -> str | None:
    """The room id of a topic, as a post has it; None: it is not the topic of a room."""
    for family, prefix in ((Family.KANBAN, ""), (Family.TESTMANAGEMENT, _ROOM_PREFIX)):
        id = topic.removeprefix(family.prefix)
        if id != topic and parse_id(id) is not None:
            return prefix + id
    return None


def parse_id(value: int | str) -> int | None:
    """The id that a number is or a text spells; None: it is not an id."""
    if isinstance(value, str):
        value = int(value) if _ID.fullmatch(value) else 0
    return value if 0 < value <= MAX_ID and value is not True else None


class RoomPolicy:
    """What sessions may subscribe to (a Policy). Users may subscribe to rooms, or to the rooms that their
    token lists; operators to everything.
    """

    def may_subscribe(self, identity: Identity, topic: str, match: Match) -> bool:
        if identity.role is Role.OPERATOR:
            return True
        if match is not Match.EXACT or room_id(topic) is None:
            return False
        return identity.topics is None or topic in identity.topics
