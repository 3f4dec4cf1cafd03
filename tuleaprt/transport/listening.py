"""Where the server listens: Twisted's endpoint strings, and which of them may be open to all who come."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint

from tuleaprt.errors import ConfigError

OTHER_FILES = 100
"""What a process has open beside its clients: Tuleap's connections, logs, modules."""

BACKLOG = 1024
"""How many may wait to be accepted, unless an endpoint says so itself. With Twisted's 50, when all come back
after a restart, Linux drops some, who try again after one, three and seven seconds."""


_TITLES = {"private": "private site", "public": "public site", "public_tls": "public TLS site"}


@dataclass(frozen=True, slots=True)
class Listener:
    """One endpoint and what is served there. ``is_open`` says that nobody is asked who he is."""

    name: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory
    is_open: bool = False

    @property
    def title(self) -> str:
        """What the log calls it."""
        return _TITLES.get(self.name, self.name)


def listeners(
    reactor: Any, name: str, descriptions: Iterable[str], factory: IProtocolFactory
) -> list[Listener]:
    """
    Raises:
        ConfigError: an endpoint cannot be understood.
    """
    return [Listener(name, _endpoint(reactor, name, it), factory) for it in descriptions]


def open_listeners(
    reactor: Any, name: str, descriptions: Iterable[str], factory: IProtocolFactory
) -> list[Listener]:
    """Listeners that only this machine's administrators can reach.

    Raises:
        ConfigError: an endpoint cannot be understood, or others could reach it.
    """
    descriptions = list(descriptions)
    for description in descriptions:
        if not is_out_of_reach(description):
            raise ConfigError(
                f"[listen] {name}: {description!r}: whoever connects there is an operator, so it must be "
                "tcp:PORT:interface=127.0.0.1, or unix:PATH:mode=0600"
            )
    return [Listener(name, _endpoint(reactor, name, it), factory, is_open=True) for it in descriptions]


def address(port: IListeningPort) -> str:
    """Where it really listens: ``127.0.0.1:2998`` or ``unix:/run/tuleaprt.sock``."""
    host: Any = port.getHost()
    return f"{host.host}:{host.port}" if hasattr(host, "port") else f"unix:{os.fsdecode(host.name)}"


def fault_of(description: str) -> str | None:
    """Why this is no endpoint string; None: it seems to be one.

    What systemd has opened is there only when systemd starts the server, so that is found out then.
    """
    if description.startswith("systemd:"):
        return None
    try:
        serverFromString(None, description)
    except Exception as error:
        return str(error) or type(error).__name__
    return None


def _endpoint(reactor: Any, name: str, description: str) -> IStreamServerEndpoint:
    if name == "public_tls" and description.startswith("ssl"):
        raise ConfigError(f"[listen] {name}: {description!r}: TLS is there already; name it tcp:")
    with_backlog = description.startswith("tcp") and "backlog=" not in description
    whole = f"{description}:backlog={BACKLOG}" if with_backlog else description
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, whole)
        return endpoint
    except Exception as error:
        # Twisted's parsers raise whatever comes: ValueError, KeyError, TypeError.
        raise ConfigError(f"[listen] {name}: {description!r} is no endpoint: {error}") from None


# Twisted's endpoint strings: parts between colons, where a backslash takes its meaning from a colon.
_PART = re.compile(r"(?:\\.|[^:\\])*")


def is_out_of_reach(description: str) -> bool:
    """Whether it is a literal loopback address, or a Unix socket of mode 0600. What is not plain is not."""
    kind, *rest = [it.replace("\\", "") for it in _PART.findall(description) if it] or [""]
    options = dict(it.split("=", 1) for it in rest if "=" in it)
    if kind in ("tcp", "tcp6"):
        try:
            return ip_address(options.get("interface", "")).is_loopback
        except ValueError:
            return False
    return kind == "unix" and options.get("mode") in ("600", "0600")


def file_limit_for(wanted: int) -> int:
    """How many files this process may have open, after it was raised as far as may be to fit so many."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft != RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == RLIM_INFINITY else min(wanted, hard)
        setrlimit(RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == RLIM_INFINITY else soft
