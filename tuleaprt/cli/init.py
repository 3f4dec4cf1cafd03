"""``tuleaprt init``: writes a configuration file for this machine.

It looks for Tuleap's key, for the port to which nginx passes Tuleap's pages, and for a free port for WAMP.
What is not found has the default. Nothing else is changed.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

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
LOOPBACK = ("localhost", "127.0.0.1")

Found = tuple[Finding, dict[tuple[str, str], Setting]]
"""What was found, and the options that follow from it."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "init",
        help="write a configuration file for this machine",
        description="Write a file with all options and their meanings. Tuleap's key, the ports and nginx are"
        " looked for on this machine. An existing file is kept. The file is checked as check-config does.",
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default=str(CONFIG), help=f"default: {CONFIG}; -: print it"
    )
    parser.add_argument(
        "--key-file", type=Path, default=KEY, metavar="FILE", help=f"Tuleap's key (default: {KEY})"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file")
    parser.set_defaults(command=init)


def init(arguments: argparse.Namespace) -> int:
    """
    Raises:
        CommandFailed: the file exists, or cannot be written.
    """
    path = None if arguments.file == STDOUT else Path(arguments.file)
    if path is not None and path.exists() and not arguments.force:
        raise CommandFailed(f"{path} exists; --force overwrites it")
    settings: dict[tuple[str, str], Setting] = {}
    for finding, options in _look(arguments.key_file):
        print(line(finding), file=sys.stderr)
        settings |= options
    names_schema = path is not None and path.with_name(SCHEMA).exists()
    text = filled(shipped(), settings, names_schema=names_schema)
    if path is None:
        print(text, end="")
        return 0
    _write(path, text, is_new=not arguments.force)
    print(f"wrote {path}")
    for finding in _check(path):
        print(line(finding), file=sys.stderr)
    return 0


def _look(key: Path) -> Iterator[Found]:
    yield _key(key)
    dump = run(("nginx", "-T"))
    site = None if dump.status else nginx.site(dump.text)
    if site is None:
        why = f"nginx -T: {last_line(dump)}" if dump.status else f"no site passes {nginx.LOCATION} on"
        yield Finding(Level.PROBLEM, "nginx", f"{why}; Tuleap's own port is {PRIVATE_PORT}"), {}
        yield _private(PRIVATE_PORT)
    else:
        yield _nginx(site)
        target = urlsplit(site.target)
        yield _private(target.port or PRIVATE_PORT if target.hostname in LOOPBACK else PRIVATE_PORT)
    yield _public()


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


def _public() -> Found:
    port = next((it for it in PUBLIC_PORTS if listening(it) is None), PUBLIC_PORTS[0])
    finding = Finding(Level.OK, "public", f"pages that speak WAMP connect to port {port}")
    if port == PUBLIC_PORTS[0]:
        return finding, {}
    reason = f"Port {PUBLIC_PORTS[0]} is taken; nginx must pass /tuleaprt/ws to this one."
    return finding, {("listen", "public"): Setting([f"tcp:{port}:interface=127.0.0.1"], reason)}


def _write(path: Path, text: str, *, is_new: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x" if is_new else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None


def _check(path: Path) -> Iterator[Finding]:
    try:
        load(path, os.environ)
    except ConfigError as error:
        yield from (Finding(Level.PROBLEM, "configuration", it) for it in error.problems)
    else:
        yield Finding(Level.OK, "configuration", "the server would start with it")
