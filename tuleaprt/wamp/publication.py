"""What is published, and who may get it.

A publication carries no list of receivers but a *view*: asked with somebody's groups (and his user id, if
the publication names him as a submitter), it answers with the kwargs that he gets, or None. So it is asked
once for each distinct pair, however many sessions share it. Beside the view stand two things that concern
single sessions: the window that sent it, and the audience that its publisher named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from tuleaprt.wamp.auth import Identity

Kwargs = Mapping[str, Any]
View = Callable[[frozenset[str], int | None], Kwargs | None]


class JsonText:
    """A value that is kept as the JSON that it came in, which takes a tenth of the memory of its objects.

    JSON's serializer passes it on as it is; others write what it means. (A dataclass would be an object to
    them, with a field.)
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
    """Whom the publisher wants to reach (WAMP: Subscriber Black- and Whitelisting, Publisher Exclusion).

    All conditions that are present must hold. Of the eligible, None is no condition, and an empty set
    admits nobody. ``publisher`` is the id of the session that published and is left out, if it is.
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
        """Whether it depends on ids that nobody has any more when history is asked."""
        return self.eligible is not None or bool(self.exclude)

    @property
    def weight(self) -> int:
        """What it takes in the history, in bytes."""
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
    """What becomes of a publication when somebody asks for what he missed."""

    EACH = "it is told again"
    LAST = "it is told again if it is the last such of its topic that the asker may see"
    NEVER = "only its place is kept"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Publication:
    """One event before it has receivers.

    ``kwargs`` is the whole of it, which operators get; None: nobody gets anything, but it has its id.
    ``submitters`` are the user ids that ``view`` wants to know. ``sender``, where given, is left out.
    ``size`` is what it counts for in the history, in bytes.
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
        """Whether the history keeps more of it than its place."""
        return (
            self.kwargs is not None
            and self.replay is not Replay.NEVER
            and not (self.audience and self.audience.names_sessions)
        )
