"""The bodies that Tuleap posts to ``/message`` (contract 1, 2.1), in the JSON of PHP."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from demo.users import ACTIVE, ADMIN, MEMBERS, SUPPLIERS, TESTERS

FIELDS = {"601": [MEMBERS, ACTIVE], "602": [MEMBERS], "603": []}
"""The groups that may read each field of the tracker. Tuleap sends them, and the server ignores them."""

TRACKER = (ADMIN, MEMBERS, TESTERS)
"""The groups with full access to the trackers. Project administrators always come first."""

SUBMITTERS_ONLY = (SUPPLIERS,)
"""The groups whose members see only what they have submitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The rights of an artifact. An empty ``artifact`` does not restrict; an empty ``submitter_only`` admits
    none.
    """

    submitter_id: int
    artifact: tuple[str, ...] = ()
    tracker: tuple[str, ...] = TRACKER
    submitter_only: tuple[str, ...] = SUBMITTERS_ONLY

    def admit(self, user_id: int, groups: Collection[str]) -> bool:
        """The rule of contract 2.3, for what is read over REST."""
        has = frozenset(groups)
        if has & set(self.tracker) and (not self.artifact or has & set(self.artifact)):
            return True
        return self.submitter_id == user_id and bool(has & set(self.submitter_only))

    def as_json(self) -> dict[str, Any]:
        return {
            "submitter_id": self.submitter_id,
            "submitter_can_view": True,
            "submitter_only": list(self.submitter_only),
            "artifact": list(self.artifact),
            "tracker": list(self.tracker),
            "field": FIELDS,
        }


def structure_rights(tracker: Sequence[str] = (*TRACKER, *SUBMITTERS_ONLY)) -> dict[str, Any]:
    """The rights of a message about the structure of a kanban: all groups with any access to its tracker."""
    return {
        "submitter_id": None,
        "submitter_can_view": False,
        "submitter_only": [],
        "artifact": [],
        "tracker": list(tracker),
    }


@dataclass(frozen=True, slots=True)
class Sender:
    """The user that makes a change, and the X-Client-UUID of the window; Tuleap posts null without one."""

    user_id: int
    uuid: str | None

    @property
    def is_window(self) -> bool:
        """Whether messages that need the header are sent (contract 1.3). PHP takes "0" for empty, too."""
        return self.uuid not in (None, "", "0")


def post(sender: Sender, room: int | str, rights: dict[str, Any], cmd: str, data: Any) -> bytes:
    """The body of one message. ``room`` is the id of a kanban, or ``testmanagement_<campaign>``."""
    return encode(
        {
            "sender_user_id": sender.user_id,
            "sender_uuid": sender.uuid,
            "room_id": room,
            "rights": rights,
            "cmd": cmd,
            "data": data,
        }
    )


def encode(value: Any) -> bytes:
    r"""As PHP's json_encode writes it by default: ASCII, no spaces, and each ``/`` as ``\/``."""
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/").encode("ascii")
