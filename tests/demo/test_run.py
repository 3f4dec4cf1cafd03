"""``make run`` on systems that lack something: the first look needs git, make, Python and its venv only."""

import os
import shlex
import shutil
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.end_to_end.processes import ROOT, Process, patiently
from tests.end_to_end.server import ANY_PORT

ensure = pytest_twisted.ensureDeferred
MINIMAL = ("sh", "make", "python3", "env", "mkdir", "touch", "id")
ANYWHERE = {"TULEAPRT_LISTEN__PRIVATE": ANY_PORT, "TULEAPRT_LISTEN__PUBLIC": ANY_PORT}
NO_REGISTRY = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0"}

AUTOBAHN = "mkdir -p node_modules/autobahn-browser; touch node_modules/autobahn-browser/autobahn.min.js"
APT, NPM = "type: apt-get install npm", "type: npm ci"


class System:
    """A checkout without node_modules, and a PATH that has a few commands only."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.commands = folder / "checkout", folder / "bin"
        self.checkout.mkdir()
        self.commands.mkdir()
        for entry in ROOT.iterdir():
            if entry.name not in (".run", "node_modules", ".venv-interop", ".git"):
                (self.checkout / entry.name).symlink_to(entry)
        # Modules of a package are found beside the real files, so what reads node_modules must be here.
        (self.checkout / "demo").unlink()
        shutil.copytree(ROOT / "demo", self.checkout / "demo")
        self.install(*MINIMAL)
        self.environment = {**ANYWHERE, "HOME": str(folder), "npm_config_cache": str(folder / "cache")}

    def install(self, *names: str) -> None:
        for name in names:
            found = shutil.which(name)
            assert found is not None, f"the tests need {name}"
            (self.commands / name).symlink_to(found)

    def fake(self, name: str, script: str) -> None:
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def make(self, *arguments: str, **environment: str) -> Process:
        whole = {**self.environment, "PATH": str(self.commands), **environment}
        command = [str(self.commands / "make"), "--no-print-directory"]
        if (self.checkout / ".venv").exists():
            # It is that of this checkout: installing the copy into it would break all other tests.
            command.append("--old-file=.venv/run")
        return Process.start([*command, *arguments], whole, folder=self.checkout)


@pytest_twisted.async_yield_fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    system = System(tmp_path)
    assert not [it for it in ("npm", "node", "curl", "git") if shutil.which(it, path=str(system.commands))]
    yield system


async def stop(run: Process) -> None:
    """As Ctrl-C does: make and its children receive the signal."""
    [child] = (Path("/proc") / str(run.pid) / "task" / str(run.pid) / "children").read_text().split()
    os.kill(int(child), 2)
    await patiently(run.ended(), "the end")
    assert not [line for line in run.lines if "Traceback" in line]


@ensure
async def test_the_first_look_needs_neither_npm_nor_node_nor_curl(system: System) -> None:
    run = system.make("run")
    await run.written("Ctrl-C stops the server")
    [said] = [line for line in run.lines if "type:" in line]
    assert said.endswith(APT)
    assert not [line for line in run.lines if "Look at it" in line or "curl" in line or "8080" in line]
    watching, posting = (shlex.split(line)[1:] for line in run.lines if line.startswith("    make "))
    watch = system.make(*watching)
    await watch.written("user 102 watches")
    post = system.make(*posting)
    assert await patiently(post.ended(), "the answer") == 0
    assert post.lines[0] == "200 OK"
    await watch.written(r'kanban_item:create \{"artifact_id": 321\}')
    await watch.stop("TERM")
    await stop(run)


@pytest.mark.parametrize("script", ["exit 1", "echo command not found >&2; exit 127"])
@ensure
async def test_an_npm_that_does_not_start_is_none(system: System, script: str) -> None:
    system.fake("npm", script)
    run = system.make("run")
    await run.written("Ctrl-C stops the server")
    assert [line for line in run.lines if line.endswith(APT)]
    assert "Look at it" not in "\n".join(run.lines)
    await stop(run)


@ensure
async def test_the_server_runs_when_npm_has_no_network(system: System) -> None:
    system.install("npm", "node")
    run = system.make("run", **NO_REGISTRY)
    await run.written("Ctrl-C stops the server")
    assert [line for line in run.lines if line.endswith(NPM)]
    assert "Look at it" not in "\n".join(run.lines)
    await stop(run)


@pytest.mark.parametrize(
    "script",
    [
        "mkdir -p node_modules/autobahn-browser; exit 1",
        f"{AUTOBAHN}; exit 1",
        f"{AUTOBAHN}; touch node_modules/.package-lock.json",
        "exit 0",
    ],
    ids=["half of it", "nearly all of it", "without socket.io-client", "nothing, and says nothing"],
)
@ensure
async def test_half_of_node_modules_is_not_enough_and_is_fetched_again(system: System, script: str) -> None:
    system.fake("npm", f'[ "$1" = --version ] && exit 0\n{script}')
    for _ in range(2):
        run = system.make("run")
        await run.written("npm fetches autobahn-js")
        await run.written("Ctrl-C stops the server")
        assert [line for line in run.lines if line.endswith(NPM)]
        assert "Look at it" not in "\n".join(run.lines)
        await stop(run)


@ensure
async def test_the_page_has_an_address_when_it_works(system: System) -> None:
    (system.checkout / "node_modules").symlink_to(ROOT / "node_modules")
    run = system.make("run")
    await run.written(r"^  Look at it: http://127\.0\.0\.1:\d+$")
    await run.written("Ctrl-C stops the server")
    assert not [line for line in run.lines if "type:" in line]
    await stop(run)


@ensure
async def test_a_page_that_cannot_reach_the_server_has_no_address(system: System) -> None:
    (system.checkout / "node_modules").symlink_to(ROOT / "node_modules")
    run = system.make("run", TULEAPRT_LISTEN__PUBLIC='["tcp:0:interface=0.0.0.0"]')
    await run.written("Ctrl-C stops the server")
    assert [line for line in run.lines if "cannot use the server: 0.0.0.0 is not a loopback address" in line]
    assert "Look at it" not in "\n".join(run.lines)
    await stop(run)


@ensure
async def test_npm_is_not_asked_when_there_will_be_no_page(system: System) -> None:
    system.fake("npm", "touch asked; exit 1")
    run = system.make("run", PRIVATE_KEY="k" * 88)
    await run.written("Ctrl-C stops the server")
    assert not (system.checkout / "asked").exists()
    assert not [line for line in run.lines if "type:" in line]
    await stop(run)


@ensure
async def test_without_venv_the_one_line_says_what_to_install(system: System) -> None:
    (system.checkout / ".venv").unlink()
    for name in ("id", "python3"):
        (system.commands / name).unlink()
    system.fake("id", "echo 1000")
    run = system.make("run")
    assert await patiently(run.ended(), "the end") != 0
    said = [line for line in run.lines if "type:" in line]
    assert said == ["make needs more of this system; type: apt-get install python3-venv"]


@ensure
async def test_a_port_that_is_taken_is_said(system: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = system.make("run", TULEAPRT_LISTEN__PRIVATE=f'["tcp:{port}:interface=127.0.0.1"]')
        assert await patiently(run.ended(), "the end") != 0
    assert [line for line in run.lines if f"127.0.0.1:{port}" in line and "Address already in use" in line]
    assert "Look at it" not in "\n".join(run.lines)
