"""Reads the TOML file and the environment into a Config.

The environment overrides every option: ``TULEAPRT_LIMITS__MAX_CONNECTIONS=500``. All problems are reported
together in one ConfigError, one line each::

    /etc/tuleaprt/tuleaprt.toml: [limits] max_outbox: expected a whole number, 1 or more, given "many"

The value is shown if the option is known and not a secret. Values of the right type are checked by the
code that uses them, without effects.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tuleaprt.configuration.options import (
    EXPECTED,
    SECTIONS,
    Config,
    Journal,
    Realtime,
    hint,
    is_secret,
    toml,
)
from tuleaprt.errors import ConfigError
from tuleaprt.transport.listening import fault_of, is_out_of_reach
from tuleaprt.transport.request_headers import parse_origin
from tuleaprt.tuleap.ticket import check_key

__all__ = ["check_key", "faults"]

Fault = tuple[str, str, str, str]
"""Section, option, expected, given."""


def faults(config: Config) -> Iterator[Fault]:
    """At most one problem for each option: that of its first wrong value."""
    for option in ("private", "public", "public_tls", "rawsocket", "debug"):
        yield from _endpoints(option, getattr(config.listen, option))
    for description in config.listen.debug:
        if not is_out_of_reach(description):
            yield (
                "listen",
                "debug",
                "tcp:PORT:interface=127.0.0.1, or unix:PATH:mode=0600, because every client there is an "
                "operator",
                toml(description),
            )
    for origin in config.websocket.allowed_origins:
        if parse_origin(origin) is None:
            yield "websocket", "allowed_origins", "origins of the form https://host[:port]", toml(origin)
    if config.listen.public_tls and not config.tls.certificate:
        yield "tls", "certificate", "a PEM file, because [listen] public_tls has endpoints", "none"


def _endpoints(option: str, descriptions: Sequence[str]) -> Iterator[Fault]:
    for description in descriptions:
        if fault := fault_of(description):
            yield "listen", option, "endpoint strings of Twisted", f"{toml(description)}: {fault}"


NO_OPTIONS = ("TULEAPRT_COMPILED", "TULEAPRT_CONFIG", "TULEAPRT_DEBUG")
"""Variables of the command line and of the installation, which may be set where the server is started."""

MINIMUM_KEY_BYTES = 32
LONGEST_SHOWN = 80
A_KEY = f"Tuleap's key, of {MINIMUM_KEY_BYTES} bytes or more"

Place = tuple[str, str]
"""Section and option."""


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the file (None: defaults only), the overrides and the secrets.

    Raises:
        ConfigError: an option is unknown, missing, wrong or unreadable.
    """
    reading = _Reading(path, environment)
    sections: dict[str, Any] = {
        name: cls(**{option: value for (section, option), value in reading.values.items() if section == name})
        for name, cls in SECTIONS.items()
    }
    realtime: Realtime = sections["realtime"]
    config = Config(
        **sections,
        key=reading.key(realtime),
        key_is_fixed=bool(environment.get("PRIVATE_KEY")),
        post_secret=reading.post_secret(realtime),
        journal_password=reading.journal_password(sections["journal"]),
        sources=reading.sources,
    )
    for section, option, expected, given in faults(config):
        reading.wrong((section, option), expected, given)
    if reading.problems:
        raise ConfigError(*reading.problems)
    return config


def read_key(path: str) -> bytes:
    """The key in Tuleap's key file.

    Raises:
        ConfigError: the file has no key, or another content.
    """
    return _usable(f"{toml(path)} with ", _read(path))


def shown(value: Any) -> str:
    """A value as TOML, shortened."""
    text = toml(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


class _Reading:
    """A configuration that is being read. ``values`` are the options without problems, ``sources`` the file
    or the variable of each option that was given.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.values: dict[Place, Any] = {}
        self._environment = environment
        self.sources: dict[Place, str] = {}
        self._wrong: set[Place] = set()
        for place, (source, value) in {**self._from_file(path), **self._from_environment()}.items():
            self.sources[place] = source
            self._take(place, value)

    def wrong(self, place: Place, expected: str, given: str) -> None:
        """Note a problem, unless this option has one already."""
        if place not in self._wrong:
            self._wrong.add(place)
            self.problems.append(f"{self._where(place)}: expected {expected}, given {given}")

    def key(self, realtime: Realtime) -> bytes:
        """Tuleap's key: the text is used as it is, though it is base64 (contract 3.1)."""
        text = self._environment.get("PRIVATE_KEY", "")
        try:
            key = (
                _usable("", text.encode("utf-8", "surrogateescape")) if text else read_key(realtime.key_file)
            )
            check_key(key, realtime.algorithms)
            return key
        except ConfigError as error:
            if text:
                self.problems.append(f"PRIVATE_KEY: expected {A_KEY}, given {error}")
            else:
                self.wrong(("realtime", "key_file"), f"a file with {A_KEY}", str(error))
            return b""

    def post_secret(self, realtime: Realtime) -> bytes:
        if not realtime.post_secret.startswith("file:"):
            return realtime.post_secret.encode("utf-8", "surrogateescape")
        place = ("realtime", "post_secret")
        path = realtime.post_secret.removeprefix("file:")
        return self._secret(path, place, "file: and the path of a file with the secret")

    def journal_password(self, journal: Journal) -> bytes:
        if not journal.password_file:
            return b""
        place = ("journal", "password_file")
        return self._secret(journal.password_file, place, "a file with the password of Redis")

    def _secret(self, path: str, place: Place, expected: str) -> bytes:
        try:
            if secret := _read(path).strip():
                return secret
            reason = "an empty one"
        except ConfigError as error:
            reason = f"one that cannot be read: {error}"
        self.wrong(place, expected, reason)
        return b""

    def _take(self, place: Place, value: Any) -> None:
        section, option = place
        if (kind := hint(section, option)) is None:
            self.problems.append(f"{self._where(place)}: there is no such option")
            return
        try:
            self.values[place] = msgspec.convert(value, kind)
        except msgspec.ValidationError:
            self.wrong(place, EXPECTED[kind], "(not shown)" if is_secret(*place) else shown(value))

    def _where(self, place: Place) -> str:
        where = f"[{place[0]}] {_name(place[1])}"
        return f"{source}: {where}" if (source := self.sources.get(place)) else where

    def _from_file(self, path: Path | None) -> dict[Place, tuple[str, Any]]:
        if path is None:
            return {}
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            # The rest of the file is unknown, so no other problem can be reported.
            raise ConfigError(f"{path}: {_reason(error)}") from None
        given: dict[Place, tuple[str, Any]] = {}
        for section, table in tables.items():
            if section not in SECTIONS or not isinstance(table, dict):
                self.problems.append(f"{path}: [{_name(section)}]: there is no such section")
                continue
            given.update({(section, option): (str(path), value) for option, value in table.items()})
        return given

    def _from_environment(self) -> dict[Place, tuple[str, Any]]:
        given: dict[Place, tuple[str, Any]] = {}
        for name, text in self._environment.items():
            if name.startswith("TULEAPRT_") and name not in NO_OPTIONS:
                section, _, option = name.removeprefix("TULEAPRT_").lower().partition("__")
                if section not in SECTIONS:
                    self.problems.append(f"{_name(name)}: there is no section [{_name(section)}]")
                    continue
                given[section, option] = (_name(name), _value(section, option, text))
        return given


def _name(name: str) -> str:
    """The name, if it is as short and plain as the names of options."""
    return name if name.replace("_", "").isalnum() and len(name) < LONGEST_SHOWN else shown(name)


def _value(section: str, option: str, text: str) -> Any:
    """The text for an option of type text, and a TOML value for any other."""
    if isinstance(getattr(SECTIONS[section](), option, None), str):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _usable(what: str, key: bytes) -> bytes:
    """Strip the trailing newline of an editor, as systemd and the shell do."""
    key = key.strip().removeprefix(b"PRIVATE_KEY=")
    if len(key) < MINIMUM_KEY_BYTES:
        raise ConfigError(f"{what}a key of {len(key)} bytes")
    return key


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{toml(name)}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
