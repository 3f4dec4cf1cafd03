"""What the journal carries: all that the campaigns, and what is published, follow from.

Sessions, groups and the ends of tickets are each node's own and are not among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tuleaprt.tuleap.message import Message
from tuleaprt.tuleap.podium import Result
from tuleaprt.wamp.publication import Audience, JsonText, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A ``POST /message``."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPublish:
    """An operator's PUBLISH; ``audience`` is whom he wants to reach."""

    message: Message
    audience: Audience


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSeeded:
    """An operator has said what the results of a campaign are (``seed.decode``)."""

    topic: str
    results: Mapping[int, Result]
    users: Mapping[int, JsonText]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRevoked:
    """An administrator has revoked the tickets that a user has."""

    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """A window that is on an execution is connected; ``session`` speaks for it."""

    window: Window
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLost:
    """The session that spoke for such a window has ended."""

    window: Window
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowUnsubscribed:
    """Such a window does not show this campaign any more."""

    window: Window
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceEnded:
    """Such a window has been absent for long, since then; any node may say so, and more than once."""

    window: Window
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A server looks whether the journal comes back to it; nothing is published of it."""

    token: str


Input = (
    Post
    | OperatorPublish
    | CampaignSeeded
    | UserRevoked
    | WindowSeen
    | WindowLost
    | WindowUnsubscribed
    | GraceEnded
    | Probed
)
