"""The metrics of the server, and their exposition for Prometheus. docs/metrics.rst lists them.

Labels come from small fixed sets. Gauges are read from their owners when ``/metrics`` is scraped.

Counters and histograms on the hot paths are plain numbers, which become Prometheus's at the scrape. Those
of prometheus_client lock at each count, for other threads. Here the reactor's thread counts alone, and a
histogram takes a third of the time.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets, in seconds. An answer takes a tenth of a millisecond; ten seconds are a
failure.
"""


class Tally(Collector):
    """A counter. Add to ``value``."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self.value = 0
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, value=self.value)


class Times(Collector):
    """A histogram of durations, in seconds."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """Count a duration. A negative one, after the clock was set back, counts as 0."""
        if seconds < 0:
            seconds = 0.0
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        bounds = [*map(floatToGoString, BOUNDS), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)


FORMATS = ("0.0.1", "0.0.4", "1.0.0")
"""The versions of the text format and of OpenMetrics that Prometheus asks for."""

# Without this, each counter has a second line with its creation time.
disable_created_metrics()


class Metrics(Protocol):
    """What the server counts."""

    def message(self, result: str) -> None:
        """A post was answered; ``result`` is the status."""

    def published(self, family: str) -> None:
        """A publication of this family."""

    def delivered(self, deliveries: int, filtered: int) -> None:
        """Subscribers of a subscription that received an event, and subscribers that did not."""

    def fanned_out(self, seconds: float) -> None:
        """The last subscriber of a subscription was served, this long after the publication."""

    def answered(self, seconds: float) -> None:
        """A post was answered, this long after it had arrived."""

    def authenticated(self, result: str) -> None:
        """A client has shown a token: ``accepted``, ``expired`` or ``refused``."""

    def refreshed(self, result: str) -> None:
        """A session has shown a newer token: ``accepted`` or ``refused``."""

    def history_read(self, result: str) -> None:
        """A session has read the event history: ``complete``, ``position_lost`` or ``refused``."""

    def disconnected(self, reason: str) -> None:
        """A connection has ended for this reason."""

    def unauthenticated_dropped(self) -> None:
        """A connection without a token was dropped for a newer one."""

    def probed(self, seconds: float) -> None:
        """The probe has returned, this long after it was sent."""

    def reactor_lag(self, seconds: float) -> None:
        """A delayed call ran this much later than it was due."""

    def internal_error(self) -> None:
        """A fault of the server."""


class Labelled(dict[str, Counter]):
    """The counters of one label by value. prometheus_client would look them up under a lock."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __missing__(self, value: str) -> Counter:
        self[value] = self._counter.labels(value)
        return self[value]


class PrometheusMetrics:
    """Counts in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tuleaprt_{name}", text, labels, registry=registry)

        self._messages = Labelled(
            counter("messages", "Posts to /message, by the status of the answer.", "result")
        )
        self._publications = Labelled(counter("publications", "Publications, by the kind of room.", "family"))
        self._deliveries = Tally("tuleaprt_deliveries", "Events sent to a session.", registry)
        self._filtered = Tally(
            "tuleaprt_filtered", "Events not sent to a subscriber: no right, sender, or gone.", registry
        )
        self._closes = Labelled(counter("closes", "Connections closed, by the reason.", "reason"))
        self._dropped = counter(
            "unauthenticated_dropped", "Connections without a token dropped to make room for newer ones."
        )
        self._errors = counter("internal_errors", "Faults of the server.")
        self._authentications = Labelled(
            counter("authentications", "Tokens shown in a handshake or by an administrator.", "result")
        )
        self._refreshes = Labelled(counter("refreshes", "Newer tokens shown by sessions.", "result"))
        self._history_reads = Labelled(counter("history_reads", "Calls of get_events.", "result"))

        def times(name: str, text: str) -> Times:
            return Times(f"tuleaprt_{name}", text, registry)

        self._fanout = times("fanout_seconds", "From a publication until its last subscriber was served.")
        self._post = times("post_seconds", "From the arrival of a post to its answer.")
        self._probe = times("probe_seconds", "The probe's way through journal and fan-out.")
        self._lag = Gauge(
            "tuleaprt_reactor_lag_seconds", "How late the probe's last delayed call was.", registry=registry
        )
        ProcessCollector(registry=registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Register a gauge. ``value`` is called at each scrape."""
        Gauge(f"tuleaprt_{name}", text, registry=self._registry).set_function(value)

    def counted(self, name: str, text: str) -> Tally:
        """Register a counter."""
        return Tally(f"tuleaprt_{name}", text, self._registry)

    def timed(self, name: str, text: str) -> Times:
        """Register a histogram of durations."""
        return Times(f"tuleaprt_{name}", text, self._registry)

    def message(self, result: str) -> None:
        self._messages[result].inc()

    def published(self, family: str) -> None:
        self._publications[family].inc()

    def delivered(self, deliveries: int, filtered: int) -> None:
        self._deliveries.value += deliveries
        self._filtered.value += filtered

    def fanned_out(self, seconds: float) -> None:
        self._fanout.observe(seconds)

    def answered(self, seconds: float) -> None:
        self._post.observe(seconds)

    def authenticated(self, result: str) -> None:
        self._authentications[result].inc()

    def refreshed(self, result: str) -> None:
        self._refreshes[result].inc()

    def history_read(self, result: str) -> None:
        self._history_reads[result].inc()

    def disconnected(self, reason: str) -> None:
        self._closes[reason].inc()

    def unauthenticated_dropped(self) -> None:
        self._dropped.inc()

    def probed(self, seconds: float) -> None:
        self._probe.observe(seconds)

    def reactor_lag(self, seconds: float) -> None:
        self._lag.set(max(0.0, seconds))

    def internal_error(self) -> None:
        self._errors.inc()

    def exposition(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def negotiated(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their media type, in the first format of the Accept header that is supported."""
        # prometheus_client accepts any text for a version, compares it with numbers, and sends it back.
        known = (it for it in accept.split(",") if _is_known_format(it))
        encode, content_type = choose_encoder(",".join(known))
        return encode(self._registry), content_type


def _is_known_format(media_range: str) -> bool:
    """Whether an element of an Accept header names a supported format and version."""
    _, *parameters = media_range.split(";")
    named = dict(it.strip().partition("=")[::2] for it in parameters)
    return named.get("version", FORMATS[-1]) in FORMATS and bool(named.get("q", "1").strip("0."))
