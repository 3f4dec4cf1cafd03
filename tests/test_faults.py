"""Failures that should not be able to happen."""

from tests.conftest import Log
from tests.fakes import CountingMetrics
from tuleaprt.faults import Faults


def test_a_fault_is_logged_with_its_traceback_and_counted(log: Log) -> None:
    metrics = CountingMetrics()
    try:
        raise ZeroDivisionError("injected")
    except ZeroDivisionError:
        Faults(metrics).record("testing")
    assert log.lines == ["Internal error testing"]
    assert log.tracebacks == ["injected"]
    assert metrics.internal_errors == 1
