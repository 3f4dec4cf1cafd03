"""Putting it together: what starts, what does not, and how it stops."""

from pathlib import Path

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from zope.interface import verify

from tests.conftest import Log
from tuleaprt.application.lifecycle import TuleaprtService
from tuleaprt.application.service import Options, makeService

ENVIRONMENT = {"PRIVATE_KEY": "k" * 88}


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
        f"{path}: [limits] max_outbox: expected a whole number, 1 or more, given 0",
        f"{path}: [limits] max_boats: there is no such option",
    ]


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp:", "tcp:x", "tcp:1:y=2", "udp:53", "tcp"])
def test_what_is_no_endpoint_is_named(reactor: MemoryReactorClock, endpoint: str) -> None:
    _, line = refusal(reactor, TULEAPRT_LISTEN__PRIVATE=f'["{endpoint}"]')
    assert f'[listen] private: expected endpoint strings of Twisted, given "{endpoint}": ' in line


def test_what_systemd_has_not_opened_is_named(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_LISTEN__PRIVATE='["systemd:"]')
    assert line.startswith("[listen] private: 'systemd:' is not an endpoint: ")


def test_what_is_no_origin_is_named(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS='["*"]')
    assert line.endswith(
        '[websocket] allowed_origins: expected origins of the form https://host[:port], given "*"'
    )


def test_what_is_no_proxy_is_named(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_WEBSOCKET__FORWARDED_FOR='["nginx"]')
    assert line.startswith("[websocket] forwarded_for: 'nginx'")


def test_tls_without_a_certificate_does_not_start(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_LISTEN__PUBLIC_TLS='["tcp:2443"]')
    assert line.startswith("[tls] certificate: expected a PEM file")


def test_tls_with_a_certificate_that_is_not_there_does_not_start(reactor: MemoryReactorClock) -> None:
    _, line = refusal(
        reactor, TULEAPRT_LISTEN__PUBLIC_TLS='["tcp:2443"]', TULEAPRT_TLS__CERTIFICATE="/no/such/file"
    )
    assert line == "[tls] certificate: /no/such/file: No such file or directory"


def test_without_a_tls_endpoint_no_certificate_is_read(reactor: MemoryReactorClock) -> None:
    service(reactor, TULEAPRT_TLS__CERTIFICATE="/no/such/file")


def test_a_debug_endpoint_that_others_could_reach_does_not_start(reactor: MemoryReactorClock) -> None:
    _, line = refusal(reactor, TULEAPRT_LISTEN__DEBUG='["tcp:2997"]')
    assert line.endswith('because every client there is an operator, given "tcp:2997"')
