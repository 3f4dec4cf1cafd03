"""TOML file + environment → frozen Config.

Each option has its section, type and default here, and its line in ``etc/tuleaprt.toml``. Every option may
be overridden by the environment: ``TULEAPRT_LIMITS__MAX_CONNECTIONS=500``. Whatever is unknown or of a
wrong type is reported in one ConfigError, one line each, without the value (it may be a secret).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from tuleaprt.errors import ConfigError

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
SecondsOrNone = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Texts = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
Algorithms = Annotated[tuple[Literal["HS256", "HS384", "HS512"], ...], msgspec.Meta(min_length=1)]

MINIMUM_KEY_BYTES = 32

NO_OPTIONS = ("TULEAPRT_CONFIG", "TULEAPRT_DEBUG")
"""What the command line reads from the environment; somebody may have it set where he starts the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime:
    """What is shared with Tuleap. Lifetimes in seconds."""

    realm: Text = "tuleap"
    key_file: Text = "/var/lib/tuleap/tuleap-realtime-key"
    old_key_seconds: SecondsOrNone = 1800
    algorithms: Algorithms = ("HS512",)
    max_token_lifetime: Seconds = 1800
    post_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Twisted endpoint strings, and the names that the private site answers to."""

    private: Texts = ("tcp:2999:interface=127.0.0.1",)
    private_hosts: Texts = ("localhost", "127.0.0.1", "[::1]")
    public: Texts = ("tcp:2998:interface=127.0.0.1",)
    public_tls: tuple[Text, ...] = ()
    rawsocket: tuple[Text, ...] = ()
    debug: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket:
    """Who may open one, and how long each side may be silent. Times in seconds."""

    allowed_origins: tuple[Text, ...] = ()
    ping_interval: Seconds = 25
    ping_timeout: Seconds = 20
    open_timeout: Seconds = 10
    forwarded_for: tuple[Text, ...] = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What ``public_tls`` is served with: PEM files."""

    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one peer, or all of them, may take. Sizes in bytes."""

    max_connections: Count = 20_000
    max_unauthenticated: Count = 2000
    max_sessions_per_user: Count = 100
    max_subscriptions_per_session: Count = 200
    requests_per_second: Count = 50
    max_message_size: Count = 262_144
    max_outbox: Count = 1_048_576
    max_outboxes: Count = 268_435_456
    max_post_size: Count = 8_388_608


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How much of what was published is kept for those who come back. Seconds and bytes."""

    events_per_topic: Count = 500
    seconds: Seconds = 600
    bytes: Count = 67_108_864


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How long a window that is not connected keeps its place on a test, in seconds."""

    grace: SecondsOrNone = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """How many test campaigns are remembered, and for how many seconds without news."""

    max: Count = 1000
    idle_seconds: Seconds = 172_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """How many seconds a stop may take to send clients away."""

    drain: SecondsOrNone = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """How a line looks."""

    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, and the two secrets that it leads to."""

    realtime: Realtime = Realtime()
    listen: Listen = Listen()
    websocket: WebSocket = WebSocket()
    limits: Limits = Limits()
    history: History = History()
    presence: Presence = Presence()
    campaigns: Campaigns = Campaigns()
    tls: Tls = Tls()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()
    key: bytes = field(repr=False)
    post_secret: bytes = field(default=b"", repr=False)


SECTIONS: dict[str, type[Any]] = {
    "realtime": Realtime,
    "listen": Listen,
    "websocket": WebSocket,
    "limits": Limits,
    "history": History,
    "presence": Presence,
    "campaigns": Campaigns,
    "tls": Tls,
    "shutdown": Shutdown,
    "log": Log,
}


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the file (None: defaults only), the overrides and the key.

    Raises:
        ConfigError: anything unknown, missing, of a wrong type or unreadable.
    """
    problems: list[str] = []
    given = {**_from_file(path, problems), **_from_environment(environment, problems)}
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for (section, option), (source, value) in given.items():
        if (hint := _hint(section, option)) is None:
            problems.append(f"{source}: [{section}] {option}: there is no such option")
            continue
        try:
            values[section][option] = msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            problems.append(f"{source}: [{section}] {option}: {error}")
    if problems:
        raise ConfigError(*problems)
    realtime = Realtime(**values["realtime"])
    return Config(
        realtime=realtime,
        listen=Listen(**values["listen"]),
        websocket=WebSocket(**values["websocket"]),
        limits=Limits(**values["limits"]),
        history=History(**values["history"]),
        presence=Presence(**values["presence"]),
        campaigns=Campaigns(**values["campaigns"]),
        tls=Tls(**values["tls"]),
        shutdown=Shutdown(**values["shutdown"]),
        log=Log(**values["log"]),
        key=_key(realtime, environment),
        post_secret=_post_secret(realtime),
    )


Given = dict[tuple[str, str], tuple[str, Any]]


def _from_file(path: Path | None, problems: list[str]) -> Given:
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {_reason(error)}") from None
    given: Given = {}
    for section, table in tables.items():
        if section not in SECTIONS or not isinstance(table, dict):
            problems.append(f"{path}: [{section}]: there is no such section")
            continue
        given.update({(section, option): (str(path), value) for option, value in table.items()})
    return given


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> Given:
    given: Given = {}
    for name, text in environment.items():
        if name.startswith("TULEAPRT_") and name not in NO_OPTIONS:
            section, _, option = name.removeprefix("TULEAPRT_").lower().partition("__")
            if section not in SECTIONS:
                problems.append(f"{name}: there is no section [{section}]")
                continue
            given[section, option] = (name, _value(section, option, text))
    return given


def _value(section: str, option: str, text: str) -> Any:
    """The text itself for an option that is a text, else what TOML makes of it."""
    if isinstance(getattr(SECTIONS[section](), option, None), str):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _hint(section: str, option: str) -> Any:
    return get_type_hints(SECTIONS[section], include_extras=True).get(option)


def _key(realtime: Realtime, environment: Mapping[str, str]) -> bytes:
    """Tuleap's key: base64 text that is used as it is (contract 3.1).

    systemd and the shell strip the newline that somebody's editor leaves at the end; so does this.
    """
    if text := environment.get("PRIVATE_KEY", ""):
        source = "PRIVATE_KEY"
        key = text.encode("utf-8", "surrogateescape")
    else:
        source = f"[realtime] key_file: {realtime.key_file}"
        key = _read(source, realtime.key_file)
    key = key.strip().removeprefix(b"PRIVATE_KEY=")
    if len(key) < MINIMUM_KEY_BYTES:
        raise ConfigError(
            f"{source}: the key must have {MINIMUM_KEY_BYTES} bytes or more, this has {len(key)}"
        )
    return key


def _post_secret(realtime: Realtime) -> bytes:
    if not realtime.post_secret.startswith("file:"):
        return realtime.post_secret.encode()
    source = "[realtime] post_secret"
    if secret := _read(source, realtime.post_secret.removeprefix("file:")).strip():
        return secret
    raise ConfigError(f"{source}: the file is empty")


def _read(source: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(f"{source}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
