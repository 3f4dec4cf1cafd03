"""systemd and supervisord, which start services: their state as values, and the steps of a swap for each."""

import configparser
import glob
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover.commands import last_line, output, run
from tuleaprt.takeover.plan import (
    NODE,
    SERVICE,
    SOCKET,
    UNITS,
    Program,
    Run,
    Step,
    Unit,
    Units,
    give_back,
    give_back_program,
    take_over,
    take_over_program,
)

SUPERVISORD = (Path("/etc/supervisord.conf"), Path("/etc/supervisor/supervisord.conf"))
PROGRAM = NODE.removesuffix(".service")

OVERRIDE = "tuleaprt.ini"
"""Supervisord reads the files of a folder by name, and a later one replaces options of a former one. So this
file must come after Tuleap's ``realtime.ini``, which each start of Tuleap's container writes again.
"""

_PROPERTIES = "LoadState,ActiveState,UnitFileState,NeedDaemonReload"


class Manager(Protocol):
    """What starts the services of this machine."""

    def problem(self, *, is_back: bool) -> str:
        """Why the services cannot be swapped; empty: they can."""

    def running(self) -> tuple[bool, bool]:
        """Whether the Node.js server runs, and whether tuleaprt does."""

    def steps(self, *, is_back: bool) -> list[Step]:
        """What is to be done."""


class Systemd:
    name = "systemd"

    def problem(self, *, is_back: bool) -> str:
        units = self._units()
        wanted = (NODE,) if is_back else UNITS
        if missing := [it for it in wanted if not units[it].is_known]:
            return f"systemd does not know {', '.join(missing)}; install the package"
        masked = [it for it in wanted if units[it].is_masked]
        return f"{', '.join(masked)} must not be masked" if masked and not is_back else ""

    def running(self) -> tuple[bool, bool]:
        units = self._units()
        return units[NODE].is_active, units[SERVICE].is_active or units[SOCKET].is_active

    def steps(self, *, is_back: bool) -> list[Step]:
        return (give_back if is_back else take_over)(self._units())

    def _units(self) -> Units:
        return {name: self._unit(name) for name in (NODE, *UNITS)}

    def _unit(self, name: str) -> Unit:
        text = output(("systemctl", "show", f"--property={_PROPERTIES}", "--", name))
        return unit(dict(line.partition("=")[::2] for line in text.splitlines()))


def unit(properties: dict[str, str]) -> Unit:
    """From the properties of ``systemctl show``."""
    load, file = properties.get("LoadState", ""), properties.get("UnitFileState", "")
    return Unit(
        is_known=load != "not-found",
        is_masked=load == "masked" or file.startswith("masked"),
        is_enabled=file == "enabled",
        is_active=properties.get("ActiveState") in ("active", "activating", "reloading"),
        has_failed=properties.get("ActiveState") == "failed",
        needs_reload=properties.get("NeedDaemonReload") == "yes",
    )


class Supervisor:
    """``config`` is supervisord's file, ``text`` that of tuleaprt's override."""

    name = "supervisord"

    def __init__(self, config: Path, text: str) -> None:
        self._config = config
        self._text = text
        self._control = ("supervisorctl", "-c", str(config))

    def problem(self, *, is_back: bool) -> str:
        if self._folder() is None:
            return f"{self._config} includes no folder for {OVERRIDE} with the program {PROGRAM}"
        pid = run((*self._control, "pid"))
        return f"supervisorctl does not reach supervisord: {last_line(pid)}" if pid.status else ""

    def running(self) -> tuple[bool, bool]:
        status = run((*self._control, "status", PROGRAM)).text
        is_running = re.search(r"\b(RUNNING|STARTING|BACKOFF)\b", status) is not None
        folder = self._folder()
        is_ours = folder is not None and (folder / OVERRIDE).exists()
        return is_running and not is_ours, is_running and is_ours

    def steps(self, *, is_back: bool) -> list[Step]:
        folder = self._folder()
        if folder is None:
            raise CommandFailed(self.problem(is_back=is_back))
        path = folder / OVERRIDE
        found = path.read_text() if path.exists() else None
        program = Program(str(path), found, Run((*self._control, "update", PROGRAM)))
        return give_back_program(program) if is_back else take_over_program(program, self._text)

    def _folder(self) -> Path | None:
        """The folder in which the override counts: it is included, and the program is defined before it."""
        try:
            main = _sections(self._config)
            before = [main]
            for pattern in main.get("include", "files", fallback="").split():
                whole = self._config.parent / pattern
                found = sorted(Path(it) for it in glob.glob(str(whole)))
                before += [_sections(it) for it in found if str(it) < str(whole.with_name(OVERRIDE))]
                is_defined = any(it.has_section(f"program:{PROGRAM}") for it in before)
                if is_defined and fnmatchcase(OVERRIDE, whole.name):
                    return whole.parent
        except (OSError, UnicodeDecodeError, configparser.Error):
            pass
        return None


def _sections(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    parser.read_string(path.read_text())
    return parser


def _systemd_runs() -> bool:
    """In containers ``systemctl`` fails, and in a chroot it answers nothing."""
    done = run(("systemctl", "show", "--property=Version"))
    return done.status == 0 and done.text.startswith("Version=")


def manager(text: str, supervisord: Path | None) -> Manager:
    """``supervisord``: its file, if it is given on the command line.

    Raises:
        CommandFailed: neither systemd nor supervisord starts the services of this machine.
    """
    if supervisord is None and _systemd_runs():
        return Systemd()
    for path in SUPERVISORD if supervisord is None else (supervisord,):
        if path.exists():
            return Supervisor(path, text)
    raise CommandFailed("neither systemd nor a configuration of supervisord is here")
