"""The file with Tuleap's key: looked at every few seconds, and read again when it has changed.

Tuleap writes a new key over the old one at each deploy of a site. A file that is being written is left alone
until it stays as it is; one that cannot be used leaves the present key, is told once, and is tried again.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from tuleaprt.errors import ConfigError
from tuleaprt.loading import read_key

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
