"""Faults of the server."""

import json
from collections.abc import Callable
from functools import partial

from tests.conftest import Log
from tests.fakes import CountingMetrics
from tuleaprt.operations.logs import Faults, is_of_a_parser


def test_a_fault_is_logged_with_its_traceback_and_counted(log: Log) -> None:
    metrics = CountingMetrics()
    try:
        raise ZeroDivisionError("injected")
    except ZeroDivisionError:
        Faults(metrics).record("testing")
    assert log.lines == ["Internal error testing"]
    assert log.tracebacks == ["injected"]
    assert metrics.internal_errors == 1


def caught(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError


def test_what_a_parser_raises_is_told_from_what_the_server_raises() -> None:
    assert is_of_a_parser(caught(partial(int, "9" * 5000)))
    assert is_of_a_parser(caught(partial(json.loads, "{")))
    assert not is_of_a_parser(caught(lambda: json.loads("{")))
    # A library that calls the server, which fails: that is a fault.
    assert not is_of_a_parser(caught(partial(json.loads, "1", parse_int=lambda text: 1 / 0)))
