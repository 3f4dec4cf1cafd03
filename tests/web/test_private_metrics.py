"""GET /metrics."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.conftest import TurningClock
from tests.web.requests import Connection, request
from tuleaprt.operations.logs import Faults
from tuleaprt.operations.metrics import PrometheusMetrics
from tuleaprt.web.private import MetricsResource
from tuleaprt.web.site import BoundedSite


def test_prometheus_can_read_the_counts(clock: TurningClock) -> None:
    metrics = PrometheusMetrics()
    metrics.delivered(3, 0)
    page = MetricsResource(metrics, Faults(metrics))
    connection = Connection(
        BoundedSite({"metrics": page}, clock=clock, timeout=60, max_body=0, faults=Faults(metrics))
    )
    (answer,) = connection.send(request("GET", "/metrics", None))
    connection.close()
    assert (answer.status, answer.headers["vary"]) == (200, "Accept")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"tuleaprt_deliveries_total 3.0" in answer.body


def ask(clock: TurningClock, accept: str, method: str = "GET") -> tuple[str, bytes]:
    """The media type and the page, by an Accept header; neither may be a fault."""
    metrics = PrometheusMetrics()
    metrics.message("200")
    metrics.answered(0.1)
    faults = Faults(metrics)
    page = MetricsResource(metrics, faults)
    connection = Connection(
        BoundedSite({"metrics": page}, clock=clock, timeout=60, max_body=0, faults=faults)
    )
    (answer,) = connection.send(request(method, "/metrics", None, Accept=accept))
    connection.close()
    assert answer.status == 200
    assert b"internal_errors_total 0.0" in metrics.exposition()
    return answer.headers["content-type"], answer.body


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    ],
)
def test_prometheus_may_ask_for_openmetrics(clock: TurningClock, accept: str) -> None:
    content_type, page = ask(clock, accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    names = {family.name for family in text_string_to_metric_families(page.decode())}
    assert {"tuleaprt_messages", "tuleaprt_deliveries", "tuleaprt_post_seconds"} <= names


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=1.0.0;q=0",
        "application/openmetrics-text;version=1.0.0;q=0.000",
        "application/openmetrics-text;version=1.x",
        "text/plain;version=1.x",
        "application/openmetrics-text;version=" + "9" * 5000,
        "application/openmetrics-text;version=7.7.7",
        "application/openmetrics-text;version=1.0.0\xff",
        ";;;,,,=;=",
    ],
)
def test_any_other_wish_gets_the_text_format(clock: TurningClock, accept: str) -> None:
    content_type, page = ask(clock, accept)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert page.startswith(b"# HELP")
