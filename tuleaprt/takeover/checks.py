"""What is in the way of a swap, as far as that shows before anything is changed.

The facts come from ``machine``. Each check gives one finding; a problem says what to do.
"""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from tuleaprt.configuration.options import Config
from tuleaprt.takeover.nginx import LOCATION, Site

PAGES = f"{LOCATION}/"
ALGORITHM = "HS512"


class Level(Enum):
    OK = "ok"
    PROBLEM = "PROBLEM"


class Finding(NamedTuple):
    level: Level
    about: str
    text: str


class Holder(NamedTuple):
    """The process that listens on a port. The name is "unknown" if it cannot be seen."""

    pid: int
    name: str


class Facts(NamedTuple):
    """What ``machine`` has read.

    ``config`` is None if it has ``config_problems``. ``key_text`` is the content of Tuleap's key file, None
    if it cannot be read. ``server_problem`` is why the server does not run for its user. ``private`` and
    ``public`` are the processes that listen on the ports, without those of the services themselves.
    ``nginx_problem`` is the reason for which ``nginx -T`` has no configuration.
    """

    is_root: bool
    manager_problem: str
    port: int
    config: Config | None
    config_problems: tuple[str, ...]
    key_text: bytes | None
    server: str
    server_problem: str
    private: Holder | None
    public: tuple[int, Holder] | None
    nginx_problem: str
    site: Site | None


def checks(facts: Facts, *, is_back: bool = False, is_proved: bool = True) -> list[Finding]:
    """``is_back``: without what only tuleaprt needs. The way back without a proof needs no nginx, either."""
    if is_back:
        return [*_rights(facts), *(_nginx(facts) if is_proved else ())]
    return [
        *_rights(facts),
        *_nginx(facts),
        *_key(facts),
        *_configuration(facts),
        *_server(facts),
        *_ports(facts),
    ]


def is_possible(findings: list[Finding]) -> bool:
    return all(it.level is not Level.PROBLEM for it in findings)


def _rights(facts: Facts) -> Iterator[Finding]:
    if not facts.is_root:
        yield Finding(Level.PROBLEM, "user", "only root can swap services")
    if facts.manager_problem:
        yield Finding(Level.PROBLEM, "services", facts.manager_problem)


def _key(facts: Facts) -> Iterator[Finding]:
    if facts.key_text is None:
        text = "Tuleap's key cannot be read; tuleap-cfg site-deploy:realtime writes it"
        yield Finding(Level.PROBLEM, "key", text)
    elif facts.key_text.endswith(b"\n"):
        # Contract 3.1: PHP signs with the newline, and systemd and the shell strip it.
        text = "Tuleap's key ends with a newline, so Tuleap signs with another key than the server reads"
        yield Finding(Level.PROBLEM, "key", text)
    elif facts.config is not None:
        yield Finding(Level.OK, "key", f"Tuleap's key has {len(facts.config.key)} bytes")


def _configuration(facts: Facts) -> Iterator[Finding]:
    config = facts.config
    for problem in facts.config_problems:
        yield Finding(Level.PROBLEM, "configuration", problem)
    if config is None:
        return
    faults = []
    if config.post_secret:
        faults.append("[realtime] post_secret is set, and Tuleap sends none with its posts")
    if config.socketio.path != PAGES:
        faults.append(f"[socketio] path must be {PAGES}, where Tuleap's pages connect")
    if ALGORITHM not in config.realtime.algorithms:
        faults.append(f"[realtime] algorithms must have {ALGORITHM}, with which Tuleap signs")
    for fault in faults:
        yield Finding(Level.PROBLEM, "configuration", fault)
    if not faults:
        yield Finding(Level.OK, "configuration", "the server would start with it")


def _server(facts: Facts) -> Iterator[Finding]:
    if facts.server_problem:
        yield Finding(Level.PROBLEM, "Python", facts.server_problem)
    else:
        yield Finding(Level.OK, "Python", f"{facts.server} runs as user tuleaprt")


def _ports(facts: Facts) -> Iterator[Finding]:
    held = [(facts.port, facts.private)] if facts.private else []
    held += [facts.public] if facts.public else []
    for port, holder in held:
        process = f"process {holder.pid} ({holder.name})"
        yield Finding(Level.PROBLEM, "port", f"{process} listens on {port} and belongs to neither service")
    if not held:
        yield Finding(Level.OK, "ports", "only the two services use the server's ports")


def _nginx(facts: Facts) -> Iterator[Finding]:
    if facts.nginx_problem:
        yield Finding(Level.PROBLEM, "nginx", facts.nginx_problem)
    elif facts.site is None:
        text = f"no site passes {LOCATION} on; tuleap-cfg site-deploy:nginx writes Tuleap's file"
        yield Finding(Level.PROBLEM, "nginx", text)
    elif facts.site.passes_to != facts.port:
        text = f"{facts.site.url} passes {LOCATION} on to {facts.site.target}, not to port {facts.port}"
        yield Finding(Level.PROBLEM, "nginx", text)
    else:
        yield Finding(Level.OK, "nginx", f"{facts.site.url} passes {LOCATION} on to {facts.site.target}")
