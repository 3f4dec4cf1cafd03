"""The log: text, or JSON with one object a line, and no line too often.

::

    {"time": "2026-03-01T12:00:00.123456Z", "level": "info", "logger": "tuleaprt.transport.connection",
     "message": "tcp4:127.0.0.1:7 closed: …", "event": "connection.closed", "peer": "tcp4:127.0.0.1:7",
     "session": 4711, "user": "102", "reason": "ticket expired"}

Whoever logs names the fields: Twisted's loggers take them as keywords. docs/monitoring.rst has their meaning.
"""

import json
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tuleaprt.addresses import network_of_peer
from tuleaprt.logfile import LogFile, Output, standard_output
from tuleaprt.repetition import Repetition

Format = Literal["text", "json"]

FIELDS = ("event", "peer", "session", "user", "reason")
"""What is written beside the message, where a line has it."""

REPEATED = frozenset({"connection.refused", "request.refused", "fault"})
"""What others can bring about as often as they like, and nobody wants to read as often."""


@implementer(ILogObserver)
class Log:
    """Writes what is logged. A line that cannot be written is counted, and that is said when it can again."""

    log = Logger()

    def __init__(self, format: Format, output: Output) -> None:
        self._format: Callable[[LogEvent], str | None] = as_text
        self._output = output
        self._repetition = Repetition()
        self._lost_since_told = 0
        self._lost_at = 0.0
        self._why_lost = ""
        self.lost = 0
        """How many lines could not be written since the start."""
        self.apply(format)

    def apply(self, format: Format) -> None:
        """Write the next lines so."""
        self._format = as_json if format == "json" else as_text

    def reopen(self) -> bool:
        """Open the log file again; False: there is none."""
        if not isinstance(self._output, LogFile):
            return False
        try:
            self._output.reopen()
        except OSError as error:
            self.log.emit(
                LogLevel.warn, "the log file cannot be opened again: {reason}", event="log.kept", reason=error
            )
        return True

    def __call__(self, event: LogEvent) -> None:
        now = event.get("log_time", 0.0)
        self.sum_up(now)
        kind = kind_of(event)
        address = network_of_peer(str(event.get("peer", "")))
        if kind is None or self._repetition.passes(kind, event, now, address):
            self._put(event)

    def sum_up(self, now: float) -> None:
        """Write how many lines were lost, and of what was left out how often it came, if its minute is over.

        ``now``: seconds since the epoch.
        """
        self._tell_of_lost_lines()
        for event, more in self._repetition.over(now):
            kept = {key: value for key, value in event.items() if key not in ("log_failure", "peer")}
            summary = {
                "log_format": "{more} more like this: {last}",
                "last": formatEvent(event),
                "more": more,
            }
            self._put(kept | summary)

    def _put(self, event: LogEvent) -> None:
        if not self._write(event):
            self.lost += 1
            self._lost_since_told += 1

    def _tell_of_lost_lines(self) -> None:
        if self._lost_since_told and self._write(
            {
                "log_format": "{lost} lines of the log could not be written: {reason}",
                "log_namespace": self.log.namespace,
                "log_level": LogLevel.warn,
                "log_time": self._lost_at,
                "event": "log.lost",
                "lost": self._lost_since_told,
                "reason": self._why_lost,
            }
        ):
            self._lost_since_told = 0

    def _write(self, event: LogEvent) -> bool:
        """Whether it is written."""
        if text := self._format(event):
            try:
                self._output.write(text)
            except OSError as error:
                self._why_lost = error.strerror or str(error)
                self._lost_at = event.get("log_time", 0.0)
                return False
        return True


def kind_of(event: LogEvent) -> Hashable | None:
    """What a line is a repetition of, for its address; None: it is always written."""
    name = event.get("event")
    is_of_a_stranger = name == "connection.closed" and event.get("session") == "-"
    if name not in REPEATED and not is_of_a_stranger:
        return None
    return name, str(event.get("reason")), event.get("detail")


def as_text(event: LogEvent) -> str | None:
    """The line that twistd would write."""
    return formatEventAsClassicLogText(event)


def as_json(event: LogEvent) -> str | None:
    failure = event.get("log_failure")
    message = formatEvent(event)
    if not message and failure is None:
        return None
    line: dict[str, Any] = {
        "time": _rfc3339(event.get("log_time", 0.0)),
        "level": event.get("log_level", LogLevel.info).name,
        "logger": event.get("log_namespace") or event.get("log_system") or "-",
        "message": message,
    }
    line |= {name: _plain(event[name]) for name in FIELDS if event.get(name) not in (None, "-")}
    if isinstance(failure, Failure):
        line["traceback"] = failure.getTraceback()
    return json.dumps(line) + "\n"


def log_output(twistd: Mapping[str, Any]) -> Output | None:
    """Where twistd's options say that the log goes; None: to what ``--syslog`` or ``--logger`` names.

    As ``twistd`` does it: standard output with ``-n``, else a file. The server itself never rotates it.

    Raises:
        OSError: the file cannot be opened.
    """
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    name = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else "twistd.log")
    return standard_output() if name == "-" else LogFile(name)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    return value if type(value) in (int, float, bool, str) else str(value)
