"""``GET /metrics`` for Prometheus."""

from tuleaprt.faults import Faults
from tuleaprt.metrics import PrometheusMetrics
from tuleaprt.web.resource import Leaf, Request


class MetricsResource(Leaf):
    """The counts of this process."""

    method = "GET"
    name = "metrics"

    def __init__(self, metrics: PrometheusMetrics, faults: Faults) -> None:
        super().__init__(faults)
        self.content_type = metrics.content_type
        self._metrics = metrics

    async def answer(self, request: Request) -> bytes:
        return self._metrics.exposition()
