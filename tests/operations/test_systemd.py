"""Messages to systemd, read from a socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuleaprt.operations.systemd import Notify


@pytest.fixture(params=["file", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The value of $NOTIFY_SOCKET, and the socket that it names."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        it.settimeout(10)
        it.bind(path if request.param == "file" else "\0" + path)
        yield path if request.param == "file" else "@" + path, it


def test_each_word_is_a_datagram(heard: tuple[str, socket.socket]) -> None:
    name, it = heard
    notify = Notify({"NOTIFY_SOCKET": name})
    for tell, lines in (
        (notify.ready, "READY=1"),
        (notify.is_well, "WATCHDOG=1"),
        (notify.stopping, "STOPPING=1"),
        (lambda: notify.status("3 clients are left"), "STATUS=3 clients are left"),
    ):
        tell()
        assert it.recv(1000).decode() == lines
    notify.reloading()
    first, second = it.recv(1000).decode().split("\n")
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_where_nobody_listens_nothing_is_told(environment: dict[str, str]) -> None:
    Notify(environment).ready()
