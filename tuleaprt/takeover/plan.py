"""Decides the steps of a swap from the state of the services, and how each step is undone.

A service that is already in the wanted state gets no step, so a second run changes nothing. The undo of a
step restores the state before it, also if the step has failed halfway.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

NODE = "tuleap-realtime.service"
"""The Node.js server of Tuleap's package (contract 8). Supervisord has a program of this name."""

SOCKET, SERVICE, KEY_WATCH = "tuleaprt.socket", "tuleaprt.service", "tuleaprt-key.path"
UNITS = (SOCKET, SERVICE, KEY_WATCH)
"""The units of tuleaprt, in the order in which they start."""


class Run(NamedTuple):
    """A command, without a shell."""

    command: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.command)


class Write(NamedTuple):
    """Replace the text of a file."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"write {self.path}"


class Remove(NamedTuple):
    """Remove a file, if it exists."""

    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"


Action = Run | Write | Remove


class Step(NamedTuple):
    """``undo`` is in the order in which it is done."""

    action: Action
    undo: tuple[Action, ...] = ()


class Unit(NamedTuple):
    """A unit of systemd, by ``systemctl show``."""

    is_known: bool = True
    is_masked: bool = False
    is_enabled: bool = False
    is_active: bool = False
    has_failed: bool = False
    needs_reload: bool = False


Units = Mapping[str, Unit]


def systemctl(verb: str, *names: str) -> Run:
    return Run(("systemctl", *verb.split(), *names))


def take_over(units: Units) -> list[Step]:
    """From the Node.js server to tuleaprt."""
    node = units[NODE]
    steps = _prepared(units, UNITS)
    if node.is_known and not (node.is_masked and not node.is_active):
        # A masked unit is started by nothing: neither by tuleap.service, nor by an upgrade of its package.
        undo = [] if node.is_masked else [systemctl("unmask", NODE)]
        undo += [systemctl("start", NODE)] if node.is_active and not node.is_masked else []
        steps.append(Step(systemctl("mask --now", NODE), tuple(undo)))
    if any(not (units[it].is_enabled and units[it].is_active) for it in UNITS):
        steps.append(Step(systemctl("enable --now", *UNITS), _as_before(units)))
    return steps


def give_back(units: Units) -> list[Step]:
    """From tuleaprt to the Node.js server."""
    node = units[NODE]
    steps = _prepared(units, (NODE,))
    # The socket starts the service at the next post, so it is stopped with the service.
    names = [it for it in reversed(UNITS) if units[it].is_enabled or units[it].is_active]
    if names:
        steps.append(Step(systemctl("disable --now", *names), _as_before(units)))
    if node.is_masked:
        steps.append(Step(systemctl("unmask", NODE), (systemctl("mask", NODE),)))
    if not node.is_active:
        steps.append(Step(systemctl("start", NODE), (systemctl("stop", NODE),)))
    return steps


def _prepared(units: Units, starting: Iterable[str]) -> list[Step]:
    steps = []
    if any(it.needs_reload for it in units.values()):
        steps.append(Step(systemctl("daemon-reload")))
    # A unit that has failed too often is not started again until its counter is reset.
    if failed := [it for it in starting if units[it].has_failed]:
        steps.append(Step(systemctl("reset-failed", *failed)))
    return steps


def _as_before(units: Units) -> tuple[Action, ...]:
    """What was enabled or active becomes so again, and nothing else."""
    enabled = [it for it in UNITS if units[it].is_enabled]
    disabled = [it for it in reversed(UNITS) if not units[it].is_enabled]
    active = [it for it in UNITS if units[it].is_active]
    stopped = [it for it in reversed(UNITS) if not units[it].is_active]
    # Both verbs take the other units with the service, which names them in Also=, so the service comes first.
    verbs = [("enable", enabled), ("disable", disabled)]
    if SERVICE in disabled:
        verbs.reverse()
    verbs += [("stop", stopped), ("start", active)]
    return tuple(systemctl(verb, *names) for verb, names in verbs if names)


class Program(NamedTuple):
    """The program of supervisord. ``override`` is tuleaprt's file in supervisord's folder, which replaces the
    command of the program; ``found`` is its present text, None without a file.
    """

    override: str
    found: str | None
    update: Run


def take_over_program(program: Program, text: str) -> list[Step]:
    """Supervisord compares its files with what runs, so the update alone does nothing if all is done."""
    former: Action = (
        Remove(program.override) if program.found is None else Write(program.override, program.found)
    )
    if program.found == text:
        return [Step(program.update)]
    return [Step(Write(program.override, text), (former, program.update)), Step(program.update)]


def give_back_program(program: Program) -> list[Step]:
    if program.found is None:
        return [Step(program.update)]
    undo = (Write(program.override, program.found), program.update)
    return [Step(Remove(program.override), undo), Step(program.update)]
