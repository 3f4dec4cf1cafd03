"""Connections to Redis: over TLS, over a Unix socket, by Sentinel; and what errors say."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.certificates import Authority
from tests.journal.test_redis import until
from tests.redis_server import RedisServer, free_port
from tuleaprt.errors import ConfigError
from tuleaprt.journal.address import parse
from tuleaprt.journal.redis_connection import CURES, RedisAway, RedisRefused, connect, locate

ensure = pytest_twisted.ensureDeferred


async def ping(url: str) -> Any:
    connection = await connect(await locate(parse(url), reactor), b"", reactor)
    try:
        return await connection.ask("PING")
    finally:
        connection.close()


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[tuple[Authority, int]]:
    authority = Authority(tmp_path)
    pem = authority.leaf()
    (tmp_path / "server.pem").write_bytes(pem.chain)
    (tmp_path / "server.key").write_bytes(pem.key)
    port = free_port()
    server = RedisServer(
        tmp_path,
        tls_port=str(port),
        tls_cert_file=str(tmp_path / "server.pem"),
        tls_key_file=str(tmp_path / "server.key"),
        tls_auth_clients="no",
        tls_ca_cert_file=str(authority.root),
    ).start()
    yield authority, port
    server.stop()


@ensure
async def test_a_certificate_of_the_named_authority_is_accepted(over_tls: tuple[Authority, int]) -> None:
    authority, port = over_tls
    assert await ping(f"rediss://localhost:{port}/1?ca={authority.root}") == b"PONG"


@ensure
async def test_a_server_with_another_name_is_refused(over_tls: tuple[Authority, int], tmp_path: Path) -> None:
    authority, _ = over_tls
    other = authority.leaf("DNS:redis.example.com")
    (tmp_path / "server.pem").write_bytes(other.chain)
    (tmp_path / "server.key").write_bytes(other.key)
    second = RedisServer(
        tmp_path,
        tls_port=str(free_port()),
        tls_cert_file=str(tmp_path / "server.pem"),
        tls_key_file=str(tmp_path / "server.key"),
        tls_auth_clients="no",
        tls_ca_cert_file=str(authority.root),
    ).start()
    try:
        with pytest.raises(RedisAway, match=r"(?i)verif"):
            await ping(f"rediss://localhost:{second.options['tls-port']}?ca={authority.root}")
    finally:
        second.stop()


@ensure
async def test_an_unknown_authority_is_refused(over_tls: tuple[Authority, int]) -> None:
    with pytest.raises(RedisAway, match="certificate verify failed"):
        await ping(f"rediss://localhost:{over_tls[1]}")


@ensure
@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_wrong_file_of_authorities_is_an_error_of_the_configuration(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"\[journal\] url: .*ca\.pem: "):
        await ping(f"rediss://localhost:1?ca={file}")


@ensure
async def test_a_unix_socket_leads_to_redis(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, unixsocket=str(tmp_path / "s")).start()
    try:
        assert await ping(f"unix://{tmp_path}/s?db=2") == b"PONG"
    finally:
        server.stop()


@ensure
async def test_sentinels_name_the_primary_even_after_a_failover(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("primary", "replica", "sentinel")]
    for folder in folders:
        folder.mkdir()
    primary = RedisServer(folders[0]).start()
    replica = RedisServer(folders[1], replicaof=f"127.0.0.1 {primary.port}").start()
    sentinel = RedisServer(
        folders[2],
        is_sentinel=True,
        monitor=f"mymaster 127.0.0.1 {primary.port} 1",
        down_after_milliseconds="mymaster 200",
        failover_timeout="mymaster 1000",
    ).start()
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/mymaster"
    try:
        found = await locate(parse(url), reactor)
        assert found.hosts == (("127.0.0.1", primary.port),)
        with pytest.raises(RedisAway, match="no primary has the name other"):
            await locate(parse(url.replace("mymaster", "other")), reactor)
        await until(lambda: _replicas(sentinel) == "1")
        primary.stop()
        await until(
            lambda: str(replica.port) in sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
        )
        assert (await locate(parse(url), reactor)).hosts == (("127.0.0.1", replica.port),)
        assert await ping(url) == b"PONG"
    finally:
        for server in (primary, replica, sentinel):
            server.stop()


@ensure
async def test_a_sentinel_that_hangs_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuleaprt.journal.redis_connection.CONNECT_SECONDS", 0.3)
    monitored = RedisServer(tmp_path).start()
    sentinels = []
    for name in "ab":
        (tmp_path / name).mkdir()
        options = {"monitor": f"mymaster 127.0.0.1 {monitored.port} 1"}
        times = dict.fromkeys(("down_after_milliseconds", "failover_timeout"), "mymaster 60000")
        sentinels.append(RedisServer(tmp_path / name, is_sentinel=True, **options, **times).start())
    sentinels[0].signal(signal.SIGSTOP)
    hosts = ",".join(f"127.0.0.1:{it.port}" for it in sentinels)
    try:
        assert await ping(f"redis+sentinel://{hosts}/mymaster") == b"PONG"
    finally:
        for server in (monitored, *sentinels):
            server.stop()


def _replicas(sentinel: RedisServer) -> str:
    fields = sentinel.ask("SENTINEL", "MASTER", "mymaster").splitlines()
    return str(fields[fields.index("num-slaves") + 1])


@ensure
async def test_a_host_without_an_address_is_away() -> None:
    with pytest.raises(RedisAway, match=r"nowhere\.invalid"):
        await ping("redis://nowhere.invalid")


@pytest.mark.parametrize("code", CURES)
def test_each_error_has_a_cure(code: str) -> None:
    for text in (f"{code} some words", f"ERR Error running script (call to f_1): -{code} some words"):
        error = RedisRefused(text)
        assert error.code == code
        assert str(error).endswith(f": {CURES[code]}")


def test_an_error_quotes_no_argument() -> None:
    error = RedisRefused("ERR unknown command 'EVALSHA', with args beginning with: 'secret' 'payload' ")
    assert str(error) == "ERR unknown command 'EVALSHA'"
