"""Reading the configuration again while the server runs: at ``SIGHUP``.

When anything is wrong with it, that is told and nothing changes. Else each option that can change live is
given to those who follow it, and of the others it is told that they want a restart.

The file with Tuleap's key: looked at every few seconds, and read again when it has changed.

Tuleap writes a new key over the old one at each deploy of a site. A file that is being written is left alone
until it stays as it is; one that cannot be used leaves the present key, is told once, and is tried again.
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

NOTHING = "no option has changed that can"


class Live:
    """Who follows which option, ``section.option``."""

    def __init__(self) -> None:
        self._followers: dict[str, list[Callable[[Any], None]]] = {}

    @property
    def options(self) -> frozenset[str]:
        return frozenset(self._followers)

    def follow(self, option: str, apply: Callable[[Any], None]) -> None:
        """Give ``apply`` the value of this option whenever it has changed."""
        self._followers.setdefault(option, []).append(apply)

    def keep(self, option: str, owner: object, attribute: str) -> None:
        """Keep this attribute of somebody's equal to the option."""
        if not hasattr(owner, attribute):
            raise AttributeError(f"{owner!r} has no {attribute}")
        self.follow(option, partial(setattr, owner, attribute))

    def apply(self, config: Config, changed: list[str]) -> list[str]:
        """Tell the followers; answers with those of the options that somebody follows."""
        followed = [option for option in changed if option in self._followers]
        for option in followed:
            for apply in self._followers[option]:
                apply(value_of(config, option))
        return followed


def value_of(config: Config, option: str) -> Any:
    """The secret itself if the option says where that stands."""
    if option == "realtime.post_secret":
        return config.post_secret
    section, _, name = option.partition(".")
    return getattr(getattr(config, section), name)


class Reload:
    """Has the configuration that holds, and another one whenever the process gets ``SIGHUP``.

    ``read`` gives it anew or raises ConfigError; ``take_key`` is told the key that was found then.
    ``began`` and ``ended`` are called around each time, for whoever waits for the end of it.
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
        # Only the main thread may, and only there do signals arrive.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGHUP, self._hung_up)
            self._is_installed = True

    def stop(self) -> None:
        if self._is_installed:
            self._is_installed = False
            signal.signal(signal.SIGHUP, self._before or signal.SIG_DFL)

    def reload(self) -> None:
        """Read it again, and change what can be changed."""
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
                self.log.emit(LogLevel.warn, "{option} has changed, which wants a restart", option=option)
        if config.key_is_fixed:
            self.log.info("the key is that of PRIVATE_KEY, which wants a restart to change")
        else:
            self._take_key(config.key)

    def _hung_up(self, signum: int, frame: FrameType | None) -> None:
        # Whatever is being done now is done first.
        self._reactor.callFromThread(self.reload)


LOOK_SECONDS = 2
SETTLE_SECONDS = 0.2
"""How long after a change it is looked whether there was another."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO

State = tuple[int, ...] | None
"""What changes with the file, as the system tells; None: there is none."""

UNKNOWN: State = ()


class KeyFile:
    """``change`` is given a key, the time, and for how many seconds the key before stays good. It says
    whether it is another key, or raises ConfigError.

    ``credentials``: the folder in which systemd keeps them; their modes are its own affair.
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
        # The first look reads it again: it may have changed since somebody else did.
        self._warn_if_open()
        self._look_again_in(LOOK_SECONDS)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def follow(self, path: str) -> None:
        """It is this file from now on."""
        self._path = path
        self._read_at = self._seen = UNKNOWN

    def take(self, key: bytes) -> None:
        """Use this key, which somebody has read from the file; the next look shows whether it was all."""
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
                "others may use the key: {path} has mode {mode:04o}; whoever reads it can be anybody to this "
                "server. It should be 0600",
                path=self._path,
                mode=mode,
            )

    def _is_a_credential(self) -> bool:
        folder = self._credentials
        return folder is not None and Path(self._path).resolve().is_relative_to(Path(folder).resolve())
