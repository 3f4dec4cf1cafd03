"""All options with section, type and default. ``loading`` reads them.

Each option has a line in ``etc/tuleaprt.toml``. ``docs/configuration.rst`` is made from that file and
this module. An option that is not in the ``repr`` is a secret, and its value is never shown.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
SecondsOrNone = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1)]
NaturalNumber = Annotated[int, msgspec.Meta(ge=0)]
Patience = Annotated[float, msgspec.Meta(gt=0, le=30)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Texts = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
Algorithms = Annotated[tuple[Literal["HS256", "HS384", "HS512"], ...], msgspec.Meta(min_length=1)]

LogFormat = Literal["text", "json"]

EXPECTED: dict[Any, str] = {
    str: "a text",
    Text: "a text that is not empty",
    Texts: "a list of texts, at least one",
    tuple[Text, ...]: "a list of texts",
    Count: "a whole number, 1 or more",
    Seconds: "a number of seconds, more than 0 and at most 1000000000",
    SecondsOrNone: "a number of seconds, from 0 to 1000000000",
    Patience: "a number of seconds, more than 0 and at most 30",
    NaturalNumber: "a whole number, 0 or more",
    Algorithms: 'a list of "HS256", "HS384", "HS512", at least one',
    LogFormat: '"text" or "json"',
}
"""The description of each type, for errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime:
    """What the server shares with Tuleap. Lifetimes are in seconds."""

    realm: Text = "tuleap"
    key_file: Text = "/var/lib/tuleap/tuleap-realtime-key"
    old_key_seconds: SecondsOrNone = 1800
    algorithms: Algorithms = ("HS512",)
    max_token_lifetime: Seconds = 1800
    post_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Twisted endpoint strings, and the host names of the private site."""

    private: Texts = ("tcp:2999:interface=127.0.0.1",)
    private_hosts: Texts = ("localhost", "127.0.0.1", "[::1]")
    public: Texts = ("tcp:2998:interface=127.0.0.1",)
    public_tls: tuple[Text, ...] = ()
    rawsocket: tuple[Text, ...] = ()
    debug: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket:
    """Which pages may open a WebSocket, and how long each side may be silent. Times are in seconds."""

    allowed_origins: tuple[Text, ...] = ()
    ping_interval: Seconds = 25
    ping_timeout: Seconds = 20
    open_timeout: Seconds = 10
    forwarded_for: tuple[Text, ...] = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketIo:
    """Where Tuleap's own pages connect, and after how many seconds a silent page is asked to subscribe."""

    path: str = "/local-socket.io/"
    reminder: Seconds = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The certificate of ``public_tls``, in PEM files."""

    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one client, and of all together. Sizes are in bytes."""

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
    """How many publications are kept for clients that reconnect. Seconds and bytes."""

    events_per_topic: Count = 500
    seconds: Seconds = 600
    bytes: Count = 67_108_864


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Where the inputs are kept. Times are in seconds."""

    url: Text = field(default="memory:", repr=False)
    password_file: str = ""
    replicas: NaturalNumber = 0
    patience: Patience = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How long a window without a session keeps its place on an execution, in seconds."""

    grace: SecondsOrNone = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaigns:
    """How many test campaigns are remembered, and for how many seconds without an input."""

    max: Count = 1000
    idle_seconds: Seconds = 172_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """How many seconds a stop may take to close the clients."""

    drain: SecondsOrNone = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The format of log lines."""

    format: LogFormat = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, with the secrets in files that it names.

    ``key_is_fixed``: the key comes from the environment and does not change. ``sources``: the file or the
    variable of each option that has not its default, by section and option.
    """

    realtime: Realtime = Realtime()
    listen: Listen = Listen()
    websocket: WebSocket = WebSocket()
    socketio: SocketIo = SocketIo()
    limits: Limits = Limits()
    history: History = History()
    journal: Journal = Journal()
    presence: Presence = Presence()
    campaigns: Campaigns = Campaigns()
    tls: Tls = Tls()
    shutdown: Shutdown = Shutdown()
    log: Log = Log()
    key: bytes = field(repr=False)
    key_is_fixed: bool = False
    post_secret: bytes = field(default=b"", repr=False)
    journal_password: bytes = field(default=b"", repr=False)
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)


SECTIONS: dict[str, type[Any]] = {
    "realtime": Realtime,
    "listen": Listen,
    "websocket": WebSocket,
    "socketio": SocketIo,
    "limits": Limits,
    "history": History,
    "journal": Journal,
    "presence": Presence,
    "campaigns": Campaigns,
    "tls": Tls,
    "shutdown": Shutdown,
    "log": Log,
}

LIVE = frozenset(
    {
        "realtime.key_file",
        "realtime.old_key_seconds",
        "realtime.post_secret",
        "websocket.allowed_origins",
        "log.format",
        *(f"limits.{limit.name}" for limit in fields(Limits)),
    }
)
"""The options that ``SIGHUP`` changes in a running server. All others need a restart."""


def options() -> Iterator[tuple[str, Field[Any]]]:
    """Each option with its section, in the order of the file."""
    for section, cls in SECTIONS.items():
        for option in fields(cls):
            yield section, option


def hint(section: str, option: str) -> Any:
    """The type of an option with its bounds; None: there is no such option."""
    return get_type_hints(SECTIONS[section], include_extras=True).get(option)


def is_secret(section: str, option: str) -> bool:
    return any(it.name == option and not it.repr for it in fields(SECTIONS[section]))


def environment_name(section: str, option: str) -> str:
    return f"TULEAPRT_{section}__{option}".upper()


def changes(before: Config, after: Config) -> list[str]:
    """``section.option`` of each option that differs, and of each secret whose file has another content."""
    changed = [
        f"{section}.{option.name}"
        for section, option in options()
        if getattr(getattr(before, section), option.name) != getattr(getattr(after, section), option.name)
    ]
    if before.post_secret != after.post_secret and "realtime.post_secret" not in changed:
        changed.append("realtime.post_secret")
    return changed


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    head, at, rest = url.rpartition("@")
    login, colon, password = head.rpartition(":")
    return f"{login}:(set)@{rest}" if at and colon and not password.startswith("//") else url


def toml(value: Any) -> str:
    """A value as one line of TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, except for this character. Text that is not UTF-8 cannot be shown
        # unchanged.
        text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        return text.encode("utf-8", "backslashreplace").decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


def effective(config: Config) -> str:
    """The effective configuration as TOML, with the source of each value. Of secrets it says only whether
    they are set.
    """
    lines: list[str] = []
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        for name, option in options():
            if name == section:
                value = getattr(getattr(config, section), option.name)
                if (section, option.name) == ("journal", "url"):
                    value = without_password(value)
                elif is_secret(section, option.name):
                    value = "(set)" if value else "(not set)"
                source = config.sources.get((section, option.name), "default")
                lines.append(f"{option.name} = {toml(value)}  # {source}")
    where = "PRIVATE_KEY" if config.key_is_fixed else "key_file"
    return "\n".join([f"# The key: {'(set)' if config.key else '(not set)'}, of {where}.", *lines, ""])
