"""Where commands find the server, the key and a token. Also makes tokens (contract 3.1).

Keys and tokens are never arguments, because other users of the machine can read arguments (``ps``).
"""

import os
import re
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

import jwt

from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import Config
from tuleaprt.errors import CommandFailed, ConfigError

OPERATOR_SECONDS = 3600
"""The longest lifetime of an operator's token."""


def mint(
    config: Config,
    user_id: int,
    groups: Iterable[str] = (),
    *,
    seconds: float,
    now: float,
    is_operator: bool = False,
    rooms: Iterable[str] | None = None,
) -> str:
    """A token that is good from ``now`` (seconds since the epoch) for ``seconds``.

    Raises:
        ConfigError: the key is of another kind than Tuleap's.
    """
    data: dict[str, object] = {"user_id": user_id, "user_rights": list(groups)}
    if is_operator:
        data["role"] = "operator"
    if rooms is not None:
        data["rooms"] = list(rooms)
    claims = {"data": data, "exp": now + seconds}
    try:
        return jwt.encode(claims, config.key, algorithm=config.realtime.algorithms[0], sort_headers=False)
    except jwt.InvalidKeyError:
        raise ConfigError(
            "the key is of another kind than Tuleap's: a public key, a certificate or a JWK"
        ) from None


CONFIG = "TULEAPRT_CONFIG"
TICKET = "TICKET"

OPERATOR_ID = 1
"""The user id of the command line's sessions. Tuleap's users begin at 101."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def add_config(parser: ArgumentParser, default: str | None = None) -> None:
    parser.add_argument(
        "--config",
        default=default,
        metavar="FILE",
        help=f"the server's configuration file (default: ${CONFIG}, or the server's defaults)",
    )


def add_session(parser: ArgumentParser, default: str | None = None, *, of_several: bool = False) -> None:
    """The options of commands that open a WAMP session. ``of_several``: one with each server of a cluster."""
    add_config(parser, default)
    parser.add_argument(
        "--url",
        action="append" if of_several else "store",
        default=default,
        metavar="URL",
        help="the server's WebSocket, ws://… or wss://… (default: the first tcp endpoint of [listen] public)"
        + ("; several servers: once for each" if of_several else ""),
    )
    parser.add_argument(
        "--ticket-file",
        default=default,
        metavar="FILE",
        help=f"a file with the token to show (default: ${TICKET}, or an operator's, made with the key)",
    )


def configuration(arguments: Namespace, *, with_key: bool) -> Config:
    """The server's configuration. Without its key it can be read by users that cannot read the key.

    Raises:
        ConfigError: the configuration is wrong.
    """
    environment = dict(os.environ)
    if not with_key:
        environment["PRIVATE_KEY"] = "-" * 64
    return load(config_path(arguments.config), environment)


def config_path(given: str | None) -> Path | None:
    path = given or os.environ.get(CONFIG)
    return Path(path) if path else None


def session_settings(arguments: Namespace) -> tuple[Config, str, Callable[[], str]]:
    """The configuration, the URL of the WebSocket, and a function that returns a token for each new session.

    Raises:
        ConfigError: the configuration or the key is wrong.
        CommandFailed: there is no URL.
    """
    config, urls, ticket = settings_of_several(arguments)
    return config, urls[0], ticket


def settings_of_several(arguments: Namespace) -> tuple[Config, list[str], Callable[[], str]]:
    """The same with the URLs of all servers."""
    is_given = bool(arguments.ticket_file or os.environ.get(TICKET))
    config = configuration(arguments, with_key=not is_given)
    given = arguments.url or f"ws://{_address('public', config.listen.public, '--url')}/ws"
    urls = [given] if isinstance(given, str) else given
    if arguments.ticket_file:
        return config, urls, lambda: read_secret(arguments.ticket_file)
    if is_given:
        return config, urls, lambda: os.environ[TICKET].strip()
    return config, urls, lambda: operator_ticket(config)


def operator_ticket(config: Config) -> str:
    """A token for the command line. It lives no longer than the server counts, so that its age is known
    after a revocation.
    """
    seconds = min(OPERATOR_SECONDS, config.realtime.max_token_lifetime)
    return mint(config, OPERATOR_ID, seconds=seconds, is_operator=True, now=time.time())


def private_url(given: str | None, config: Config, option: str) -> str:
    """
    Raises:
        CommandFailed: there is no URL.
    """
    return given or f"http://{_address('private', config.listen.private, option)}"


def read_secret(name: str) -> str:
    """
    Raises:
        CommandFailed: the file cannot be read, or has no text that can be sent.
    """
    try:
        secret = Path(name).read_text(encoding="ascii").strip()
    except OSError as error:
        raise CommandFailed(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        secret = ""
    if not secret or not secret.isprintable():
        raise CommandFailed(f"{name}: it contains no token or secret")
    return secret


def _address(name: str, endpoints: Iterable[str], option: str) -> str:
    """Host and port of the first endpoint string that has both."""
    for endpoint in endpoints:
        kind, *parts = [re.sub(r"\\(.)", r"\1", it) for it in re.split(r"(?<!\\):", endpoint)]
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        port = named.get("port") or (parts[0] if parts else "")
        if kind in ("tcp", "tcp4", "tcp6") and port.isdecimal() and int(port):
            host = named.get("interface", "::" if kind == "tcp6" else "")
            host = _EVERYWHERE.get(host, host)
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    raise CommandFailed(
        f"[listen] {name} has no tcp endpoint with a port; say with {option} where the server is"
    )
