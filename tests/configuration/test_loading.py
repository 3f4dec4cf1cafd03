"""Reading the configuration: the file, the environment, the key."""

from pathlib import Path

import pytest

from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import Config
from tuleaprt.errors import ConfigError

KEY = "k" * 88
KEY_FILE = "a file with Tuleap's key, of 32 bytes or more"
SECONDS = "a number of seconds, more than 0 and at most 1000000000"
COUNT = "a whole number, 1 or more"
ENVIRONMENT = {"PRIVATE_KEY": KEY}


def write(folder: Path, text: str) -> Path:
    path = folder / "tuleaprt.toml"
    path.write_text(text)
    return path


def problems(path: Path | None, environment: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(path, ENVIRONMENT if environment is None else environment)
    return error.value.problems


def test_without_a_file_the_defaults_hold() -> None:
    config = load(None, ENVIRONMENT)
    assert config == Config(key=KEY.encode(), key_is_fixed=True)
    assert config.listen.private == ("tcp:2999:interface=127.0.0.1",)


def test_the_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, '[listen]\npublic = ["tcp:1", "unix:/x"]\n[limits]\nmax_outbox = 5\n')
    config = load(path, ENVIRONMENT)
    assert config.listen.public == ("tcp:1", "unix:/x")
    assert config.limits.max_outbox == 5


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[limits]\nmax_outbox = 5\n[realtime]\nrealm = "file"\n')
    environment = ENVIRONMENT | {
        "TULEAPRT_LIMITS__MAX_OUTBOX": "6",
        "TULEAPRT_REALTIME__REALM": "123",
        "TULEAPRT_WEBSOCKET__PING_INTERVAL": "0.5",
        "TULEAPRT_LISTEN__PUBLIC": '["tcp:0"]',
    }
    config = load(path, environment)
    assert config.limits.max_outbox == 6
    assert config.realtime.realm == "123"
    assert config.websocket.ping_interval == 0.5
    assert config.listen.public == ("tcp:0",)


def test_everything_that_is_wrong_is_said_at_once_one_line_each(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'x = 1\n[nonsense]\na = 1\n[limits]\nmax_outbox = "many"\nmax_boats = 3\n'
        '[listen]\npublic = []\n[realtime]\nalgorithms = ["none"]\n[websocket]\nping_interval = 0\n',
    )
    found = problems(path, ENVIRONMENT | {"TULEAPRT_LIMITS__MAX_POST_SIZE": "-1", "TULEAPRT_TYPO__X": "1"})
    assert [line.removeprefix(f"{path}: ") for line in found] == [
        "[x]: there is no such section",
        "[nonsense]: there is no such section",
        "TULEAPRT_TYPO__X: there is no section [typo]",
        '[limits] max_outbox: expected a whole number, 1 or more, given "many"',
        "[limits] max_boats: there is no such option",
        "[listen] public: expected a list of texts, at least one, given []",
        '[realtime] algorithms: expected a list of "HS256", "HS384", "HS512", at least one, given ["none"]',
        f"[websocket] ping_interval: expected {SECONDS}, given 0",
        f"TULEAPRT_LIMITS__MAX_POST_SIZE: [limits] max_post_size: expected {COUNT}, given -1",
    ]


@pytest.mark.parametrize("text", ["[limits", "a = ", "\x00"])
def test_a_file_that_is_no_toml_is_said_so(tmp_path: Path, text: str) -> None:
    (line,) = problems(write(tmp_path, text))
    assert line.startswith(f"{tmp_path / 'tuleaprt.toml'}: ")


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml") == (f"{tmp_path / 'none.toml'}: No such file or directory",)
    (line,) = problems(tmp_path)
    assert "Is a directory" in line


@pytest.mark.parametrize("content", [f"PRIVATE_KEY={KEY}", KEY, f"PRIVATE_KEY={KEY}\n", f"{KEY}\r\n"])
def test_the_key_file_of_tuleap_is_understood(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    config = load(None, {"TULEAPRT_REALTIME__KEY_FILE": str(tmp_path / "key")})
    assert config.key == KEY.encode()


def test_the_key_of_the_environment_goes_first(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("f" * 88)
    environment = ENVIRONMENT | {"TULEAPRT_REALTIME__KEY_FILE": str(tmp_path / "key")}
    assert load(None, environment).key == KEY.encode()


@pytest.mark.parametrize("content", ["", "PRIVATE_KEY=", "PRIVATE_KEY=" + "k" * 31, " " * 88])
def test_short_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    (line,) = problems(None, {"TULEAPRT_REALTIME__KEY_FILE": str(tmp_path / "key")})
    assert line.startswith(
        f"TULEAPRT_REALTIME__KEY_FILE: [realtime] key_file: expected {KEY_FILE}, "
        f'given "{tmp_path / "key"}" with a key of '
    )
    assert "kk" not in line


def test_without_any_key_it_does_not_start(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    assert problems(None, {"TULEAPRT_REALTIME__KEY_FILE": missing}) == (
        f"TULEAPRT_REALTIME__KEY_FILE: [realtime] key_file: expected {KEY_FILE}, "
        f'given "{missing}": No such file or directory',
    )
    (line,) = problems(None, {"PRIVATE_KEY": "short"})
    assert line == "PRIVATE_KEY: expected Tuleap's key, of 32 bytes or more, given a key of 5 bytes"


def test_the_posts_secret_may_substitute_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t\n")
    environment = ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": f"file:{tmp_path / 'secret'}"}
    assert load(None, environment).post_secret == b"s3cr3t"
    assert load(None, ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": "plain"}).post_secret == b"plain"


def test_an_empty_secret_file_is_not_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    environment = ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": f"file:{tmp_path / 'secret'}"}
    assert problems(None, environment) == (
        "TULEAPRT_REALTIME__POST_SECRET: [realtime] post_secret: "
        "expected file: and the path of a file with the secret, given an empty one",
    )


def test_the_password_of_redis_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cr3t\n")
    environment = ENVIRONMENT | {"TULEAPRT_JOURNAL__PASSWORD_FILE": str(tmp_path / "password")}
    assert load(None, environment).journal_password == b"s3cr3t"
    assert load(None, ENVIRONMENT).journal_password == b""


@pytest.mark.parametrize(("content", "given"), [("", "an empty one"), (None, "one that cannot be read: ")])
def test_a_file_without_a_password_is_not_no_password(
    tmp_path: Path, content: str | None, given: str
) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
    (line,) = problems(None, ENVIRONMENT | {"TULEAPRT_JOURNAL__PASSWORD_FILE": str(path)})
    assert f"expected a file with the password of Redis, given {given}" in line


def test_no_secret_is_in_a_repr() -> None:
    environment = ENVIRONMENT | {
        "TULEAPRT_REALTIME__POST_SECRET": "s3cr3t",
        "TULEAPRT_JOURNAL__URL": "redis://tuleaprt:s3cr3t@host/0",
    }
    shown = repr(load(None, environment))
    assert KEY not in shown
    assert "s3cr3t" not in shown


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e10", "-1", "0"])
def test_a_time_is_a_number_of_seconds_that_comes_to_an_end(seconds: str) -> None:
    (line,) = problems(None, ENVIRONMENT | {"TULEAPRT_WEBSOCKET__OPEN_TIMEOUT": seconds})
    assert line.startswith(
        "TULEAPRT_WEBSOCKET__OPEN_TIMEOUT: [websocket] open_timeout: expected a number of seconds"
    )


def test_what_only_a_trial_shows_is_said_with_the_rest_and_where_it_was_given(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[realtime]\nkey_file = "/none/key"\npost_secret = "file:/none/secret"\n'
        '[listen]\npublic = ["udp:53"]\npublic_tls = ["tcp:1"]\ndebug = ["tcp:2"]\n'
        '[websocket]\nallowed_origins = ["example.com"]\n[limits]\nmax_outbox = 1.5\n',
    )
    assert [line.removeprefix(f"{path}: ") for line in problems(path, {})] == [
        "[limits] max_outbox: expected a whole number, 1 or more, given 1.5",
        "[realtime] key_file: expected a file with Tuleap's key, of 32 bytes or more, "
        'given "/none/key": No such file or directory',
        "[realtime] post_secret: expected file: and the path of a file with the secret, "
        'given one that cannot be read: "/none/secret": No such file or directory',
        "[listen] public: expected endpoint strings of Twisted, "
        "given \"udp:53\": Unknown endpoint type: 'udp'",
        "[listen] debug: expected tcp:PORT:interface=127.0.0.1, or unix:PATH:mode=0600, "
        'because every client there is an operator, given "tcp:2"',
        '[websocket] allowed_origins: expected origins of the form https://host[:port], given "example.com"',
        "[tls] certificate: expected a PEM file, because [listen] public_tls has endpoints, given none",
    ]


def test_a_variable_that_is_no_toml_is_shown_as_it_is() -> None:
    assert problems(None, ENVIRONMENT | {"TULEAPRT_LIMITS__MAX_OUTBOX": "a lot"}) == (
        f'TULEAPRT_LIMITS__MAX_OUTBOX: [limits] max_outbox: expected {COUNT}, given "a lot"',
    )


def test_one_mistake_is_said_once(tmp_path: Path) -> None:
    (line,) = problems(write(tmp_path, "[realtime]\nkey_file = 5\n"), {})
    assert line.endswith("[realtime] key_file: expected a text that is not empty, given 5")


@pytest.mark.parametrize("given", ["5", '["s3cr3t"]', "{ s3cr3t = 1 }"])
def test_what_is_given_as_a_secret_is_never_shown(tmp_path: Path, given: str) -> None:
    (line,) = problems(write(tmp_path, f"[realtime]\npost_secret = {given}\n"))
    assert line.endswith("[realtime] post_secret: expected a text, given (not shown)")


def test_what_is_given_to_an_unknown_option_is_not_shown(tmp_path: Path) -> None:
    assert not [
        it for it in problems(write(tmp_path, '[realtime]\npost_sekret = "s3cr3t"\n')) if "s3cr3t" in it
    ]


def test_long_values_and_strange_names_keep_to_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, f'[limits]\nmax_outbox = "{"x" * 5000}"\n"a\\nb" = 1\n["c\\nd"]\n')
    found = problems(path)
    assert len(found) == 3
    assert max(map(len, found)) < 300
    assert not [line for line in found if "\n" in line]


@pytest.mark.parametrize("key", ['{"kty": "oct", "k": "' + "x" * 64 + '"}', "ssh-rsa " + "x" * 64])
def test_a_key_of_another_kind_is_said_with_the_rest(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, "[limits]\nmax_outbox = 0\n")
    _, line = problems(path, {"PRIVATE_KEY": key})
    assert line == (
        "PRIVATE_KEY: expected Tuleap's key, of 32 bytes or more, "
        "given a key of another kind than Tuleap's: a public key, a certificate or a JWK"
    )


@pytest.mark.parametrize("name", ["TULEAPRT_COMPILED", "TULEAPRT_CONFIG", "TULEAPRT_DEBUG"])
def test_what_the_command_line_reads_is_no_option(name: str) -> None:
    assert load(None, {**ENVIRONMENT, name: "1"}) == load(None, ENVIRONMENT)
