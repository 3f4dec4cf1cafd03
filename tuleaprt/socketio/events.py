"""The events of Tuleap's pages as values (contract 4.2 to 4.5).

::

    page     ["subscription", {"nodejs_server_version": "2.0.0", "token": "eyJ0eXAi…",
                               "room_id": 3 or "testmanagement_9", "uuid": "7b1c8d2e-…"}]
             ["token", {"token": "eyJ0eXAi…"}]
    server   ["kanban_item:create", {…}]       each command of a post, with its data
             ["presences", {"39": [{…}]}]      after a subscription in /testmanagement
             ["user:leave", "7b1c8d2e-…"]
             ["error-jwt", "JWTExpired"]       the page fetches a token and subscribes again
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tuleaprt.errors import RefusedMessage
from tuleaprt.socketio.packets import event
from tuleaprt.tuleap.commands import PODIUM
from tuleaprt.tuleap.topics import Family, room
from tuleaprt.wamp.publication import MAX_UUID_LENGTH

NAMESPACES = {"/": Family.KANBAN, "/testmanagement": Family.TESTMANAGEMENT}
"""The namespaces of socket.io, and the rooms that may be subscribed to in them."""

VERSION = "2.0.0"
"""The version of these events that the pages name."""

SUBSCRIPTION, TOKEN = "subscription", "token"
PRESENCES, ERROR_JWT, EXPIRED = "presences", "error-jwt", "JWTExpired"


class Wanted(NamedTuple):
    """What a page subscribes to, and how it proves that it may."""

    token: str
    topic: str
    uuid: str


def read_subscription(arguments: Sequence[Any], family: Family) -> Wanted:
    """The argument of ``subscription`` in the namespace of this family.

    Raises:
        RefusedMessage: it is not one. The text quotes nothing.
    """
    argument = arguments[0] if arguments else None
    if not isinstance(argument, Mapping):
        raise RefusedMessage("subscription", "the argument of subscription is not an object")
    if argument.get("nodejs_server_version") != VERSION:
        raise RefusedMessage("version", f"nodejs_server_version is not {VERSION}")
    token, uuid, room_id = (argument.get(name) for name in ("token", "uuid", "room_id"))
    if not isinstance(token, str):
        raise RefusedMessage("token", "token is not a text")
    if not isinstance(uuid, str) or not 1 <= len(uuid) <= MAX_UUID_LENGTH:
        raise RefusedMessage("uuid", f"uuid is not a text of 1 to {MAX_UUID_LENGTH} characters")
    if not isinstance(room_id, int | str):
        raise RefusedMessage("room", "room_id is not a number or a text")
    room_family, topic = room(room_id)
    if room_family is not family:
        raise RefusedMessage("room", "the room belongs to the other namespace")
    return Wanted(token, topic, uuid)


def read_token(arguments: Sequence[Any]) -> Any:
    """The token of ``token``; None: there is none."""
    return arguments[0].get("token") if arguments and isinstance(arguments[0], Mapping) else None


def event_packet(namespace: str, kwargs: Mapping[str, Any]) -> bytes:
    """The packet of a payload; empty: the pages do not know the event, as that of the podium."""
    if kwargs.get("cmd") in (None, PODIUM):
        return b""
    return event(namespace, kwargs["cmd"], kwargs.get("data"))
