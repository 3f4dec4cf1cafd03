"""Failures that should not be able to happen: each is counted and logged with its traceback."""

import sys

from twisted.logger import Logger

from tuleaprt.metrics import Metrics

LIBRARIES = frozenset({"autobahn", "twisted", "txaio", *sys.stdlib_module_names})
"""What reads the bytes of peers before any code of the server's sees them."""


def is_of_a_parser(error: BaseException) -> bool:
    """Whether only libraries were running when the error was raised, below the function that has caught it.

    Then what they could not read is the peer's, and no fault: twisted.web raises ValueError for a
    Content-Length of 5,000 digits. As soon as code of the server's was called, the error is the server's.
    """
    trace = error.__traceback__ and error.__traceback__.tb_next
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] not in LIBRARIES:
            return False
        trace = trace.tb_next
    return True


class Faults:
    """Where the edges bring what they did not expect. Peers are told a constant, if anything."""

    log = Logger()

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def record(self, where: str) -> None:
        """Record the exception that is being handled; ``where`` says what the server was doing."""
        self._metrics.internal_error()
        self.log.failure("Internal error {where}", where=where, event="fault", reason=where)
