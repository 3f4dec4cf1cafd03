"""What the server counts of itself: a seam, and Prometheus behind it.

Whoever counts never asks whether anybody reads. Labels come from small fixed sets. What there is at a moment
is not counted: whoever knows it is asked when the page is read. docs/monitoring.rst has them all.

Counters and histograms for the hot paths: plain numbers, made into Prometheus's when the page is read.

prometheus_client's own take locks for each count, because other threads may count too. Here all counting is
done in the reactor's thread, and a histogram's takes a third of the time.
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
"""Upper bounds in seconds: an answer takes a tenth of a millisecond, and what takes ten seconds hangs."""


class Tally(Collector):
    """A counter: add to ``value``."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self.value = 0
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, value=self.value)


class Times(Collector):
    """A histogram of how long something took, in seconds."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """A time below nothing, by a clock that was put back, counts as none."""
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

    def fanned_out(self, seconds: float) -> None:
        """The last receiver of a subscription has had his turn, so long after the publication."""

    def answered(self, seconds: float) -> None:
        """A post was answered, so long after all of it was here."""

    def authenticated(self, result: str) -> None:
        """Somebody has shown a ticket: it was ``accepted``, ``expired`` or ``refused``."""

    def refreshed(self, result: str) -> None:
        """A session has shown a newer ticket: it was ``accepted`` or ``refused``."""

    def history_read(self, result: str) -> None:
        """A session has asked for what it missed: ``complete``, ``position_lost`` or ``refused``."""

    def disconnected(self, reason: str) -> None:
        """A client is gone."""

    def unauthenticated_dropped(self) -> None:
        """A connection without a ticket had to make room for a newer one."""

    def probed(self, seconds: float) -> None:
        """The probe has come back, so long after it was sent."""

    def reactor_lag(self, seconds: float) -> None:
        """A call was made so much later than it was due."""

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
            "unauthenticated_dropped", "Connections without a ticket dropped to make room for newer ones."
        )
        self._errors = counter("internal_errors", "Failures that should not be able to happen.")
        self._authentications = Labelled(
            counter("authentications", "Tickets shown in a handshake or by an administrator.", "result")
        )
        self._refreshes = Labelled(counter("refreshes", "Newer tickets shown by sessions.", "result"))
        self._history_reads = Labelled(counter("history_reads", "Calls of get_events.", "result"))

        def times(name: str, text: str) -> Times:
            return Times(f"tuleaprt_{name}", text, registry)

        self._fanout = times("fanout_seconds", "From a publication to its last receiver's turn.")
        self._post = times("post_seconds", "From when a post was here to its answer.")
        self._probe = times("probe_seconds", "The probe's way through journal and fan-out.")
        self._lag = Gauge(
            "tuleaprt_reactor_lag_seconds", "How late the probe's last delayed call was.", registry=registry
        )
        ProcessCollector(registry=registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Ask for a gauge's value whenever the page is read."""
        Gauge(f"tuleaprt_{name}", text, registry=self._registry).set_function(value)

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
        """The page that Prometheus reads, in its text format."""
        return generate_latest(self._registry)

    def negotiated(self, accept: str) -> tuple[bytes, str]:
        """The page and its media type, in the first format of an Accept header that there is."""
        # prometheus_client takes any text for a version: it compares it with numbers, and sends it back.
        known = (it for it in accept.split(",") if _is_known_format(it))
        encode, content_type = choose_encoder(",".join(known))
        return encode(self._registry), content_type


def _is_known_format(media_range: str) -> bool:
    """Whether an element of an Accept header is wanted, and of a version that exists."""
    _, *parameters = media_range.split(";")
    named = dict(it.strip().partition("=")[::2] for it in parameters)
    return named.get("version", FORMATS[-1]) in FORMATS and bool(named.get("q", "1").strip("0."))
