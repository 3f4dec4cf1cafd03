"""Putting it together: what starts, what does not, and how it stops."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import txaio
from twisted.application.service import IService, IServiceMaker
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from zope.interface import verify

from tests.conftest import Log
from tuleaprt.service import Options, TuleaprtService, makeService

ENVIRONMENT = {"PRIVATE_KEY": "k" * 88}


@pytest.fixture
def reactor() -> Iterator[MemoryReactorClock]:
    reactor = MemoryReactorClock()
    txaio.use_twisted()
    before, txaio.config.loop = txaio.config.loop, reactor
    yield reactor
    txaio.config.loop = before


def options(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(arguments)
    return options


def service(reactor: MemoryReactorClock, **environment: str) -> TuleaprtService:
    made = makeService(options(), reactor, ENVIRONMENT | environment)
    assert isinstance(made, TuleaprtService)
    return made


def refusal(reactor: MemoryReactorClock, *arguments: str, **environment: str) -> list[str]:
    with pytest.raises(SystemExit) as stop:
        makeService(options(*arguments), reactor, ENVIRONMENT | environment)
    return str(stop.value.code).splitlines()


def test_twistd_knows_it() -> None:
    (plugin,) = [it for it in getPlugins(IServiceMaker) if it.tapname == "tuleaprt"]
    assert plugin.options is Options


def test_it_listens_on_its_two_sites(reactor: MemoryReactorClock, log: Log) -> None:
    made = service(reactor)
    verify.verifyObject(IService, made)
    made.privilegedStartService()
    made.startService()
    assert [(port, interface) for port, _, _, interface in reactor.tcpServers] == [
        (2999, "127.0.0.1"),
        (2998, "127.0.0.1"),
    ]
    assert [line for line in log.lines if "site listens" in line or "ready" in line] == [
        "private site listens on 0.0.0.0:2999",
        "public site listens on 0.0.0.0:2998",
    ]


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


def test_it_stops_listening_and_leaves_nothing_to_call(reactor: MemoryReactorClock) -> None:
    made = service(reactor)
    made.privilegedStartService()
    made.startService()
    stopped: list[None] = []
    made.stopService().addCallback(stopped.append)
    assert stopped == [None]
    assert reactor.getDelayedCalls() == []


def test_several_endpoints_may_serve_one_site(reactor: MemoryReactorClock) -> None:
    made = service(reactor, TULEAPRT_LISTEN__PUBLIC='["tcp:1", "unix:/tmp/tuleaprt-test"]')
    made.privilegedStartService()
    assert len(reactor.tcpServers) == 2
    assert len(reactor.unixServers) == 1


def test_a_wrong_configuration_is_said_line_by_line(reactor: MemoryReactorClock, tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text("[limits]\nmax_outbox = 0\nmax_boats = 1\n")
    assert refusal(reactor, "--config", str(path)) == [
        "tuleaprt does not start:",
        f"{path}: [limits] max_outbox: Expected `int` >= 1",
        f"{path}: [limits] max_boats: there is no such option",
    ]


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp:", "tcp:x", "tcp:1:y=2", "udp:53", "tcp", "systemd:"])
def test_what_is_no_endpoint_is_named(reactor: MemoryReactorClock, endpoint: str) -> None:
    _, line = refusal(reactor, TULEAPRT_LISTEN__PRIVATE=f'["{endpoint}"]')
    assert line.startswith(f"[listen] private: {endpoint!r} is no endpoint: ")


def test_what_is_no_origin_is_named(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS='["*"]')
    assert line.startswith("[websocket] allowed_origins: '*'")


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


def test_a_debug_endpoint_that_others_could_reach_does_not_start(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_LISTEN__DEBUG='["tcp:2997"]')
    assert line.startswith("[listen] debug: 'tcp:2997': whoever connects there is an operator")


def test_a_limit_of_files_that_is_too_low_is_said(
    reactor: MemoryReactorClock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuleaprt.service.file_limit_for", lambda connections: 1024)
    service(reactor).startService()
    (warning,) = [it for it in log.events if it["log_level"].name == "warn"]
    assert (warning["files"], warning["wanted"]) == (1024, 20_100)


def test_a_stop_does_not_wait_for_ever_for_what_is_queued(reactor: MemoryReactorClock) -> None:
    made = service(reactor)
    made._hub.fanout.then = lambda action: None  # type: ignore[method-assign]
    stopped: list[None] = []
    made.stopService().addCallback(stopped.append)
    assert stopped == []
    reactor.advance(2)
    assert stopped == [None]
    assert reactor.getDelayedCalls() == []
