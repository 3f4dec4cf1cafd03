"""Reads what ``checks`` needs to know of this machine. Nothing is changed."""

import os
import re
from pathlib import Path

from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import Config
from tuleaprt.errors import CommandFailed, ConfigError
from tuleaprt.takeover import nginx
from tuleaprt.takeover.checks import Facts, Holder
from tuleaprt.takeover.commands import last_line, run
from tuleaprt.takeover.managers import Manager

KEY = Path("/var/lib/tuleap/tuleap-realtime-key")
USER = "tuleaprt"
PORT = re.compile(r"tcp[46]?:(?:port=)?([0-9]+)(?::|\Z)")
_LISTEN = "0A"
"""The state of a socket in ``/proc/net/tcp`` (Linux, ``include/net/tcp_states.h``)."""


def read(manager: Manager, config: Path, twistd: str, port: int, *, is_back: bool) -> Facts:
    """``config`` is the server's file, ``twistd`` the program that the service runs, ``port`` that of
    Tuleap's posts.
    """
    loaded, problems = _configuration(config)
    dump = run(("nginx", "-T"))
    text = "" if dump.status else dump.text
    problem = manager.problem(is_back=is_back)
    node_runs, server_runs = (False, False) if problem else manager.running()
    public = _public_port(loaded)
    return Facts(
        is_root=run(("id", "-u")).text.strip() == "0",
        manager_problem=problem,
        port=port,
        config=loaded,
        config_problems=problems,
        key_text=_content(KEY if loaded is None else Path(loaded.realtime.key_file)),
        server=twistd,
        server_problem=_server_problem(twistd),
        private=None if node_runs or server_runs else listening(port),
        public=None if server_runs or public is None or not (it := listening(public)) else (public, it),
        nginx_problem=f"nginx -T: {last_line(dump)}" if dump.status else "",
        site=nginx.site(text),
    )


def _configuration(path: Path) -> tuple[Config | None, tuple[str, ...]]:
    try:
        return load(path, os.environ), ()
    except ConfigError as error:
        return None, error.problems


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _server_problem(twistd: str) -> str:
    """Runs the server's program as the user of the service, which also shows files that it cannot read."""
    if run(("id", "-u", USER)).status:
        return f"there is no user {USER}: useradd --system --user-group --no-create-home {USER}"
    as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--")
    done = run((*as_user, twistd, "tuleaprt", "--help"))
    return f"{twistd} does not run as user {USER}: {last_line(done)}" if done.status else ""


def _public_port(config: Config | None) -> int | None:
    for description in config.listen.public if config else ():
        if match := PORT.match(description):
            return int(match[1])
    return None


def listening(port: int) -> Holder | None:
    """The process that listens on a TCP port of this machine, on any address."""
    sockets = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            # sl local_address rem_address st … inode, in which the port is hexadecimal (proc(5)).
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{fields[9]}]")
    return _holder(sockets) if sockets else None


def _holder(sockets: set[str]) -> Holder:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(it) in sockets for it in (folder / "fd").iterdir()):
                return Holder(int(folder.name), (folder / "comm").read_text().strip())
        except OSError:
            # The process has ended, or belongs to another user.
            continue
    return Holder(0, "unknown")


def address_of(facts: Facts) -> tuple[str, str]:
    """Tuleap's URL, and the address of nginx.

    Raises:
        CommandFailed: nginx has no site for Tuleap's pages.
    """
    if facts.site is None:
        raise CommandFailed("nginx has no site for Tuleap's pages")
    return facts.site.url, facts.site.address
