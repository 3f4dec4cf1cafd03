"""What all sessions at one kind of endpoint share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tuleaprt.errors import RequestError
from tuleaprt.wamp.auth import Authenticator, Identity
from tuleaprt.wamp.procedures import Procedures
from tuleaprt.wamp.publication import Audience
from tuleaprt.wamp.realm import Realm


class Publisher(Protocol):
    """Accepts the publications of operators."""

    def publish(
        self,
        topic: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        audience: Audience,
        answer: Callable[[int | RequestError], None],
    ) -> None:
        """``answer`` is called once, now or later, with the publication's id or with the error."""


@dataclass(slots=True, kw_only=True)
class Router:
    """``anonymous`` is the identity of clients without a token; None: every client needs one. Times are in
    seconds.

    ``requests_per_second`` may change; a session keeps the value that it began with.
    """

    realm: Realm
    authenticator: Authenticator
    procedures: Procedures
    publisher: Publisher
    anonymous: Identity | None
    open_timeout: float
    goodbye_timeout: float
    requests_per_second: float
