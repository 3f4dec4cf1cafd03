"""Reading the configuration again while the server runs: at ``SIGHUP``.

When anything is wrong with it, that is told and nothing changes. Else each option that can change live is
given to those who follow it, and of the others it is told that they want a restart.
"""

import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger, LogLevel

from tuleaprt.config import Config, changes
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
