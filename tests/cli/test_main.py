"""What holds for all commands: help, exit status, no noise."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
import pytest_twisted

import tuleaprt.cli.main
from tests.cli.conftest import COMMAND, KEY_FILE, Tuleaprt
from tests.end_to_end.processes import ROOT, Process

ensure = pytest_twisted.ensureDeferred

SESSION = {"--config", "--url", "--ticket-file"}
OPTIONS = {
    "": set(),
    "token": {"--seconds", "--operator", "--rooms", "--config", "USER_ID", "GROUP"},
    "watch": {"--prefix", "--json", "--once", "TOPIC"} | SESSION,
    "post": {"--url", "--secret-file", "--config", "FILE"},
    "sessions": {"--json", "list", "count", "kill"} | SESSION,
    "sessions list": {"--json"} | SESSION,
    "sessions count": SESSION,
    "sessions kill": {"--user", "--private-url", "ID"} | SESSION,
    "check-config": {"FILE"},
    "version": set(),
    "completion": {"SHELL"},
    "init": {"--key-file", "--force", "FILE"},
}


@pytest.mark.parametrize("command", OPTIONS)
@ensure
async def test_the_help_says_every_option_in_100_columns(alone: Tuleaprt, command: str) -> None:
    process = alone(*command.split(), "--help", COLUMNS="200")
    assert await process.ended() == 0
    words = " ".join(process.lines).replace("[", " ").replace("]", " ").split()
    assert OPTIONS[command] - set(words) == set()
    assert max(map(len, process.lines)) <= 100
    assert {"exit", "status:"} <= set(words)


@ensure
async def test_the_help_names_all_commands(alone: Tuleaprt) -> None:
    process = alone("--help")
    assert await process.ended() == 0
    words = set(" ".join(process.lines).split())
    assert {it.split()[0] for it in OPTIONS if it} - words == set()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["post"],
        ["version", "x"],
        ["watch"],
        ["watch", "x", "--onc", "1"],
        ["watch", "x", "--once", "0"],
        ["sessions", "dance"],
        ["sessions", "kill"],
        ["sessions", "kill", "x"],
        ["sessions", "kill", "--user", "0"],
        ["sessions", "kill", "5", "--user", "5"],
    ],
)
@ensure
async def test_wrong_usage_is_2(alone: Tuleaprt, arguments: list[str]) -> None:
    process = alone(*arguments, **KEY_FILE)
    assert await process.ended() == 2
    assert process.lines[0].startswith("usage: tuleaprt")
    assert ": error: " in process.lines[-1]


@pytest.mark.parametrize("arguments", [["watch", "x"], ["sessions"], ["post", "setup.cfg"]])
@ensure
async def test_a_server_that_is_not_there_is_said_in_one_line(alone: Tuleaprt, arguments: list[str]) -> None:
    nowhere = '["tcp:1:interface=127.0.0.1"]'
    process = alone(*arguments, **KEY_FILE, TULEAPRT_LISTEN__PUBLIC=nowhere, TULEAPRT_LISTEN__PRIVATE=nowhere)
    assert await process.ended() == 1
    assert len(process.lines) == 1
    assert process.lines[0].startswith("tuleaprt: cannot ")


@pytest.mark.parametrize("is_debugging", [False, True])
def test_a_mistake_of_ours_is_one_line_too(
    is_debugging: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(tuleaprt.cli.main, "_silence", lambda: None)
    monkeypatch.setattr(tuleaprt.cli.main, "parser_of", fail)
    monkeypatch.setattr("sys.stdout.reconfigure", lambda **_: None, raising=False)
    monkeypatch.setattr("sys.stderr.reconfigure", lambda **_: None, raising=False)
    monkeypatch.setenv("TULEAPRT_DEBUG", "1" if is_debugging else "")
    assert tuleaprt.cli.main.main([]) == 70
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "tuleaprt: internal error: ZeroDivisionError"
    assert ("Traceback" in lines[0]) is is_debugging


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PRIVATE_KEY": "k" * 88}
    done = subprocess.run(
        [*COMMAND, "check-config"], cwd=ROOT, env=environment, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@ensure
async def test_what_a_terminal_of_another_country_cannot_show_is_escaped(
    tmp_path: Path, alone: Tuleaprt
) -> None:
    process = alone("check-config", str(tmp_path / "für.toml"), PYTHONIOENCODING="ascii", **KEY_FILE)
    assert await process.ended() == 1
    assert process.lines == [f"tuleaprt: {tmp_path}/f\\xfcr.toml: No such file or directory"]


@ensure
async def test_ctrl_c_before_it_says_anything_is_quiet() -> None:
    process = Process.start([*COMMAND, "post", "-"], {**KEY_FILE, "PYTHONPROFILEIMPORTTIME": "1"})
    await process.written("tuleaprt.configuration.loading$")
    os.kill(process.pid, signal.SIGINT)
    # In the exec() of a text, as for a NamedTuple, Python 3.11 remembers the signal, and ends by it although
    # the exception was handled. Shells show both as 130.
    assert await process.ended() in (130, -signal.SIGINT)
    assert not [line for line in process.lines if "Traceback" in line]
