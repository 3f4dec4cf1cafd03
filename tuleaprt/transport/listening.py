"""Twisted's endpoint strings: where the server listens, and which endpoints only this machine can reach."""

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
"""Open files beside clients: Tuleap's connections, logs, modules."""

BACKLOG = 1024
"""The number of connections that may wait to be accepted, unless the endpoint names another. With Twisted's
50, Linux drops some when all clients reconnect after a restart, and these try again after one, three and
seven seconds.
"""


_TITLES = {"private": "private site", "public": "public site", "public_tls": "public TLS site"}


@dataclass(frozen=True, slots=True)
class Listener:
    """One endpoint and its factory. ``is_open``: clients need no token there."""

    name: str
    endpoint: IStreamServerEndpoint
    factory: IProtocolFactory
    is_open: bool = False

    @property
    def title(self) -> str:
        """Its name in the log."""
        return _TITLES.get(self.name, self.name)


def listeners(
    reactor: Any, name: str, descriptions: Iterable[str], factory: IProtocolFactory
) -> list[Listener]:
    """
    Raises:
        ConfigError: an endpoint string is wrong.
    """
    return [Listener(name, _endpoint(reactor, name, it), factory) for it in descriptions]


def open_listeners(
    reactor: Any, name: str, descriptions: Iterable[str], factory: IProtocolFactory
) -> list[Listener]:
    """Listeners without tokens. Only this machine may reach them.

    Raises:
        ConfigError: an endpoint string is wrong, or other machines or users could reach the endpoint.
    """
    descriptions = list(descriptions)
    for description in descriptions:
        if not is_out_of_reach(description):
            raise ConfigError(
                f"[listen] {name}: {description!r}: every client there is an operator, so it must be "
                "tcp:PORT:interface=127.0.0.1, or unix:PATH:mode=0600"
            )
    return [Listener(name, _endpoint(reactor, name, it), factory, is_open=True) for it in descriptions]


def address(port: IListeningPort) -> str:
    """The address that is listened on: ``127.0.0.1:2998`` or ``unix:/run/tuleaprt.sock``."""
    host: Any = port.getHost()
    return f"{host.host}:{host.port}" if hasattr(host, "port") else f"unix:{os.fsdecode(host.name)}"


def fault_of(description: str) -> str | None:
    """Why this is not an endpoint string; None: it seems to be one.

    A socket from systemd exists only when systemd starts the server, so it is checked then.
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
        raise ConfigError(f"[listen] {name}: {description!r}: the server adds TLS itself; write tcp:")
    with_backlog = description.startswith("tcp") and "backlog=" not in description
    whole = f"{description}:backlog={BACKLOG}" if with_backlog else description
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, whole)
        return endpoint
    except Exception as error:
        # Twisted's parsers raise ValueError, KeyError and TypeError.
        raise ConfigError(f"[listen] {name}: {description!r} is not an endpoint: {error}") from None


# Endpoint strings have parts between colons. A backslash escapes a colon.
_PART = re.compile(r"(?:\\.|[^:\\])*")


def is_out_of_reach(description: str) -> bool:
    """Whether it is a literal loopback address, or a Unix socket with mode 0600. In doubt it is not."""
    kind, *rest = [it.replace("\\", "") for it in _PART.findall(description) if it] or [""]
    options = dict(it.split("=", 1) for it in rest if "=" in it)
    if kind in ("tcp", "tcp6"):
        try:
            return ip_address(options.get("interface", "")).is_loopback
        except ValueError:
            return False
    return kind == "unix" and options.get("mode") in ("600", "0600")


def file_limit_for(wanted: int) -> int:
    """Raise the limit of open files to ``wanted`` as far as possible, and return the limit."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft != RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == RLIM_INFINITY else min(wanted, hard)
        setrlimit(RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == RLIM_INFINITY else soft
