"""GET /metrics."""

from tests.conftest import TurningClock
from tests.web.requests import Connection, request
from tuleaprt.faults import Faults
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.web.metrics import MetricsResource
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
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"tuleaprt_deliveries_total 3.0" in answer.body
