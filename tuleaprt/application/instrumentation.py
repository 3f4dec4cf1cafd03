"""Counts around parts that do not count themselves, and gauges that are read from their owners at each
scrape.
"""

from collections.abc import Callable, Collection

from tuleaprt.errors import RequestError, TicketError, TicketExpired
from tuleaprt.operations.metrics import Metrics, PrometheusMetrics
from tuleaprt.transport.connections import Connections
from tuleaprt.transport.unauthenticated import UnauthenticatedLimit
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.wamp.auth import Authenticator, Identity
from tuleaprt.wamp.calls import Arguments, Procedure, Result
from tuleaprt.wamp.realm import Member, Realm


class CountedAuthenticator:
    """Counts the results of another Authenticator."""

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
    """Counts token refreshes by their result."""
    return _counted(refresh, metrics.refreshed, lambda result: "accepted")


def counted_history_read(get_events: Procedure, metrics: Metrics) -> Procedure:
    """Counts reads of the event history by their result."""
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


def watch(
    metrics: PrometheusMetrics,
    connections: Connections,
    unauthenticated_limits: Collection[UnauthenticatedLimit],
    realm: Realm,
    campaigns: Campaigns,
) -> None:
    """Register the gauges. There is one unauthenticated limit for each kind of endpoint."""
    subscriptions = realm.broker.subscriptions
    metrics.watch("connections", "WebSockets and RawSockets open.", lambda: len(connections.open))
    metrics.watch(
        "unauthenticated",
        "Connections without a session yet.",
        lambda: sum(it.inside for it in unauthenticated_limits),
    )
    metrics.watch("sessions", "Sessions.", lambda: len(realm.sessions))
    metrics.watch("subscriptions", "Subscriptions of all sessions.", lambda: subscriptions.subscribers)
    metrics.watch("topics", "Topics with a history.", lambda: realm.history.topics)
    metrics.watch("campaigns", "Test campaigns remembered.", lambda: len(campaigns))
    metrics.watch("outbox_bytes", "Bytes in the outbound queues.", lambda: connections.backpressure.total)
