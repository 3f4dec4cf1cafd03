"""A publication, and which sessions may receive it.

A publication has no list of receivers. It has a *view*: a function that takes user groups and a user id, and
returns the keyword arguments that such a user receives, or None. The broker passes the user id only for users
that the publication names as submitters, so the view is asked once for all other users with the same groups.
Two more conditions concern single sessions: the window that sent the change is left out, and the publisher
may name an audience.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from tuleaprt.wamp.auth import Identity

Kwargs = Mapping[str, Any]
View = Callable[[frozenset[str], int | None], Kwargs | None]


class JsonText:
    """A value that is kept as JSON text, which takes a tenth of the memory of Python objects.

    The JSON serializer copies the text, the others encode its value. It is not a dataclass, because
    serializers would encode a dataclass as an object.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonText) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


MAX_UUID_LENGTH = 128


class Window(NamedTuple):
    """One loaded page of one user. In HELLO and presence, uuids have 1 to ``MAX_UUID_LENGTH`` characters."""

    user_id: int
    uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """The sessions that the publisher wants to reach (WAMP: Subscriber Black- and Whitelisting, Publisher
    Exclusion).

    All conditions must hold. An eligible list of None is no condition; an empty list admits no session.
    ``publisher`` is the id of the publishing session if it is to be left out.
    """

    eligible: frozenset[int] | None = None
    eligible_authid: frozenset[str] | None = None
    eligible_authrole: frozenset[str] | None = None
    exclude: frozenset[int] = frozenset()
    exclude_authid: frozenset[str] = frozenset()
    exclude_authrole: frozenset[str] = frozenset()
    publisher: int | None = None

    @property
    def names_sessions(self) -> bool:
        """Whether it depends on session ids, which do not exist any more when the history is read."""
        return self.eligible is not None or bool(self.exclude)

    @property
    def weight(self) -> int:
        """Its size in the event history, in bytes."""
        lists = (self.eligible, self.eligible_authid, self.eligible_authrole)
        entries = sum(
            len(it or ()) for it in (*lists, self.exclude, self.exclude_authid, self.exclude_authrole)
        )
        return 200 * entries

    def admits(self, session: int, identity: Identity) -> bool:
        return (
            session != self.publisher
            and (self.eligible is None or session in self.eligible)
            and (self.eligible_authid is None or identity.authid in self.eligible_authid)
            and (self.eligible_authrole is None or identity.role in self.eligible_authrole)
            and session not in self.exclude
            and identity.authid not in self.exclude_authid
            and identity.role not in self.exclude_authrole
        )


class Replay(Enum):
    """How the event history replays a publication."""

    EACH = "it is replayed"
    LAST = "it is replayed if it is the last of its topic that the reader may see"
    NEVER = "only its place is kept"


class Publication(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One publication, before it has receivers.

    ``kwargs`` is the whole payload, which operators receive; None: no session receives anything, but the id
    is used. ``submitters`` are the user ids for which ``view`` needs the user id. ``sender`` is the window to
    leave out. ``size`` is what it counts in the event history, in bytes.
    """

    id: int
    topic: str
    args: Sequence[Any] = ()
    kwargs: Kwargs | None
    view: View
    submitters: frozenset[int] = frozenset()
    sender: Window | None = None
    audience: Audience | None = None
    replay: Replay = Replay.EACH
    size: int = 0

    @property
    def is_told_again(self) -> bool:
        """Whether the history keeps its payload, and not only its place."""
        return (
            self.kwargs is not None
            and self.replay is not Replay.NEVER
            and not (self.audience and self.audience.names_sessions)
        )
