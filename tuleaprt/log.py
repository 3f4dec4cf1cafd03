"""The log: text, or JSON with one object a line, and no line too often.

::

    {"time": "2026-03-01T12:00:00.123456Z", "level": "info", "logger": "tuleaprt.transport.connection",
     "message": "tcp4:127.0.0.1:7 closed: …", "event": "connection.closed", "peer": "tcp4:127.0.0.1:7",
     "session": 4711, "user": "102", "reason": "ticket expired"}

Whoever logs names the fields: Twisted's loggers take them as keywords. docs/monitoring.rst has their meaning.
"""

import json
import signal
import sys
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from tuleaprt.repetition import Repetition

Format = Literal["text", "json"]

FIELDS = ("event", "peer", "session", "user", "reason")
"""What is written beside the message, where a line has it."""

REPEATED = frozenset({"connection.refused", "request.refused", "fault"})
"""What others can bring about as often as they like, and nobody wants to read as often."""


@implementer(ILogObserver)
class Log:
    """Writes what is logged to a stream."""

    def __init__(self, format: Format, stream: Any) -> None:
        self._format: Callable[[LogEvent], str | None] = as_text
        self._put = FileLogObserver(stream, lambda event: self._format(event))
        self._repetition = Repetition()
        self.apply(format)

    def apply(self, format: Format) -> None:
        """Write the next lines so."""
        self._format = as_json if format == "json" else as_text

    def __call__(self, event: LogEvent) -> None:
        now = event.get("log_time", 0.0)
        self.sum_up(now)
        kind = kind_of(event)
        if kind is None or self._repetition.passes(kind, event, now):
            self._put(event)

    def sum_up(self, now: float) -> None:
        """Write of what was left out how often it came, if its minute is over by ``now`` (epoch)."""
        for event, more in self._repetition.over(now):
            kept = {key: value for key, value in event.items() if key not in ("log_failure", "peer")}
            summary = {
                "log_format": "{more} more like this: {last}",
                "last": formatEvent(event),
                "more": more,
            }
            self._put(kept | summary)


def kind_of(event: LogEvent) -> Hashable | None:
    """What a line is a repetition of; None: it is always written."""
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


def log_stream(twistd: Mapping[str, Any], reactor: Any) -> Any:
    """Where twistd's options say that the log goes; None: to syslog, which is twistd's.

    As ``twistd`` does it: standard output with ``-n``, else a file that SIGUSR1 rotates.
    """
    if twistd.get("syslog"):
        return None
    name = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else "twistd.log")
    if name == "-":
        return sys.stdout
    file = LogFile.fromFullPath(name)
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(file.rotate))
    return file


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    return value if type(value) in (int, float, bool, str) else str(value)
