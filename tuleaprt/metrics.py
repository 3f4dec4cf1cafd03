"""What the server counts of itself: a seam, and Prometheus behind it.

Whoever counts never asks whether anybody reads. Labels come from small fixed sets.
"""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

# Each counter would have a second line with the time of its birth.
disable_created_metrics()


class Metrics(Protocol):
    """What is counted."""

    def message(self, result: str) -> None:
        """A post was answered with this status."""

    def published(self, family: str) -> None:
        """A publication got its id."""

    def delivered(self, deliveries: int, filtered: int) -> None:
        """So many receivers of a subscription got the event, and so many did not."""

    def connected(self) -> None:
        """A client has connected."""

    def disconnected(self, reason: str) -> None:
        """A client is gone."""

    def internal_error(self) -> None:
        """Something failed that should not be able to."""


class Labelled(dict[str, Counter]):
    """The counters of one label, by its value; prometheus_client looks for them under a lock each time."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, value: str) -> Counter:
        self[value] = self._counter.labels(value)
        return self[value]


class PrometheusMetrics:
    """Counts in a registry of its own."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tuleaprt_{name}", text, labels, registry=registry)

        self._messages = Labelled(
            counter("messages", "Posts to /message, by the status of the answer.", "result")
        )
        self._publications = Labelled(counter("publications", "Publications, by the kind of room.", "family"))
        self._deliveries = counter("deliveries", "Events sent to a session.")
        self._filtered = counter("filtered", "Events not sent to a subscriber: no right, sender, or gone.")
        self._closes = Labelled(counter("closes", "Connections closed, by the reason.", "reason"))
        self._errors = counter("internal_errors", "Failures that should not be able to happen.")
        self._connections = Gauge(
            "tuleaprt_connections", "WebSockets and RawSockets open.", registry=registry
        )

    def message(self, result: str) -> None:
        self._messages[result].inc()

    def published(self, family: str) -> None:
        self._publications[family].inc()

    def delivered(self, deliveries: int, filtered: int) -> None:
        self._deliveries.inc(deliveries)
        self._filtered.inc(filtered)

    def connected(self) -> None:
        self._connections.inc()

    def disconnected(self, reason: str) -> None:
        self._connections.dec()
        self._closes[reason].inc()

    def internal_error(self) -> None:
        self._errors.inc()

    def exposition(self) -> bytes:
        """The page that Prometheus reads, in its text format."""
        return generate_latest(self._registry)
