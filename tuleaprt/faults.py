"""Failures that should not be able to happen: each is counted and logged with its traceback."""

from twisted.logger import Logger

from tuleaprt.metrics import Metrics


class Faults:
    """Where the edges bring what they did not expect. Peers are told a constant, if anything."""

    log = Logger()

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def record(self, where: str) -> None:
        """Record the exception that is being handled; ``where`` says what the server was doing."""
        self._metrics.internal_error()
        self.log.failure("Internal error {where}", where=where, event="fault", reason=where)
