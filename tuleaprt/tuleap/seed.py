"""The body of ``PUT /campaigns/<id>/executions``: what the results of a campaign are.

::

    [{"execution_id": 39, "status": "passed", "user": {"id": 101, …}, "automated": false, "rights": {…}}, …]

``user`` is the author of the latest result, as Tuleap represents him; null: nobody. ``automated`` may be left
out (false), and so may ``rights``, but then nobody may see it until a post says who may.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuleaprt.errors import RefusedMessage
from tuleaprt.tuleap.body import check_json, check_texts, not_json, refuse
from tuleaprt.tuleap.commands import execution_id
from tuleaprt.tuleap.podium import Result
from tuleaprt.tuleap.rights import Rights, UserId
from tuleaprt.wamp.publication import JsonText


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


def decode(body: bytes) -> tuple[Mapping[int, Result], Mapping[int, JsonText]]:
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
