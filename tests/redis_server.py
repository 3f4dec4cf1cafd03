"""A real redis-server on a port of its own."""

import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

from tests.end_to_end.processes import ENDS_WITH_ITS_PARENT

SERVER = shutil.which("redis-server") or "redis-server"
READY = "eady to accept connections"
SENTINEL_OPTIONS = ("monitor", "down-after-milliseconds", "failover-timeout")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class RedisServer:
    """``options`` are lines of its configuration: ``appendonly="yes"``. Files are in ``folder``.
    ``is_sentinel``: it watches other servers, and has no data.
    """

    def __init__(self, folder: Path, *, is_sentinel: bool = False, **options: str) -> None:
        self.folder = folder
        self._is_sentinel = is_sentinel
        self.port = free_port()
        self.options = {"save": '""', "appendonly": "no", "repl-diskless-sync-delay": "0"} | {
            name.replace("_", "-"): value for name, value in options.items()
        }
        self.password = ""
        self.lines: list[str] = []
        """What the process has written."""
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        lines: dict[str, object] = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder}
        lines |= {} if self._is_sentinel else self.options
        file = self.folder / f"redis-{self.port}.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        if self._is_sentinel:
            with file.open("a") as more:
                more.writelines(f"sentinel {name} {self.options[name]}\n" for name in SENTINEL_OPTIONS)
        command = [*ENDS_WITH_ITS_PARENT, SERVER, str(file), *(["--sentinel"] if self._is_sentinel else [])]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines.clear()
        settled = threading.Event()
        self._reading = threading.Thread(target=self._read, args=(self._process.stdout, settled))
        self._reading.start()
        settled.wait()
        assert any(READY in it or "+monitor master" in it for it in self.lines), "".join(self.lines)
        return self

    def _read(self, output: IO[str], settled: threading.Event) -> None:
        """Until it ends, so that it never waits for a reader of its log."""
        with output:
            for line in output:
                self.lines.append(line)
                if READY in line or "+monitor master" in line:
                    settled.set()
        settled.set()

    def stop(self, how: str = "kill") -> None:
        """``kill`` or ``terminate``."""
        if self._process is not None:
            getattr(self._process, how)()
            self._process.wait(timeout=30)
            self._reading.join(timeout=30)
            self._process = None

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def ask(self, *command: str | bytes | int) -> Any:
        """The reply in the text of redis-cli."""
        login = ["--no-auth-warning", "-a", self.password] if self.password else []
        done = subprocess.run(
            ["redis-cli", "-p", str(self.port), *login, *map(_argument, command)],
            capture_output=True,
            timeout=30,
            check=True,
        )
        return done.stdout.decode(errors="replace").strip()


def _argument(it: str | bytes | int) -> bytes:
    return it if isinstance(it, bytes) else str(it).encode()
