"""Which endpoints other machines and users may reach."""

from pathlib import Path

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from tuleaprt.errors import ConfigError
from tuleaprt.transport import listening
from tuleaprt.transport.listening import Listener, file_limit_for, listeners, open_listeners


def found(description: str) -> list[Listener]:
    return open_listeners(MemoryReactor(), "debug", [description], Factory())


@pytest.mark.parametrize(
    "description",
    [
        "tcp:2997:interface=127.0.0.1",
        "tcp:2997:interface=127.5.0.1:backlog=5",
        "tcp:interface=127.0.0.1:port=2997",
        r"tcp6:2997:interface=\:\:1",
        r"tcp:2997:interface=\:\:1",
        "unix:/run/tuleaprt/debug.sock:mode=600",
        "unix:address=/run/tuleaprt/debug.sock:mode=0600:lockfile=1",
    ],
)
def test_what_only_this_machine_can_reach_may_be_open(description: str) -> None:
    (listener,) = found(description)
    assert listener.is_open


@pytest.mark.parametrize(
    "description",
    [
        "tcp:2997",
        "tcp:2997:interface=",
        "tcp:2997:interface=0.0.0.0",
        "tcp:2997:interface=192.0.2.1",
        "tcp:2997:interface=localhost",
        "tcp:2997:interface=127.0.0.1.example.org",
        "tcp6:2997",
        r"tcp6:2997:interface=\:\:",
        "tcp:127.0.0.1",
        "tcp:2997:interface=127.0.0.1:interface=0.0.0.0",
        "unix:/run/tuleaprt/debug.sock",
        "unix:/run/tuleaprt/debug.sock:mode=666",
        "unix:/run/tuleaprt/debug.sock:mode=660",
        "unix:/run/mode=600",
        r"unix:/run/x\:mode=600",
        "systemd:domain=INET:index=0",
        "ssl:2997:interface=127.0.0.1",
        "haproxy:tcp:2997:interface=127.0.0.1",
        "",
        ":",
    ],
)
def test_what_others_could_reach_may_not(description: str) -> None:
    with pytest.raises(ConfigError) as refused:
        found(description)
    (problem,) = refused.value.problems
    assert problem.startswith(f"[listen] debug: {description!r}")


def test_what_is_no_endpoint_is_named() -> None:
    with pytest.raises(ConfigError, match="is not an endpoint"):
        listeners(MemoryReactor(), "public", ["udp:53"], Factory())


def test_the_log_calls_a_site_a_site() -> None:
    titles = [
        listeners(MemoryReactor(), name, ["tcp:1"], Factory())[0].title
        for name in ("public", "public_tls", "rawsocket")
    ]
    assert titles == ["public site", "public TLS site", "rawsocket"]


def test_tls_is_not_spoken_within_tls() -> None:
    with pytest.raises(ConfigError, match=r"^\[listen\] public_tls: 'ssl:1': the server adds TLS itself"):
        listeners(MemoryReactor(), "public_tls", ["ssl:1"], Factory())


def test_a_unix_socket_is_nobody_elses_from_its_first_moment(tmp_path: Path) -> None:
    # Twisted sets the mode between bind and listen, so no client can have connected before.
    from twisted.internet import reactor

    path = tmp_path / "debug.sock"
    (listener,) = open_listeners(reactor, "debug", [f"unix:{path}:mode=0600"], Factory())
    ports: list[object] = []
    listener.endpoint.listen(listener.factory).addCallback(ports.append)
    try:
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        ports[0].stopListening()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("limits", "wanted", "expected"),
    [
        ((1024, 4096), 500, 1024),
        ((1024, 4096), 2100, 2100),
        ((1024, 4096), 20_000, 4096),
        ((1024, -1), 20_100, 20_100),
        ((-1, -1), 20_100, 20_100),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], wanted: int, expected: int
) -> None:
    now = limits
    monkeypatch.setattr(listening, "getrlimit", lambda which: now)

    def set_to(which: int, changed: tuple[int, int]) -> None:
        nonlocal now
        now = changed

    monkeypatch.setattr(listening, "setrlimit", set_to)
    assert file_limit_for(wanted) == expected
    assert now[1] == limits[1]
    assert now[0] in (limits[0], expected)
