"""Reads the configuration again at ``SIGHUP``, and the key file when it has changed.

If the configuration has a problem, the problem is logged and nothing changes. Otherwise each option that
can change at runtime is passed to its users, and the log names changed options that need a restart.

Tuleap overwrites the key file at each deployment of a site. The server checks the file every few seconds.
A file that is still being written is read when it has stayed the same for a moment. A file without a good
key leaves the present key in use, is logged once, and is tried again. ``SIGHUP`` takes effect in the
reactor's next turn.
"""

import os
import signal
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger, LogLevel

from tuleaprt.configuration.loading import read_key
from tuleaprt.configuration.options import Config, changes
from tuleaprt.errors import ConfigError

NOTHING = "no option has changed that can change at runtime"


class Live:
    """The users of options that can change at runtime. Options are named ``section.option``."""

    def __init__(self) -> None:
        self._followers: dict[str, list[Callable[[Any], None]]] = {}

    @property
    def options(self) -> frozenset[str]:
        return frozenset(self._followers)

    def follow(self, option: str, apply: Callable[[Any], None]) -> None:
        """Call ``apply`` with the option's value whenever it changes."""
        self._followers.setdefault(option, []).append(apply)

    def keep(self, option: str, owner: object, attribute: str) -> None:
        """Keep this attribute of ``owner`` equal to the option."""
        if not hasattr(owner, attribute):
            raise AttributeError(f"{owner!r} has no {attribute}")
        self.follow(option, partial(setattr, owner, attribute))

    def apply(self, config: Config, changed: list[str]) -> list[str]:
        """Pass changed options to their users. Returns the options that have users."""
        followed = [option for option in changed if option in self._followers]
        for option in followed:
            for apply in self._followers[option]:
                apply(value_of(config, option))
        return followed


def value_of(config: Config, option: str) -> Any:
    """The option's value; for an option that names a secret's file, the secret."""
    if option == "realtime.post_secret":
        return config.post_secret
    section, _, name = option.partition(".")
    return getattr(getattr(config, section), name)


class Reload:
    """Holds the effective configuration, and replaces it when the process receives ``SIGHUP``.

    ``read`` reads the configuration again, or raises ConfigError. ``take_key`` receives the key that was
    read then. ``began`` and ``ended`` are called before and after, for systemd.
    """

    log = Logger()

    def __init__(
        self,
        config: Config,
        live: Live,
        *,
        reactor: IReactorFromThreads,
        read: Callable[[], Config],
        take_key: Callable[[bytes], None],
        began: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._first = self._last = config
        self.live = live
        self._reactor = reactor
        self._read = read
        self._take_key = take_key
        self._began = began
        self._ended = ended
        self._before: Any = None
        self._is_installed = False

    def start(self) -> None:
        # Python allows signal handlers in the main thread only.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGHUP, self._hung_up)
            self._is_installed = True

    def stop(self) -> None:
        if self._is_installed:
            self._is_installed = False
            signal.signal(signal.SIGHUP, self._before or signal.SIG_DFL)

    def reload(self) -> None:
        """Read the configuration, and apply what can change at runtime."""
        self._began()
        try:
            self._reload()
        finally:
            self._ended()

    def _reload(self) -> None:
        try:
            config = self._read()
        except ConfigError as error:
            for problem in error.problems:
                self.log.emit(LogLevel.warn, "{problem}", problem=problem)
            self.log.emit(LogLevel.warn, "not reloaded: nothing has changed")
            return
        live = self.live.apply(config, changes(self._last, config))
        self._last = config
        self.log.info("reloaded: {options}", options=", ".join(live) or NOTHING)
        for option in changes(self._first, config):
            if option not in self.live.options:
                self.log.emit(LogLevel.warn, "{option} has changed, which needs a restart", option=option)
        if config.key_is_fixed:
            self.log.info("the key is that of PRIVATE_KEY, which needs a restart to change")
        else:
            self._take_key(config.key)

    def _hung_up(self, signum: int, frame: FrameType | None) -> None:
        # The current call of the reactor is finished first.
        self._reactor.callFromThread(self.reload)


LOOK_SECONDS = 2
SETTLE_SECONDS = 0.2
"""How long after a change the file is checked again."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO

State = tuple[int, ...] | None
"""The state of the file by stat(2); None: there is no file."""

UNKNOWN: State = ()


class KeyFile:
    """Watches the key file. ``change`` is called with a key, the time, and the seconds for which the former
    key stays good. It returns whether the key is different, or raises ConfigError.

    ``credentials`` is systemd's credentials folder, in which the modes of files are not checked.
    """

    log = Logger()

    def __init__(
        self,
        path: str,
        *,
        old_key_seconds: float,
        clock: IReactorTime,
        change: Callable[[bytes, float, float], bool],
        credentials: str | None = None,
    ) -> None:
        self.old_key_seconds = old_key_seconds
        self._path = path
        self._clock = clock
        self._change = change
        self._credentials = credentials
        self._read_at = self._seen = UNKNOWN
        self._problem = ""
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        # The first check reads the file again: it may have changed since the configuration was loaded.
        self._warn_if_open()
        self._look_again_in(LOOK_SECONDS)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def follow(self, path: str) -> None:
        """Watch this file from now on."""
        self._path = path
        self._read_at = self._seen = UNKNOWN

    def take(self, key: bytes) -> None:
        """Use this key, which has just been read from the file. The next check reads the file again if it
        has changed since.
        """
        self._read_at = self._seen = UNKNOWN
        self._use(key)

    def _use(self, key: bytes) -> None:
        is_another = self._change(key, self._clock.seconds(), self.old_key_seconds)
        self._problem = ""
        if is_another:
            self.log.info(
                "the key has changed: {path}; the one before stays good for {seconds:g} s",
                path=self._path,
                seconds=self.old_key_seconds,
            )
            self._warn_if_open()

    def _look(self) -> None:
        state = self._state()
        is_settled, self._seen = state == self._seen, state
        is_new = state != self._read_at or bool(self._problem)
        self._look_again_in(SETTLE_SECONDS if is_new and not is_settled else LOOK_SECONDS)
        if is_new and is_settled:
            self._read_at = state
            self._read()

    def _read(self) -> None:
        try:
            self._use(read_key(self._path))
        except ConfigError as error:
            if str(error) != self._problem:
                self.log.emit(
                    LogLevel.warn, "the key stays as it is, because there is {problem}", problem=str(error)
                )
            self._problem = str(error)

    def _look_again_in(self, seconds: float) -> None:
        self._next = self._clock.callLater(seconds, self._look)

    def _state(self) -> State:
        try:
            it = os.stat(self._path)
        except OSError:
            return None
        return it.st_mtime_ns, it.st_ctime_ns, it.st_size, it.st_ino, it.st_mode

    def _warn_if_open(self) -> None:
        try:
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
        except OSError:
            return
        if mode & OTHERS and not self._is_a_credential():
            self.log.emit(
                LogLevel.warn,
                "other users can read the key: {path} has mode {mode:04o}, and with it they can make tokens. "
                "It should be 0600",
                path=self._path,
                mode=mode,
            )

    def _is_a_credential(self) -> bool:
        folder = self._credentials
        return folder is not None and Path(self._path).resolve().is_relative_to(Path(folder).resolve())
