"""What the server tells of itself."""

from prometheus_client.parser import text_string_to_metric_families

from tuleaprt.metrics import Metrics, PrometheusMetrics


def count_everything(metrics: Metrics) -> None:
    metrics.message("200")
    metrics.message("422")
    metrics.published("kanban")
    metrics.delivered(5, 2)
    metrics.connected()
    metrics.connected()
    metrics.disconnected("goodbye")
    metrics.internal_error()


def test_the_page_is_what_prometheus_reads() -> None:
    metrics = PrometheusMetrics()
    count_everything(metrics)
    families = text_string_to_metric_families(metrics.exposition().decode())
    samples = {(it.name, *it.labels.values()): it.value for family in families for it in family.samples}
    assert samples == {
        ("tuleaprt_messages_total", "200"): 1,
        ("tuleaprt_messages_total", "422"): 1,
        ("tuleaprt_publications_total", "kanban"): 1,
        ("tuleaprt_deliveries_total",): 5,
        ("tuleaprt_filtered_total",): 2,
        ("tuleaprt_connections",): 1,
        ("tuleaprt_closes_total", "goodbye"): 1,
        ("tuleaprt_internal_errors_total",): 1,
    }


def test_two_servers_in_one_process_count_for_themselves() -> None:
    count_everything(PrometheusMetrics())
    assert b"tuleaprt_internal_errors_total 0.0" in PrometheusMetrics().exposition()
