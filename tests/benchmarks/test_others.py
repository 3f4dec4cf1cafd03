"""Which servers are compared: those that are named and installed."""

import subprocess
import sys
from pathlib import Path

import others
import pytest
from others import names, present
from router import ROOT, Failed

from tests.benchmarks.test_router import PEER


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/bench.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_names_are_separated_by_spaces() -> None:
    assert names(" nats  uws nats ") == ["nats", "uws"]
    assert names("") == []


def test_a_name_that_is_not_known_is_wrong_usage() -> None:
    done = bench("--peers", "nats rabbitmq")
    assert done.returncode == 2
    assert done.stderr.endswith("error: no peer is named 'rabbitmq': nats, mosquitto, uws\n")


def test_other_servers_are_not_compared_with_another_router() -> None:
    done = bench("--peers", "nats", "--peer", "router.toml")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr


def test_what_is_installed_is_named_with_its_version(tmp_path: Path) -> None:
    found, missing = present(["nats", "mosquitto"], tmp_path)
    assert [it.title.split()[0] for it in found] == ["NATS", "Mosquitto"]
    assert all(it.title.split()[1].count(".") == 2 for it in found)
    assert missing == []


def test_what_is_not_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(others, "DAEMONS", str(tmp_path))
    assert present(["mosquitto", "nats"], tmp_path) == (
        [],
        [
            "mosquitto is not installed: apt-get install mosquitto",
            "nats is not installed: apt-get install nats-server",
        ],
    )


def test_a_program_that_names_no_version_is_measured_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    ((found,), _) = present(["mosquitto"], tmp_path)
    assert found.title == "Mosquitto ?"


def test_uws_needs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UWS", raising=False)
    found, (line,) = present(["uws"], tmp_path)
    assert found == []
    assert line.startswith("uws has no package: UWS=FILE ")


def test_uws_is_what_its_file_describes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "uws.toml"
    file.write_text(PEER)
    monkeypatch.setenv("UWS", str(file))
    ((found,), missing) = present(["uws"], tmp_path)
    assert (found.title, missing) == ("another router", [])
    file.write_text("nonsense")
    with pytest.raises(Failed, match=r"uws\.toml"):
        present(["uws"], tmp_path)
