"""Listening, and stopping."""

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock

from tests.application.test_service import service
from tests.conftest import Log


def test_it_is_ready_when_the_reactor_runs_and_signals_are_handled(
    reactor: MemoryReactorClock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    made = service(reactor)
    made.privilegedStartService()
    made.startService()
    assert "tuleaprt is ready" not in log.lines
    for hook, args, kwargs in reactor.whenRunningHooks:
        hook(*args, **kwargs)
    assert "tuleaprt is ready" in log.lines
    made.stopService()


def test_it_stops_listening_and_leaves_nothing_to_call(reactor: MemoryReactorClock) -> None:
    made = service(reactor)
    made.privilegedStartService()
    made.startService()
    stopped: list[None] = []
    made.stopService().addCallback(stopped.append)
    assert stopped == [None]
    assert reactor.getDelayedCalls() == []


def test_a_port_that_is_taken_is_said_and_ends_it(
    reactor: MemoryReactorClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(port: int, *args: object, **kwargs: object) -> None:
        raise CannotListenError("127.0.0.1", port, OSError(98, "Address already in use"))

    monkeypatch.setattr(reactor, "listenTCP", taken)
    with pytest.raises(SystemExit) as stop:
        service(reactor).privilegedStartService()
    first, private, public = str(stop.value.code).splitlines()
    assert first == "tuleaprt does not start:"
    assert private.startswith("[listen] private: ")
    assert public.startswith("[listen] public: ")
    assert "Address already in use" in private


def test_a_debug_endpoint_is_loudly_announced(reactor: MemoryReactorClock, log: Log) -> None:
    made = service(
        reactor,
        TULEAPRT_LISTEN__DEBUG='["tcp:2997:interface=127.0.0.1"]',
        TULEAPRT_LISTEN__RAWSOCKET='["unix:/tmp/tuleaprt-test:mode=0660"]',
    )
    made.privilegedStartService()
    (warning,) = [it for it in log.events if it["log_level"].name == "warn"]
    assert "IS AN OPERATOR" in warning["log_format"]
    assert "rawsocket listens on unix:/tmp/tuleaprt-test" in log.lines


def test_a_limit_of_files_that_is_too_low_is_said(
    reactor: MemoryReactorClock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.application.lifecycle.file_limit_for", lambda wanted: 1024)
    service(reactor).startService()
    (warning,) = [it for it in log.events if it["log_level"].name == "warn"]
    assert (warning["files"], warning["wanted"]) == (1024, 24_100)


def test_a_stop_does_not_wait_for_ever_for_what_is_queued(reactor: MemoryReactorClock) -> None:
    made = service(reactor)
    made._connections.fanout.then = lambda action: None  # type: ignore[method-assign]
    stopped: list[None] = []
    made.stopService().addCallback(stopped.append)
    assert stopped == []
    reactor.advance(2)
    assert stopped == [None]
    assert reactor.getDelayedCalls() == []
