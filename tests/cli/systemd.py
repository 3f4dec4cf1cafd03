"""A stand-in for systemd: ``systemctl`` on the PATH asks it, and it starts real servers for units."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from tests.end_to_end.server import Server
from tuleaprt.takeover.plan import NODE, SERVICE, UNITS

Start = Callable[[], Awaitable[Server]]

COMMAND = """\
#!{python} -IS
import json, socket, sys
with socket.socket(socket.AF_UNIX) as systemd:
    systemd.connect({path!r})
    systemd.sendall(json.dumps(sys.argv[1:]).encode() + b"\\r\\n")
    status, text = json.loads(systemd.makefile().read())
sys.stdout.write(text)
sys.exit(status)
"""


class Unit:
    """``server`` runs while the unit is active, if the unit starts one."""

    def __init__(self, *, is_known: bool = True) -> None:
        self.is_known = is_known
        self.is_masked = False
        self.is_enabled = False
        self.is_active = False
        self.has_failed = False
        self.server: Server | None = None


class Systemd:
    """``starting`` makes the server of a unit. ``asked`` are the calls of systemctl, without ``show``."""

    def __init__(self, starting: dict[str, Start]) -> None:
        self.units = {name: Unit() for name in (NODE, *UNITS)}
        self.asked: list[str] = []
        self._starting = starting
        self._port: Any = None

    async def listen(self, folder: Path) -> None:
        """Write ``systemctl`` into the folder."""
        path = folder / "systemd"
        systemd = self

        class Protocol(LineOnlyReceiver):
            def lineReceived(self, line: bytes) -> None:
                ensureDeferred(self._answer(json.loads(line)))

            async def _answer(self, arguments: list[str]) -> None:
                status, text = await systemd.call(arguments)
                self.transport.write(json.dumps([status, text]).encode())
                self.transport.loseConnection()

        self._port = await UNIXServerEndpoint(reactor, str(path)).listen(Factory.forProtocol(Protocol))
        command = folder / "systemctl"
        command.write_text(COMMAND.format(python=sys.executable, path=str(path)))
        command.chmod(0o755)

    async def close(self) -> None:
        await self._port.stopListening()
        for name in self.units:
            await self.stop(name)

    def state(self) -> dict[str, tuple[bool, bool, bool]]:
        """Masked, enabled and active."""
        return {name: (it.is_masked, it.is_enabled, it.is_active) for name, it in self.units.items()}

    async def call(self, arguments: list[str]) -> tuple[int, str]:
        """Exit status and output."""
        verb, *rest = arguments
        names = [it for it in rest if not it.startswith("-")]
        if verb == "show" and not names:
            return 0, "Version=252\n"
        if verb == "show":
            return 0, self._shown(self.units[names[0]])
        self.asked.append(" ".join(arguments))
        failed = [name for name in names if not await self._act(verb, name, is_now="--now" in rest)]
        return (1, f"Job for {failed[0]} failed.\n") if failed else (0, "")

    def _shown(self, unit: Unit) -> str:
        load = "masked" if unit.is_masked else "loaded" if unit.is_known else "not-found"
        active = "active" if unit.is_active else "failed" if unit.has_failed else "inactive"
        file = "masked" if unit.is_masked else "enabled" if unit.is_enabled else "disabled"
        return (
            f"LoadState={load}\nActiveState={active}\nUnitFileState={file}\nNeedDaemonReload=no\nUnknown=\n"
        )

    async def _act(self, verb: str, name: str, *, is_now: bool) -> bool:
        unit = self.units[name]
        unit.is_masked = verb == "mask" or (unit.is_masked and verb != "unmask")
        unit.is_enabled = verb == "enable" or (unit.is_enabled and verb != "disable")
        if verb == "start" or (verb == "enable" and is_now):
            return await self.start(name)
        if verb == "stop" or is_now:
            await self.stop(name)
        return True

    async def start(self, name: str) -> bool:
        unit = self.units[name]
        if unit.is_masked or not unit.is_known:
            return False
        if not unit.is_active and name in self._starting:
            try:
                unit.server = await self._starting[name]()
            except AssertionError:
                unit.has_failed = True
                return False
        unit.is_active = True
        return True

    async def stop(self, name: str) -> None:
        unit = self.units[name]
        if unit.server is not None:
            await unit.server.process.stop()
            unit.server = None
        unit.is_active = False

    @property
    def serving(self) -> list[str]:
        """The units whose server runs."""
        return [name for name in (NODE, SERVICE) if self.units[name].server is not None]
