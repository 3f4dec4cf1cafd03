"""A Tuleap server on this machine, for ``tuleaprt takeover``."""

import json
import shutil
from pathlib import Path

from tests.cli.conftest import COMMAND, KEY_FILE
from tests.cli.systemd import Systemd
from tests.end_to_end.processes import TWISTD, Process
from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import Nginx, free_port
from tests.end_to_end.test_socketio_nginx import LOCATION
from tests.fakes import FIXTURES
from tuleaprt.takeover.plan import NODE, SERVICE


class Machine:
    """A Tuleap server: its systemd, its nginx, and commands on a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.port = free_port()
        self.public = free_port()
        self.config = folder / "tuleaprt.toml"
        self.systemd = Systemd({NODE: self.start_node, SERVICE: self.start_server})
        self.nginx: Nginx | None = None
        self.is_mute = False
        self._commands: list[Process] = []

    async def set_up(self, *, is_served: bool) -> None:
        """``is_served``: the Node server runs, and is not only said to."""
        self.command("id", "echo 0")
        # Options end with "--".
        self.command("setpriv", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
        await self.systemd.listen(self.bin)
        self.nginx = await self.passing_on_to(self.port, "nginx")
        self.configure()
        self.systemd.units[NODE].is_enabled = self.systemd.units[NODE].is_active = True
        if is_served:
            self.systemd.units[NODE].server = await self.start_node()

    async def passing_on_to(self, port: int, name: str) -> Nginx:
        """An nginx of which ``nginx -T`` prints the configuration."""
        prefix = self.folder / name
        nginx = await Nginx.start_with(prefix, LOCATION.format(private=port))
        found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        self.command("nginx", f'exec {found} -e stderr -p {prefix} -c {prefix}/nginx.conf "$@"')
        return nginx

    def configure(self, **changes: str) -> None:
        """The server's file. The host that nginx passes on has no port, but the test's nginx has one."""
        options = {
            "realtime.key_file": json.dumps(str(FIXTURES / "tuleap-realtime-key")),
            "listen.private": f'["tcp:{self.port}:interface=127.0.0.1"]',
            "listen.public": f'["tcp:{self.public}:interface=127.0.0.1"]',
            "websocket.allowed_origins": json.dumps([self.origin]),
            **changes,
        }
        self.config.write_text("".join(f"{name} = {value}\n" for name, value in options.items()))

    def command(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    async def start_node(self) -> Server:
        return await Server.start(
            TULEAPRT_LISTEN__PRIVATE=f'["tcp:{self.port}:interface=127.0.0.1"]',
            TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS=json.dumps([self.origin]),
        )

    async def start_server(self) -> Server:
        if self.is_mute:
            # It starts, and does not listen where Tuleap posts.
            return await Server.start()
        return await Server.start(self.config, **self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **KEY_FILE,
            "TULEAPRT_LISTEN__PRIVATE": f'["tcp:{self.port}:interface=127.0.0.1"]',
            "TULEAPRT_LISTEN__PUBLIC": f'["tcp:{self.public}:interface=127.0.0.1"]',
        }

    @property
    def origin(self) -> str:
        """That of pages: the server of this nginx has no name."""
        assert self.nginx is not None
        return f"http://localhost:{self.nginx.port}"

    def takeover(self, *arguments: str) -> Process:
        fixed = ["--port", str(self.port), "--config", str(self.config), "--twistd", TWISTD]
        command = [*COMMAND, "takeover", *fixed, "--patience", "2", *arguments]
        self._commands.append(Process.start(command, {"PATH": f"{self.bin}:/usr/bin:/bin", **KEY_FILE}))
        return self._commands[-1]

    async def tear_down(self) -> None:
        for process in self._commands:
            await process.stop("KILL")
            assert not [line for line in process.lines if "Traceback" in line or "internal error" in line]
        await self.systemd.close()
        if self.nginx is not None:
            await self.nginx.process.stop("TERM")
