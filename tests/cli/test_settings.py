"""Where the commands find the server and a token."""

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import jwt
import pytest

from tuleaprt.cli.settings import add_session, operator_ticket, private_url, read_secret, session_settings
from tuleaprt.configuration.options import Config, Listen, Realtime
from tuleaprt.errors import CommandFailed, ConfigError

KEY = "k" * 88


def given(*arguments: str) -> Namespace:
    parser = ArgumentParser()
    add_session(parser)
    return parser.parse_args(arguments)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVATE_KEY", KEY)
    for name in ("TICKET", "TULEAPRT_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_by_default_the_server_is_on_this_machine() -> None:
    config, url, _ = session_settings(given())
    assert (config.realtime.realm, url) == ("tuleap", "ws://127.0.0.1:2998/ws")
    assert private_url(None, config, "--url") == "http://127.0.0.1:2999"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("tcp:5", "http://127.0.0.1:5"),
        ("tcp:5:interface=0.0.0.0", "http://127.0.0.1:5"),
        ("tcp:port=5:interface=192.0.2.7:backlog=9", "http://192.0.2.7:5"),
        (r"tcp6:5:interface=\:\:1", "http://[::1]:5"),
        ("tcp6:5", "http://[::1]:5"),
    ],
)
def test_the_address_is_that_of_the_first_endpoint_that_has_one(endpoint: str, url: str) -> None:
    config = Config(key=b"k", listen=Listen(private=("unix:/run/x", "tcp:0", endpoint, "tcp:9")))
    assert private_url(None, config, "--url") == url


def test_without_one_it_has_to_be_said() -> None:
    config = Config(key=b"k", listen=Listen(private=("unix:/run/x", "tcp:0")))
    with pytest.raises(CommandFailed, match="no tcp endpoint with a port; say with --private-url"):
        private_url(None, config, "--private-url")
    assert private_url("http://x:1", config, "--url") == "http://x:1"


def test_a_ticket_that_is_given_needs_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PRIVATE_KEY")
    monkeypatch.setenv("TULEAPRT_REALTIME__KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError):
        session_settings(given())
    monkeypatch.setenv("TICKET", "abc\n")
    assert session_settings(given())[2]() == "abc"


def test_a_ticket_file_is_read_for_each_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TICKET", "other")
    path = tmp_path / "ticket"
    _, _, ticket = session_settings(given("--ticket-file", str(path)))
    with pytest.raises(CommandFailed, match="No such file"):
        ticket()
    for text in ("first", "second"):
        path.write_text(f"{text}\n")
        assert ticket() == text


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"a\r\nX-Header: b", b"a b\x00"])
def test_attack_a_secret_that_would_be_more_than_one_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(CommandFailed, match="no token or secret"):
        read_secret(str(path))


@pytest.mark.parametrize(("longest", "seconds"), [(1800, 1800), (600, 600), (86_400, 3600)])
def test_an_operators_ticket_lives_no_longer_than_the_server_counts(longest: float, seconds: float) -> None:
    before = time.time()
    token = operator_ticket(Config(realtime=Realtime(max_token_lifetime=longest), key=KEY.encode()))
    claims = jwt.decode(token, KEY, algorithms=["HS512"])
    assert before + seconds <= claims["exp"] <= time.time() + seconds
