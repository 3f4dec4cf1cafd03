"""``tuleaprt init``: writes a configuration file for this machine.

It looks for Tuleap's key, for the port to which nginx passes Tuleap's pages, and for a free port for WAMP.
What is not found has the default. Nothing else is changed.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tuleaprt.cli.takeover import CONFIG, line
from tuleaprt.configuration.loading import load
from tuleaprt.configuration.template import Setting, filled, shipped
from tuleaprt.errors import CommandFailed, ConfigError
from tuleaprt.takeover import nginx
from tuleaprt.takeover.checks import Finding, Level
from tuleaprt.takeover.commands import last_line, run
from tuleaprt.takeover.machine import KEY, listening

SCHEMA = "tuleaprt.schema.json"
STDOUT = "-"
PRIVATE_PORT = 2999
PUBLIC_PORTS = range(2998, 2979, -1)
"""The default, and others if it is taken."""
OWN = ("twistd", "systemd")
"""The processes that listen for a server that is installed already."""

Found = tuple[Finding, dict[tuple[str, str], Setting]]
"""What was found, and the options that follow from it."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "init",
        help="write a configuration file for this machine",
        description="Write a file with all options and their meanings. The command looks for Tuleap's key,"
        " the ports and nginx on this machine. An existing file is kept.",
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default=str(CONFIG), help=f"default: {CONFIG}; -: print it"
    )
    parser.add_argument(
        "--key-file", type=Path, default=KEY, metavar="FILE", help=f"Tuleap's key (default: {KEY})"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the file; the former one becomes FILE.bak"
    )
    parser.set_defaults(command=init)


def init(arguments: argparse.Namespace) -> int:
    """
    Raises:
        CommandFailed: the file exists, or cannot be written.
    """
    path = None if arguments.file == STDOUT else Path(arguments.file)
    if path is not None and not path.name:
        raise CommandFailed(f"{arguments.file!r} is not the name of a file")
    if path is not None and os.path.lexists(path) and not arguments.force:
        raise CommandFailed(f"{path} exists; --force replaces it")
    settings: dict[tuple[str, str], Setting] = {}
    for finding, options in _look(arguments.key_file.absolute()):
        print(line(finding), file=sys.stderr)
        settings |= options
    names_schema = path is not None and os.path.lexists(path.with_name(SCHEMA))
    text = filled(shipped(), settings, names_schema=names_schema)
    if path is None:
        print(text, end="")
        return 0
    _write(path, text)
    print(f"wrote {path}")
    for finding in _check(path):
        print(line(finding), file=sys.stderr)
    return 0


def _look(key: Path) -> Iterator[Found]:
    yield _key(key)
    dump = run(("nginx", "-T"))
    site = None if dump.status else nginx.site(dump.text)
    private = PRIVATE_PORT
    if site is None:
        why = f"nginx -T: {last_line(dump)}" if dump.status else f"no site passes {nginx.LOCATION} on"
        yield Finding(Level.PROBLEM, "nginx", f"{why}; Tuleap's own port is {PRIVATE_PORT}"), {}
    elif site.passes_to is not None:
        private = site.passes_to
        yield _nginx(site)
    else:
        text = f"{site.url} passes {nginx.LOCATION} on to {site.target}, and not to http://127.0.0.1:PORT"
        yield Finding(Level.PROBLEM, "nginx", text), {}
    yield _private(private)
    yield _public(private)


def _key(path: Path) -> Found:
    setting = {} if path == KEY else {("realtime", "key_file"): Setting(str(path), "Tuleap's key is here.")}
    try:
        with path.open("rb"):
            return Finding(Level.OK, "key", f"{path}"), setting
    except FileNotFoundError:
        text = f"there is no {path}; tuleap-cfg site-deploy:realtime writes it"
    except OSError as error:
        text = f"{path}: {error.strerror}; tuleaprt.service reads it as root"
    return Finding(Level.PROBLEM, "key", text), setting


def _nginx(site: nginx.Site) -> Found:
    finding = Finding(Level.OK, "nginx", f"{site.url} passes {nginx.LOCATION} on to {site.target}")
    if site.port in (80, nginx.HTTPS):
        return finding, {}
    # nginx passes on the host without the port (contract 8), so it differs from the origin of the pages.
    reason = f"Pages are at {site.url}, and nginx passes their host on without the port."
    return finding, {("websocket", "allowed_origins"): Setting([site.url], reason)}


def _private(port: int) -> Found:
    holder = listening(port)
    now = f"; process {holder.pid} ({holder.name}) listens there now" if holder else ""
    finding = Finding(Level.OK, "private", f"Tuleap's posts and pages come to port {port}{now}")
    if port == PRIVATE_PORT:
        return finding, {}
    value = [f"tcp:{port}:interface=127.0.0.1"]
    return finding, {("listen", "private"): Setting(value, f"nginx passes Tuleap's pages to port {port}.")}


def _public(private: int) -> Found:
    port = next((it for it in PUBLIC_PORTS if it != private and _is_free(it)), PUBLIC_PORTS[0])
    if port == PUBLIC_PORTS[0]:
        return Finding(Level.OK, "public", f"pages that speak WAMP connect to port {port}"), {}
    reason = f"Port {PUBLIC_PORTS[0]} is taken: write {port} instead of it in nginx's file tuleaprt.conf."
    setting = Setting([f"tcp:{port}:interface=127.0.0.1"], reason)
    return Finding(Level.PROBLEM, "public", reason), {("listen", "public"): setting}


def _is_free(port: int) -> bool:
    holder = listening(port)
    return holder is None or holder.name in OWN


def _write(path: Path, text: str) -> None:
    """A former file becomes FILE.bak. Its owner and mode stay."""
    new, former = path.with_name(f"{path.name}.new"), path.with_name(f"{path.name}.bak")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("x", encoding="utf-8") as file:
            file.write(text)
        if path.exists():
            known = path.stat()
            new.chmod(known.st_mode)
            os.chown(new, known.st_uid, known.st_gid)
            path.replace(former)
        new.replace(path)
    except OSError as error:
        raise CommandFailed(f"{error.filename or path}: {error.strerror}") from None


def _check(path: Path) -> Iterator[Finding]:
    try:
        load(path, os.environ)
    except ConfigError as error:
        yield from (Finding(Level.PROBLEM, "configuration", it) for it in error.problems)
    else:
        yield Finding(Level.OK, "configuration", "the file is valid")
