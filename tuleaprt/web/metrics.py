"""``GET /metrics`` for Prometheus."""

from tuleaprt.faults import Faults
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.web.resource import Leaf, Page, Request


class MetricsResource(Leaf):
    """The counts of this process."""

    method = "GET"
    name = "metrics"

    def __init__(self, metrics: PrometheusMetrics, faults: Faults) -> None:
        super().__init__(faults)
        self._metrics = metrics

    async def answer(self, request: Request) -> Page:
        accept = (request.header(b"Accept") or b"").decode("latin-1")
        body, content_type = self._metrics.negotiated(accept)
        return Page(body, content_type, {"Vary": "Accept"})
