"""``tuleaprt init`` on machines with and without Tuleap, with a real nginx."""

import socket
import stat
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.conftest import Tuleaprt
from tests.cli.machine import Machine
from tests.end_to_end.processes import TWISTD, Process
from tests.fakes import FIXTURES

ensure = pytest_twisted.ensureDeferred
KEY = str(FIXTURES / "tuleap-realtime-key")


@pytest_twisted.async_yield_fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.set_up(is_served=False)
    yield machine
    await machine.tear_down()


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without nginx."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin")}


@ensure
async def test_on_a_machine_with_tuleap_the_server_starts_with_the_file(
    alone: Tuleaprt, machine: Machine, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "tuleaprt.toml"
    environment = {"PATH": f"{machine.bin}:/usr/bin:/bin"}
    process = alone("init", str(path), "--key-file", KEY, **environment)
    assert await process.ended() == 0, "\n".join(process.lines)
    assert machine.nginx is not None
    origin = f"http://localhost:{machine.nginx.port}"
    assert f"ok       key: {KEY}" in process.lines
    assert any(it.startswith(f"ok       nginx: {origin} passes /local-socket.io on") for it in process.lines)
    assert process.lines[-1] == "ok       configuration: the file is valid"
    assert f"wrote {path}" in process.lines
    written = tomllib.loads(path.read_text())
    assert written["realtime"]["key_file"] == KEY
    assert written["listen"]["private"] == [f"tcp:{machine.port}:interface=127.0.0.1"]
    assert written["websocket"]["allowed_origins"] == [origin]
    assert written["limits"]["max_connections"] == 20_000
    server = Process.start([TWISTD, "-n", "--pidfile=", "tuleaprt", "--config", str(path)], {})
    await server.written(f"private site listens on 127.0.0.1:{machine.port}$")
    await server.written("tuleaprt is ready$")
    assert await server.stop() == 0


@ensure
async def test_on_another_machine_it_says_what_is_missing_and_writes_the_defaults(
    alone: Tuleaprt, bare: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "tuleaprt.toml"
    process = alone("init", str(path), "--key-file", str(tmp_path / "none"), **bare)
    assert await process.ended() == 0
    problems = [it for it in process.lines if it.startswith("PROBLEM")]
    assert [it.split()[1] for it in problems] == ["key:", "nginx:", "configuration:"]
    assert "site-deploy:realtime" in problems[0]
    written = tomllib.loads(path.read_text())
    assert written["listen"]["private"] == ["tcp:2999:interface=127.0.0.1"]


@ensure
async def test_an_existing_file_is_kept_unless_it_is_forced(
    alone: Tuleaprt, bare: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "tuleaprt.toml"
    path.write_text("[realtime]\nrealm = 'mine'\n")
    path.chmod(0o640)
    process = alone("init", str(path), **bare)
    assert await process.ended() == 1
    assert process.lines == [f"tuleaprt: {path} exists; --force replaces it"]
    assert "mine" in path.read_text()
    process = alone("init", str(path), "--force", **bare)
    assert await process.ended() == 0
    assert tomllib.loads(path.read_text())["realtime"]["realm"] == "tuleap"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "mine" in (tmp_path / "tuleaprt.toml.bak").read_text()
    assert {it.name for it in tmp_path.iterdir()} == {"bin", "tuleaprt.toml", "tuleaprt.toml.bak"}


@ensure
async def test_it_prints_the_file(alone: Tuleaprt, bare: dict[str, str], tmp_path: Path) -> None:
    process = alone("init", "-", "--key-file", KEY, **bare)
    assert await process.ended() == 0
    text = "\n".join(it for it in process.lines if not it.startswith(("ok  ", "PROBLEM")))
    assert tomllib.loads(text)["realtime"]["key_file"] == KEY
    assert "#:schema" not in text


@pytest.mark.parametrize("has_schema", [False, True])
@ensure
async def test_the_file_names_the_schema_only_if_it_is_there(
    alone: Tuleaprt, bare: dict[str, str], tmp_path: Path, has_schema: bool
) -> None:
    if has_schema:
        (tmp_path / "tuleaprt.schema.json").write_text("{}")
    path = tmp_path / "tuleaprt.toml"
    assert await alone("init", str(path), **bare).ended() == 0
    assert path.read_text().startswith("#:schema") is has_schema


@ensure
async def test_a_folder_that_cannot_be_written_is_one_line(
    alone: Tuleaprt, bare: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    process = alone("init", str(tmp_path / "file" / "tuleaprt.toml"), **bare)
    assert await process.ended() == 1
    assert process.lines[-1].startswith(f"tuleaprt: {tmp_path}/file")


@ensure
async def test_a_port_that_is_taken_is_not_chosen(
    alone: Tuleaprt, bare: dict[str, str], tmp_path: Path
) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", 2998))
        except OSError:
            pass  # Something else on this machine has it, which will do.
        else:
            holder.listen()
        process = alone("init", "-", **bare)
        assert await process.ended() == 0
    text = "\n".join(it for it in process.lines if not it.startswith(("ok  ", "PROBLEM")))
    (public,) = tomllib.loads(text)["listen"]["public"]
    assert public.startswith("tcp:29") and not public.startswith("tcp:2998")
    assert [it for it in process.lines if it.startswith("PROBLEM  public: Port 2998 is taken")]


@pytest.mark.parametrize(
    ("target", "private", "public", "is_understood"),
    [
        ("http://127.0.0.1:2998", 2998, 2997, True),
        ("http://localhost:3999/", 3999, 2998, True),
        ("http://[::1]:3999", 2999, 2998, False),
        ("http://127.0.0.1", 2999, 2998, False),
        ("http://127.0.0.1:$port", 2999, 2998, False),
        ("http://upstream", 2999, 2998, False),
        ("https://127.0.0.1:3999", 2999, 2998, False),
    ],
)
@ensure
async def test_nginx_says_where_tuleaps_pages_go(
    alone: Tuleaprt,
    bare: dict[str, str],
    tmp_path: Path,
    target: str,
    private: int,
    public: int,
    is_understood: bool,
) -> None:
    dump = tmp_path / "dump"
    dump.write_text(
        "# configuration file /etc/nginx/nginx.conf:\n"
        "http { server { listen 443 ssl; server_name tuleap.example.com;"
        f" location /local-socket.io {{ proxy_pass {target}; }} }} }}\n"
    )
    nginx = tmp_path / "bin" / "nginx"
    nginx.write_text(f'#!/bin/sh\nwhile read -r line; do echo "$line"; done < {dump}\n')
    nginx.chmod(0o755)
    process = alone("init", "-", **bare)
    assert await process.ended() == 0
    written = tomllib.loads("\n".join(it for it in process.lines if not it.startswith(("ok  ", "PROBLEM"))))
    assert written["listen"]["private"] == [f"tcp:{private}:interface=127.0.0.1"]
    assert written["listen"]["public"] == [f"tcp:{public}:interface=127.0.0.1"]
    assert (
        bool([it for it in process.lines if it.startswith("ok       nginx: https://tuleap")]) is is_understood
    )
    assert bool([it for it in process.lines if it.startswith("PROBLEM  nginx: ")]) is not is_understood


@ensure
async def test_a_relative_key_file_is_written_as_a_whole_path(
    alone: Tuleaprt, bare: dict[str, str], tmp_path: Path
) -> None:
    process = alone(
        "init", str(tmp_path / "a.toml"), "--key-file", "tests/fixtures/tuleap/tuleap-realtime-key", **bare
    )
    assert await process.ended() == 0
    assert tomllib.loads((tmp_path / "a.toml").read_text())["realtime"]["key_file"] == KEY


@pytest.mark.parametrize("name", ["/", "", "x" * 300])
@ensure
async def test_a_name_of_no_file_is_one_line(alone: Tuleaprt, bare: dict[str, str], name: str) -> None:
    process = alone("init", "--force", name, **bare)
    assert await process.ended() == 1
    assert process.lines[-1].startswith("tuleaprt: ")
    assert "internal error" not in process.lines[-1]
