"""``tuleaprt check-config``: what the server would say, and have."""

import tomllib
from pathlib import Path

import pytest_twisted

from tests.cli.conftest import KEY_FILE, Tuleaprt
from tests.fakes import KEY
from tests.redis_server import RedisServer

ensure = pytest_twisted.ensureDeferred
SHIPPED = Path(__file__).parent.parent.parent / "etc" / "tuleaprt.toml"


@ensure
async def test_the_shipped_file_is_good_and_printed_as_it_is(alone: Tuleaprt) -> None:
    process = alone("check-config", str(SHIPPED), PRIVATE_KEY="k" * 88)
    assert await process.ended() == 0
    shipped = tomllib.loads(SHIPPED.read_text())
    shipped["realtime"]["post_secret"] = "(not set)"
    assert tomllib.loads("\n".join(process.lines)) == shipped


@ensure
async def test_the_environment_counts(alone: Tuleaprt) -> None:
    process = alone("check-config", TULEAPRT_LIMITS__MAX_CONNECTIONS="7", **KEY_FILE)
    assert await process.ended() == 0
    assert tomllib.loads("\n".join(process.lines))["limits"]["max_connections"] == 7


@ensure
async def test_each_value_is_printed_with_its_source(tmp_path: Path, alone: Tuleaprt) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text("[limits]\nmax_outbox = 9\nmax_outboxes = 9\n")
    process = alone("check-config", str(path), TULEAPRT_LIMITS__MAX_OUTBOX="7", **KEY_FILE)
    assert await process.ended() == 0
    assert "max_outbox = 7  # TULEAPRT_LIMITS__MAX_OUTBOX" in process.lines
    assert f"max_outboxes = 9  # {path}" in process.lines
    assert "max_post_size = 8388608  # default" in process.lines


@ensure
async def test_attack_secrets_are_not_printed(tmp_path: Path, alone: Tuleaprt) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text('[realtime]\npost_secret = "open sesame"\n')
    process = alone("check-config", TULEAPRT_CONFIG=str(path), **KEY_FILE)
    assert await process.ended() == 0
    whole = "\n".join(process.lines)
    assert tomllib.loads(whole)["realtime"]["post_secret"] == "(set)"
    assert "sesame" not in whole
    assert KEY.decode() not in whole


@ensure
async def test_all_mistakes_are_said_one_line_each(tmp_path: Path, alone: Tuleaprt) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text('[limits]\nmax_outbox = "many"\n[listen]\npubic = []\n')
    process = alone("check-config", str(path), **KEY_FILE)
    assert await process.ended() == 1
    assert process.lines == [
        f'tuleaprt: {path}: [limits] max_outbox: expected a whole number, 1 or more, given "many"',
        f"tuleaprt: {path}: [listen] pubic: there is no such option",
    ]


@ensure
async def test_an_endpoint_that_only_the_server_understands_is_looked_at_too(alone: Tuleaprt) -> None:
    process = alone("check-config", TULEAPRT_LISTEN__DEBUG='["tcp:2997"]', **KEY_FILE)
    assert await process.ended() == 1
    assert len(process.lines) == 1
    assert "[listen] debug" in process.lines[0]


@ensure
async def test_the_file_of_the_journal_is_tried_on_demand(tmp_path: Path, alone: Tuleaprt) -> None:
    path = tmp_path / "journal.db"
    environment = {"TULEAPRT_JOURNAL__URL": f"sqlite://{path}", **KEY_FILE}
    assert await alone("check-config", "--connect", **environment).ended() == 0
    assert not path.exists()
    path.write_bytes(b"garbage" * 1000)
    assert await alone("check-config", **environment).ended() == 0
    process = alone("check-config", "--connect", **environment)
    assert await process.ended() == 1
    assert process.lines == [f"tuleaprt: [journal] url: {path}: damaged: file is not a database"]
    assert path.read_bytes() == b"garbage" * 1000


@ensure
async def test_redis_is_tried_and_its_password_is_not_printed(tmp_path: Path, alone: Tuleaprt) -> None:
    redis = RedisServer(tmp_path, requirepass="s3cr3t")
    redis.password = "s3cr3t"
    redis.start()
    url = redis.url.replace("//", "//:s3cr3t@")
    good = alone("check-config", "--connect", TULEAPRT_JOURNAL__URL=url, **KEY_FILE)
    assert await good.ended() == 0
    shown = redis.url.replace("//", "//:(set)@")
    assert f'url = "{shown}"  # TULEAPRT_JOURNAL__URL' in good.lines
    wrong = alone(
        "check-config", "--connect", TULEAPRT_JOURNAL__URL=url.replace("s3cr3t", "s4cr4t"), **KEY_FILE
    )
    assert await wrong.ended() == 1
    (line,) = wrong.lines
    assert line.startswith(f"tuleaprt: [journal] url: 127.0.0.1:{redis.port}: WRONGPASS")
    assert redis.ask("DBSIZE") == "0"
    redis.stop()
    away = alone("check-config", "--connect", TULEAPRT_JOURNAL__URL=url, **KEY_FILE)
    assert await away.ended() == 1
    assert away.lines[0].startswith(
        f"tuleaprt: [journal] url: 127.0.0.1:{redis.port}: Connection was refused"
    )
    assert not [line for it in (good, wrong, away) for line in it.lines if "s3cr3t" in line]
