"""A real redis-server on a port of its own."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.end_to_end.processes import ENDS_WITH_ITS_PARENT

SERVER = shutil.which("redis-server") or "redis-server"


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
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if "eady to accept connections" in line or "+monitor master" in line:
                return self
        raise AssertionError(said)

    def stop(self, how: str = "kill") -> None:
        """``kill`` or ``terminate``."""
        if self._process is not None:
            getattr(self._process, how)()
            self._process.communicate(timeout=30)
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
