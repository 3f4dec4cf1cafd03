"""The life of a log file: a real twistd, signals, logrotate, full disks. The log is read by ``tail -F``."""

import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.end_to_end.clients import PythonClient
from tests.end_to_end.processes import ROOT, TWISTD, Process
from tests.end_to_end.server import ANY_PORT, Server
from tests.fakes import FIXTURES, KANBAN, ticket, wire
from tuleaprt.operations.log_file import IGNORED

ensure = pytest_twisted.ensureDeferred
REOPENED = "SIGUSR1: the log file has been opened again"
ENVIRONMENT = {
    "TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key"),
    "TULEAPRT_LISTEN__PRIVATE": ANY_PORT,
    "TULEAPRT_LISTEN__PUBLIC": ANY_PORT,
}
SHIPPED = (ROOT / "etc" / "logrotate" / "tuleaprt").read_text()


class Logging:
    """``twistd --logfile=path tuleaprt``, and a ``tail`` of whatever file has that path."""

    def __init__(self, server: Process, tail: Process, path: Path) -> None:
        self.process = server
        self.tail = tail
        self.path = path

    @classmethod
    async def start(cls, path: Path, *options: str) -> "Logging":
        tail = Process.start(["tail", "-n", "+1", "--sleep-interval=0.1", "-F", str(path)], {})
        arguments = [TWISTD, *(options or ("-n",)), "--pidfile=", f"--logfile={path}", "tuleaprt"]
        process = Process.start(arguments, ENVIRONMENT)
        logging = cls(process, tail, path)
        await tail.written("tuleaprt is ready$")
        ports = [
            int((await tail.written(rf"{kind} site listens on 127\.0\.0\.1:(\d+)$"))[1])
            for kind in ("private", "public")
        ]
        logging.server = Server(process, *ports)
        return logging

    server: Server

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    async def serves(self) -> None:
        """A window joins and gets an event."""
        window = PythonClient(self.server.url)
        await window.open(ticket())
        await window.subscribe(KANBAN)
        assert (await self.server.post(wire("kanban_item_create"))).status == 200
        await window.event("kanban_item:create")
        await window.leave()
        await window.closed

    async def stop(self) -> None:
        await self.process.stop("KILL")
        await self.tail.stop("KILL")


@pytest_twisted.async_yield_fixture
async def logging(tmp_path: Path) -> AsyncIterator[Logging]:
    (tmp_path / "logs").mkdir()
    logging = await Logging.start(tmp_path / "logs" / "tuleaprt.log")
    yield logging
    await logging.stop()


def moved(path: Path) -> Path:
    return path.rename(path.with_name("tuleaprt.log.1"))


@ensure
async def test_sigusr1_without_a_log_file_says_so_in_one_line_and_other_signals_nothing(
    start: Callable[..., Awaitable[Server]],
) -> None:
    server = await start()
    for number in (signal.SIGUSR1, *IGNORED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGWINCH):
        os.kill(server.process.pid, number)
    os.kill(server.process.pid, signal.SIGTSTP)
    os.kill(server.process.pid, signal.SIGCONT)
    await server.process.written("SIGUSR1: there is no log file to open again$")
    assert (await server.request("GET", "/health/ready")).status == 200
    assert len([line for line in server.process.lines if "SIGUSR1" in line]) == 1


@ensure
async def test_sigquit_stops_the_server_as_sigterm_does(start: Callable[..., Awaitable[Server]]) -> None:
    server = await start()
    os.kill(server.process.pid, signal.SIGQUIT)
    assert await server.process.ended() == 0


@ensure
async def test_sigusr1_opens_a_renamed_file_again(logging: Logging) -> None:
    before = moved(logging.path)
    logging.signal(signal.SIGUSR1)
    await logging.tail.written(REOPENED)
    assert REOPENED in logging.path.read_text()
    assert REOPENED not in before.read_text()
    await logging.serves()


@ensure
async def test_a_reload_opens_a_renamed_file_again(logging: Logging) -> None:
    moved(logging.path)
    logging.signal(signal.SIGHUP)
    await logging.tail.written("reloaded: ")
    assert "reloaded: " in logging.path.read_text()


@ensure
async def test_others_cannot_read_the_file(logging: Logging) -> None:
    assert stat.S_IMODE(logging.path.stat().st_mode) & 0o137 == 0


@ensure
async def test_a_daemons_file_is_opened_again_too(tmp_path: Path) -> None:
    path = tmp_path / "tuleaprt.log"
    pidfile = tmp_path / "pid"
    tail = Process.start(["tail", "-n", "+1", "--sleep-interval=0.1", "-F", str(path)], {})
    twistd = Process.start([TWISTD, f"--pidfile={pidfile}", f"--logfile={path}", "tuleaprt"], ENVIRONMENT)
    try:
        assert await twistd.ended() == 0
        await tail.written("tuleaprt is ready$")
        moved(path)
        os.kill(int(pidfile.read_text()), signal.SIGUSR1)
        await tail.written(REOPENED)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
        await tail.written("Server Shut Down")
    finally:
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), signal.SIGKILL)
        await tail.stop("KILL")


@ensure
async def test_the_shipped_logrotate_file_loses_no_line(logging: Logging, tmp_path: Path) -> None:
    logrotate = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    assert logrotate, "the tests need logrotate (.ci/require test)"
    text = SHIPPED
    for before, after in [
        ("/var/log/tuleaprt/*.log", f"{logging.path.parent}/*.log"),
        ("systemctl kill --signal=SIGUSR1 tuleaprt.service", f"kill -USR1 {logging.process.pid}"),
    ]:
        assert before in text
        text = text.replace(before, after)
    config = tmp_path / "logrotate"
    config.write_text(text)
    config.chmod(0o644)
    for count in (1, 2):
        since = len(logging.tail.lines)
        rotate = [logrotate, "--force", "--state", str(tmp_path / "state"), str(config)]
        subprocess.run(rotate, check=True, capture_output=True)
        await logging.tail.written_since(since, REOPENED)
        assert len(list(logging.path.parent.glob("tuleaprt.log.*"))) == count
        await logging.serves()
    assert (logging.path.parent / "tuleaprt.log.2.gz").exists()


@ensure
async def test_copytruncate_leaves_no_hole(logging: Logging) -> None:
    shutil.copy(logging.path, logging.path.with_name("copy"))
    os.truncate(logging.path, 0)
    logging.signal(signal.SIGHUP)
    await logging.tail.written("reloaded: ")
    assert b"\0" not in logging.path.read_bytes()


@ensure
async def test_a_file_that_is_deleted_while_it_is_open_comes_back(logging: Logging) -> None:
    logging.path.unlink()
    await logging.serves()
    await logging.tail.written("closed: ")
    assert "closed: " in logging.path.read_text()


@ensure
async def test_without_its_folder_the_server_serves_and_says_later_what_was_lost(logging: Logging) -> None:
    shutil.rmtree(logging.path.parent)
    logging.signal(signal.SIGUSR1)
    await logging.serves()
    lost = await logging.server.metric("log_lines_lost")
    assert lost > 0
    logging.path.parent.mkdir()
    await logging.serves()
    told = await logging.tail.written(
        r"(\d+) lines of the log could not be written: No such file or directory"
    )
    assert int(told[1]) >= lost
    assert logging.path.read_text().count("could not be written") == 1


@ensure
async def test_on_a_full_disk_the_server_serves_and_says_later_what_was_lost(logging: Logging) -> None:
    # For the server, a limit on the size of files is like a full disk: a part of a line fits, then nothing.
    size = logging.path.stat().st_size + 20
    resource.prlimit(logging.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    await logging.serves()
    # A client may see the close before the server logs it, but not before the server serves the next client.
    await logging.serves()
    assert logging.path.stat().st_size == size
    resource.prlimit(
        logging.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    logging.signal(signal.SIGUSR1)
    await logging.tail.written(r"[#]warn\] \d+ lines of the log could not be written: File too large$")
    await logging.tail.written(REOPENED)


@pytest.mark.parametrize("output", ["/dev/full", "closed"])
@ensure
async def test_with_a_standard_output_that_takes_nothing_the_server_serves(
    output: str, tmp_path: Path
) -> None:
    redirect = {"/dev/full": ">/dev/full 2>&1", "closed": ">&- 2>&-"}[output]
    private = tmp_path / "private"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        process = Process.start(
            ["/bin/sh", "-c", f"exec {TWISTD} -n --pidfile= tuleaprt {redirect}"],
            {
                **ENVIRONMENT,
                "TULEAPRT_LISTEN__PRIVATE": f'["unix:{private}"]',
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
            },
        )
        try:
            systemd.settimeout(60)
            assert await deferToThread(systemd.recv, 100) == b"READY=1"
            asked = ["curl", "-sf", "--unix-socket", str(private), "http://localhost/health/ready"]
            assert await Process.start(asked, {}).ended() == 0
            assert await process.stop() == 0
        finally:
            await process.stop("KILL")


@ensure
async def test_a_log_file_that_cannot_be_opened_is_said_and_the_server_does_not_start(tmp_path: Path) -> None:
    process = Process.start(
        [TWISTD, "-n", "--pidfile=", f"--logfile={tmp_path}/none/tuleaprt.log", "tuleaprt"], ENVIRONMENT
    )
    assert await process.ended() == 1
    first, line = process.lines[-2:]
    assert first == "tuleaprt does not start:"
    assert line.startswith("the log file: ")
    assert "No such file or directory" in line
