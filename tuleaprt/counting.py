"""Authentications, refreshes and reads of the history, counted by their result around those who do them."""

from collections.abc import Callable

from tuleaprt.errors import RequestError, TicketError, TicketExpired
from tuleaprt.metrics import Metrics
from tuleaprt.wamp.auth import Authenticator, Identity
from tuleaprt.wamp.calls import Arguments, Procedure, Result
from tuleaprt.wamp.realm import Member


class CountedAuthenticator:
    """An Authenticator that asks another one."""

    def __init__(self, authenticator: Authenticator, metrics: Metrics) -> None:
        self._authenticator = authenticator
        self._metrics = metrics

    def authenticate(self, ticket: str, now: float) -> Identity:
        try:
            identity = self._authenticator.authenticate(ticket, now)
        except TicketExpired:
            self._metrics.authenticated("expired")
            raise
        except TicketError:
            self._metrics.authenticated("refused")
            raise
        self._metrics.authenticated("accepted")
        return identity


def counted_refresh(refresh: Procedure, metrics: Metrics) -> Procedure:
    """Prolonging a session, counted."""
    return _counted(refresh, metrics.refreshed, lambda result: "accepted")


def counted_history_read(get_events: Procedure, metrics: Metrics) -> Procedure:
    """Asking for what was missed, counted."""
    return _counted(
        get_events,
        metrics.history_read,
        lambda result: "position_lost" if (result.kwargs or {}).get("position_lost") else "complete",
    )


def _counted(procedure: Procedure, count: Callable[[str], None], name: Callable[[Result], str]) -> Procedure:
    def counted(caller: Member, arguments: Arguments, now: float) -> Result:
        try:
            result = procedure(caller, arguments, now)
        except RequestError:
            count("refused")
            raise
        count(name(result))
        return result

    return counted
