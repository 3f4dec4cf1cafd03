"""``tuleaprt takeover``: swaps Tuleap's Node.js server for tuleaprt, and back (``docs/deploy.rst``)."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from tuleaprt.errors import CommandFailed
from tuleaprt.takeover import machine
from tuleaprt.takeover.checks import Facts, Finding, checks, is_possible
from tuleaprt.takeover.commands import last_line, run
from tuleaprt.takeover.managers import manager
from tuleaprt.takeover.plan import Step
from tuleaprt.takeover.swap import swap

PORT = 2999
CONFIG = Path("/etc/tuleaprt/tuleaprt.toml")
TWISTD = "/opt/tuleaprt/bin/twistd"
PATIENCE_SECONDS = 15


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "takeover",
        help="swap Tuleap's real-time server for tuleaprt, or back",
        description="Check the machine, stop and mask Tuleap's Node.js server, start tuleaprt, and prove that"
        " a post reaches a page through nginx. If that fails, everything is put back. A second run"
        " changes nothing. It needs root.",
    )
    parser.add_argument("--back", action="store_true", help="from tuleaprt to the Node.js server")
    parser.add_argument(
        "--dry-run", action="store_true", help="check, say what would be done, and do nothing"
    )
    parser.add_argument("--no-proof", action="store_true", help="without the post and the page")
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help=f"the server's file (default: {CONFIG})"
    )
    parser.add_argument(
        "--twistd", default=TWISTD, metavar="FILE", help=f"the service's program (default: {TWISTD})"
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"of Tuleap's posts, fixed in Tuleap's code (default: {PORT})"
    )
    parser.add_argument(
        "--supervisord",
        type=Path,
        metavar="FILE",
        help="the file of the supervisord that starts the services (default: found, if systemd does not run)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long the server may take until a post reaches a page (default: {PATIENCE_SECONDS})",
    )
    parser.set_defaults(command=takeover)


def takeover(arguments: argparse.Namespace) -> int:
    services = manager(supervisor_text(arguments.twistd, arguments.config), arguments.supervisord)
    facts = machine.read(services, arguments.config, arguments.twistd, arguments.port, is_back=arguments.back)
    findings = checks(facts, is_back=arguments.back, is_proved=not arguments.no_proof)
    for finding in findings:
        _say(line(finding))
    if not is_possible(findings):
        # With a problem, a dry run has no steps to show: some of them could not be known.
        raise CommandFailed("there is a problem; nothing was changed")
    steps = services.steps(is_back=arguments.back)
    if arguments.dry_run:
        _show(steps)
        return 0

    def prove() -> None:
        if not arguments.no_proof:
            _prove(facts, arguments)

    swap(steps, prove, _say, patience=arguments.patience)
    name = "the Node.js server" if arguments.back else "tuleaprt"
    proof = "" if arguments.no_proof else ", and a post reaches a page through nginx"
    _say(f"{name} serves{proof}" if steps else f"{name} served already{proof}")
    return 0


def _show(steps: list[Step]) -> None:
    for step in steps:
        _say(f"would do: {step.action}")
    if not steps:
        _say("nothing is to be done")


def line(finding: Finding) -> str:
    """What a person reads of a finding."""
    return f"{finding.level.value:<8} {finding.about}: {finding.text}"


def _prove(facts: Facts, arguments: argparse.Namespace) -> None:
    """In a process of its own, because Twisted's reactor runs once in a process.

    Raises:
        CommandFailed: a post does not reach a page.
    """
    url, address = machine.address_of(facts)
    # Python's isolated mode: a folder in which root happens to be adds no modules.
    command = [sys.executable, "-I", "-m", "tuleaprt", "check-delivery", url, "--address", address]
    command += ["--private-url", f"http://127.0.0.1:{arguments.port}"]
    if facts.config is not None:
        # The way back is open with a configuration that cannot be read: the key is where Tuleap has it.
        command += ["--config", str(arguments.config)]
    done = run(command)
    if done.status:
        raise CommandFailed(last_line(done).removeprefix("tuleaprt: "))


def _say(line: str) -> None:
    """A terminal that is gone does not stop a swap."""
    with suppress(OSError):
        print(line, flush=True)


def supervisor_text(twistd: str, config: Path) -> str:
    """tuleaprt's file for supervisord. It replaces the command of Tuleap's program (contract 8).

    The key is copied by root, as ``tuleaprt.service`` does, because the server's user cannot read it.
    """
    copy = (
        "install -D -T -m 0400 -o tuleaprt -g tuleaprt /var/lib/tuleap/tuleap-realtime-key /run/tuleaprt/key"
    )
    as_user = "setpriv --reuid=tuleaprt --regid=tuleaprt --init-groups --no-new-privs --"
    return f"""\
; Written by tuleaprt takeover, and removed by tuleaprt takeover --back.
[program:tuleap-realtime]
command=/bin/sh -c '{copy} && exec {as_user} {twistd} --nodaemon --pidfile= tuleaprt --config {config}'
environment=TULEAPRT_REALTIME__KEY_FILE="/run/tuleaprt/key"
stopwaitsecs=20
"""
