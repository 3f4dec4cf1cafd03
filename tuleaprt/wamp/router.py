"""What all sessions of one kind of listener share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tuleaprt.errors import RequestError
from tuleaprt.wamp.auth import Authenticator, Identity
from tuleaprt.wamp.procedures import Procedures
from tuleaprt.wamp.publication import Audience
from tuleaprt.wamp.realm import Realm


class Publisher(Protocol):
    """Takes what operators publish."""

    def publish(
        self,
        topic: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        audience: Audience,
        answer: Callable[[int | RequestError], None],
    ) -> None:
        """``answer`` is called once, at once or later: with the publication's id, or why there is none."""


@dataclass(slots=True, kw_only=True)
class Router:
    """``anonymous`` is who comes without a ticket; None: nobody may. Times are in seconds.

    How fast one may ask may change; a session keeps what it began with.
    """

    realm: Realm
    authenticator: Authenticator
    procedures: Procedures
    publisher: Publisher
    anonymous: Identity | None
    open_timeout: float
    goodbye_timeout: float
    requests_per_second: float
