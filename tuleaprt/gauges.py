"""What there is at the moment, for the page of metrics: whoever knows it is asked when the page is read."""

from collections.abc import Collection

from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.transport.hub import Hub
from tuleaprt.transport.unauthenticated import Lobby
from tuleaprt.tuleap.campaign import Campaigns
from tuleaprt.wamp.realm import Realm


def watch(
    metrics: PrometheusMetrics, hub: Hub, lobbies: Collection[Lobby], realm: Realm, campaigns: Campaigns
) -> None:
    """``lobbies``: one for each door."""
    subscriptions = realm.broker.subscriptions
    metrics.watch("connections", "WebSockets and RawSockets open.", lambda: len(hub.connections))
    metrics.watch(
        "unauthenticated", "Connections without a session yet.", lambda: sum(it.inside for it in lobbies)
    )
    metrics.watch("sessions", "Sessions.", lambda: len(realm.sessions))
    metrics.watch("subscriptions", "Subscriptions of all sessions.", lambda: subscriptions.subscribers)
    metrics.watch("topics", "Topics with a history.", lambda: realm.history.topics)
    metrics.watch("campaigns", "Test campaigns remembered.", lambda: len(campaigns))
    metrics.watch("outbox_bytes", "Bytes that wait for readers.", lambda: hub.outboxes.total)
