"""The configuration: the file, the environment, the key."""

import tomllib
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from tuleaprt.config import SECTIONS, Config, load
from tuleaprt.errors import ConfigError

ROOT = Path(__file__).parent.parent
KEY = "k" * 88
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
    assert config == Config(key=KEY.encode())
    assert config.listen.private == ("tcp:2999:interface=127.0.0.1",)


def test_the_shipped_file_has_every_option_and_its_default() -> None:
    shipped = tomllib.loads((ROOT / "etc" / "tuleaprt.toml").read_text())
    written = [
        (section, option, value) for section, table in shipped.items() for option, value in table.items()
    ]
    known = []
    for section, cls in SECTIONS.items():
        for option in fields(cls):
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            known.append((section, option.name, default))
    assert written == known


def test_the_shipped_file_says_a_sentence_about_every_option() -> None:
    lines = (ROOT / "etc" / "tuleaprt.toml").read_text().splitlines()
    for above, line in pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert above.startswith("# "), line
            assert above.endswith("."), line


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
        "[limits] max_outbox: Expected `int`, got `str`",
        "[limits] max_boats: there is no such option",
        "[listen] public: Expected `array` of length >= 1",
        "[realtime] algorithms: Invalid enum value 'none' - at `$[0]`",
        "[websocket] ping_interval: Expected `float` > 0.0",
        "TULEAPRT_LIMITS__MAX_POST_SIZE: [limits] max_post_size: Expected `int` >= 1",
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
    assert line.startswith(f"[realtime] key_file: {tmp_path / 'key'}: the key must have 32 bytes or more")
    assert "kk" not in line


def test_without_any_key_it_does_not_start(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    assert problems(None, {"TULEAPRT_REALTIME__KEY_FILE": missing}) == (
        f"[realtime] key_file: {missing}: No such file or directory",
    )
    (line,) = problems(None, {"PRIVATE_KEY": "short"})
    assert line.startswith("PRIVATE_KEY: the key must have 32 bytes")


def test_the_posts_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t\n")
    environment = ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": f"file:{tmp_path / 'secret'}"}
    assert load(None, environment).post_secret == b"s3cr3t"
    assert load(None, ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": "plain"}).post_secret == b"plain"


def test_an_empty_secret_file_is_not_no_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    environment = ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": f"file:{tmp_path / 'secret'}"}
    assert problems(None, environment) == ("[realtime] post_secret: the file is empty",)


def test_no_secret_is_in_a_repr() -> None:
    environment = ENVIRONMENT | {"TULEAPRT_REALTIME__POST_SECRET": "s3cr3t"}
    shown = repr(load(None, environment))
    assert KEY not in shown
    assert "s3cr3t" not in shown


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e10", "-1", "0"])
def test_a_time_is_a_number_of_seconds_that_comes_to_an_end(seconds: str) -> None:
    (line,) = problems(None, ENVIRONMENT | {"TULEAPRT_WEBSOCKET__OPEN_TIMEOUT": seconds})
    assert line.startswith("TULEAPRT_WEBSOCKET__OPEN_TIMEOUT: [websocket] open_timeout: Expected `float`")


@pytest.mark.parametrize("name", ["TULEAPRT_CONFIG", "TULEAPRT_DEBUG"])
def test_what_the_command_line_reads_is_no_option(name: str) -> None:
    assert load(None, {**ENVIRONMENT, name: "1"}) == load(None, ENVIRONMENT)
