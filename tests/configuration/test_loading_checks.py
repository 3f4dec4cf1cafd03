"""What only a trial shows of the configuration."""

from pathlib import Path

import pytest

from tuleaprt.configuration.loading import faults
from tuleaprt.configuration.options import Config, Listen, Tls, WebSocket

KEY = b"k" * 88


def test_the_defaults_have_no_faults() -> None:
    assert list(faults(Config(key=KEY))) == []


@pytest.mark.parametrize("option", ["private", "public", "public_tls", "rawsocket", "debug"])
def test_what_is_no_endpoint_is_found_wherever_it_is(option: str) -> None:
    listen = Listen(**{option: ("tcp:1:interface=127.0.0.1", "nonsense")})
    section, named, expected, given = next(faults(Config(key=KEY, listen=listen)))
    assert (section, named, expected) == ("listen", option, "endpoint strings of Twisted")
    assert given == "\"nonsense\": Unknown endpoint type: 'nonsense'"


def test_what_systemd_opens_is_not_there_to_be_looked_at() -> None:
    listen = Listen(private=("systemd:domain=INET:index=0",))
    assert list(faults(Config(key=KEY, listen=listen))) == []


def test_nothing_is_opened_by_looking(tmp_path: Path) -> None:
    listen = Listen(private=(f"unix:{tmp_path / 'socket'}",))
    assert list(faults(Config(key=KEY, listen=listen))) == []
    assert list(tmp_path.iterdir()) == []


def test_a_debug_endpoint_that_others_can_reach_is_a_fault() -> None:
    ((_, option, expected, given),) = faults(Config(key=KEY, listen=Listen(debug=("tcp:2997",))))
    assert option == "debug"
    assert "every client there is an operator" in expected
    assert given == '"tcp:2997"'


@pytest.mark.parametrize("origin", ["*", "null", "example.com", "https://a/b"])
def test_what_is_no_origin_is_a_fault(origin: str) -> None:
    websocket = WebSocket(allowed_origins=("https://tuleap.example.com", origin))
    assert [it[3] for it in faults(Config(key=KEY, websocket=websocket))] == [f'"{origin}"']


def test_tls_wants_a_certificate() -> None:
    listen = Listen(public_tls=("tcp:1",))
    assert [it[:2] for it in faults(Config(key=KEY, listen=listen))] == [("tls", "certificate")]
    assert list(faults(Config(key=KEY, listen=listen, tls=Tls(certificate="/x.pem")))) == []
