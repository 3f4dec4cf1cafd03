"""Counters and histograms of the hot paths, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tuleaprt.operations.metrics import BOUNDS, Tally, Times

SOME = (0.0, 0.0001, 0.00025, 0.003, 0.5, 10.0, 11.0)


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(it.name, *it.labels.values()): it.value for family in families for it in family.samples}


def test_a_histogram_says_what_that_of_prometheus_says() -> None:
    mine, reference = CollectorRegistry(), CollectorRegistry()
    times = Times("x_seconds", "X.", mine)
    histogram = Histogram("x_seconds", "X.", buckets=BOUNDS, registry=reference)
    for seconds in SOME:
        times.observe(seconds)
        histogram.observe(seconds)
    assert samples(mine) == samples(reference)
    assert samples(mine)["x_seconds_bucket", "+Inf"] == len(SOME)


def test_a_clock_that_is_put_back_does_no_harm() -> None:
    registry = CollectorRegistry()
    Times("x_seconds", "X.", registry).observe(-5)
    assert (samples(registry)["x_seconds_count",], samples(registry)["x_seconds_sum",]) == (1, 0)


def test_a_tally_is_a_counter() -> None:
    registry = CollectorRegistry()
    Tally("events", "Events.", registry).value += 3
    assert samples(registry) == {("events_total",): 3}
