"""Putting it together: what starts, what does not, and how it stops."""

from dataclasses import fields
from pathlib import Path

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from zope.interface import verify

from tests.conftest import Log
from tuleaprt.application.service import Options, TuleaprtService, makeService
from tuleaprt.config import LIVE, Limits
from tuleaprt.listening import OTHER_FILES
from tuleaprt.reload import Reload
from tuleaprt.transport.entrance import EntranceFactory
from tuleaprt.web.site import PrivateSite

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
    assert line.startswith("[listen] private: 'systemd:' is no endpoint: ")


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
    assert line.endswith('because whoever connects there is an operator, given "tcp:2997"')


def test_all_that_is_said_to_change_live_is_followed_by_somebody(reactor: MemoryReactorClock) -> None:
    *_, reload = service(reactor)._background
    assert isinstance(reload, Reload)
    assert reload.live.options == LIVE


def test_each_limit_reaches_those_whom_it_concerns(
    reactor: MemoryReactorClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("tuleaprt.serving.file_limit_for", lambda wanted: asked.append(wanted) or 9)
    path = tmp_path / "tuleaprt.toml"
    path.write_text("")
    made = makeService(options("--config", str(path)), reactor, ENVIRONMENT)
    assert isinstance(made, TuleaprtService)
    *_, reload = made._background
    assert isinstance(reload, Reload)
    path.write_text("[limits]\n" + "\n".join(f"{it.name} = {i}" for i, it in enumerate(fields(Limits), 1)))
    reload.reload()
    private, public = (it.factory for it in made._listeners)
    assert isinstance(private, PrivateSite)
    assert isinstance(public, EntranceFactory)
    router = public.websockets.router
    expected = Limits(**{it.name: i for i, it in enumerate(fields(Limits), 1)})
    assert expected == Limits(
        max_connections=made._hub.max_connections,
        max_unauthenticated=public.lobby.most,
        max_sessions_per_user=router.realm.max_sessions_per_user,
        max_subscriptions_per_session=router.realm.max_subscriptions,
        requests_per_second=int(router.requests_per_second),
        max_message_size=public.websockets.maxMessagePayloadSize,
        max_outbox=made._hub.max_outbox,
        max_outboxes=made._hub.outboxes.most,
        max_post_size=private.max_body,
    )
    assert asked[-1] == 1 + 2 + OTHER_FILES
