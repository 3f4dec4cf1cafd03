"""What the server tells of itself."""

from prometheus_client.parser import text_string_to_metric_families

from tuleaprt.operations.metrics import Metrics, PrometheusMetrics


def count_everything(metrics: Metrics) -> None:
    metrics.message("200")
    metrics.message("422")
    metrics.published("kanban")
    metrics.delivered(5, 2)
    metrics.fanned_out(0.003)
    metrics.answered(0.0001)
    metrics.authenticated("accepted")
    metrics.refreshed("refused")
    metrics.history_read("complete")
    metrics.disconnected("goodbye")
    metrics.probed(0.002)
    metrics.reactor_lag(0.01)
    metrics.internal_error()
    metrics.unauthenticated_dropped()


def samples(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    """By name and labels, without those of the process and the buckets."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    found = (it for family in families for it in family.samples)
    return {
        (it.name, *it.labels.values()): it.value
        for it in found
        if it.name.startswith("tuleaprt_") and not it.name.endswith("_bucket")
    }


def test_the_page_is_what_prometheus_reads() -> None:
    metrics = PrometheusMetrics()
    count_everything(metrics)
    assert samples(metrics) == {
        ("tuleaprt_messages_total", "200"): 1,
        ("tuleaprt_messages_total", "422"): 1,
        ("tuleaprt_publications_total", "kanban"): 1,
        ("tuleaprt_deliveries_total",): 5,
        ("tuleaprt_filtered_total",): 2,
        ("tuleaprt_authentications_total", "accepted"): 1,
        ("tuleaprt_refreshes_total", "refused"): 1,
        ("tuleaprt_history_reads_total", "complete"): 1,
        ("tuleaprt_fanout_seconds_count",): 1,
        ("tuleaprt_fanout_seconds_sum",): 0.003,
        ("tuleaprt_post_seconds_count",): 1,
        ("tuleaprt_post_seconds_sum",): 0.0001,
        ("tuleaprt_probe_seconds_count",): 1,
        ("tuleaprt_probe_seconds_sum",): 0.002,
        ("tuleaprt_reactor_lag_seconds",): 0.01,
        ("tuleaprt_closes_total", "goodbye"): 1,
        ("tuleaprt_internal_errors_total",): 1,
        ("tuleaprt_unauthenticated_dropped_total",): 1,
    }


def test_the_process_is_measured_too() -> None:
    page = PrometheusMetrics().exposition()
    assert b"process_resident_memory_bytes " in page
    assert b"process_open_fds " in page


def test_what_there_is_is_asked_when_the_page_is_read() -> None:
    metrics, sessions = PrometheusMetrics(), [1, 2, 3]
    metrics.watch("sessions", "Sessions.", lambda: len(sessions))
    assert samples(metrics)["tuleaprt_sessions",] == 3
    sessions.pop()
    assert samples(metrics)["tuleaprt_sessions",] == 2


def test_two_servers_in_one_process_count_for_themselves() -> None:
    count_everything(PrometheusMetrics())
    assert b"tuleaprt_internal_errors_total 0.0" in PrometheusMetrics().exposition()
