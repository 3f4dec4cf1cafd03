"""The log: text, or one JSON object a line, with a rate limit for repeated lines.

::

    {"time": "2026-03-01T12:00:00.123456Z", "level": "info", "logger": "tuleaprt.transport.connection",
     "message": "tcp4:127.0.0.1:7 closed: …", "event": "connection.closed", "peer": "tcp4:127.0.0.1:7",
     "session": 4711, "user": "102", "reason": "ticket expired"}

The caller of a Twisted logger passes the fields as keywords. docs/metrics.rst explains them.

*Rate limit*: each address may cause ``PER_MINUTE`` lines of each kind, so a flood from one address does
not hide the lines about others. Memory is bounded: more than ``KINDS_OF_ONE`` kinds of an address share
one limit, and more than ``KINDS`` of all addresses share one. Times are in seconds.

*Audit*: each action of an operator is one line. *Faults*: exceptions that should not occur are counted,
and logged with their traceback.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, IPv6Network, ip_address
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

from tuleaprt.operations.log_file import LogFile, Output, standard_output
from tuleaprt.operations.metrics import Metrics
from tuleaprt.wamp.auth import Identity

PREFIX = 64
"""The length of an IPv6 network that counts as one client: a site gets at least a /64 (RFC 6177)."""


def network_of(host: str) -> str:
    """``203.0.113.9``, ``2001:db8:0:1::/64``. An IPv4-mapped address becomes the IPv4 address.

    Other texts, such as the empty text of a Unix socket, are returned unchanged.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, PREFIX), strict=False))


def network_of_peer(peer: str) -> str:
    """The same for a peer as it is logged: ``tcp4:127.0.0.1:7``, ``203.0.113.9 via tcp4:127.0.0.1:7``."""
    client, via, _ = peer.partition(" via ")
    if via:
        return network_of(client)
    kind, _, rest = peer.partition(":")
    return network_of(rest.rpartition(":")[0].strip("[]")) if kind in ("tcp4", "tcp6") else kind


PER_MINUTE = 10
KINDS = 200
KINDS_OF_ONE = 20
OTHERS = "others"


@dataclass(slots=True)
class _Count:
    since: float
    seen: int
    last: Any


class Repetition:
    """Lets ``PER_MINUTE`` lines of each kind and address pass within a minute of the first, and counts the
    others.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Hashable], _Count] = {}
        self._kinds: Counter[str] = Counter()
        """The number of kinds of each address."""

    def passes(self, kind: Hashable, line: Any, now: float, address: str = "") -> bool:
        """Whether the line may be written. Call ``over`` before."""
        key = (address, kind)
        if key not in self._counts and self._kinds[address] >= KINDS_OF_ONE:
            key = (address, OTHERS)
        if key not in self._counts and len(self._counts) >= KINDS:
            key = ("", OTHERS)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(now, 0, line)
            self._kinds[key[0]] += 1
        count.seen += 1
        count.last = line
        return count.seen <= PER_MINUTE

    def over(self, now: float) -> Iterator[tuple[Any, int]]:
        """Forget kinds whose minute is over. For each with suppressed lines, yield the last line and their
        number.
        """
        for key, count in list(self._counts.items()):
            # The clock may have been set back.
            if not 0 <= now - count.since < 60:
                del self._counts[key]
                self._kinds[key[0]] -= 1
                if not self._kinds[key[0]]:
                    del self._kinds[key[0]]
                if count.seen > PER_MINUTE:
                    yield count.last, count.seen - PER_MINUTE


Format = Literal["text", "json"]

FIELDS = ("event", "peer", "session", "user", "reason")
"""Fields that are written beside the message."""

REPEATED = frozenset({"connection.refused", "request.refused", "fault"})
"""Kinds of lines that peers can cause as often as they like."""


@implementer(ILogObserver)
class Log:
    """Writes log lines. Lines that could not be written are counted, and their number is logged later."""

    log = Logger()

    def __init__(self, format: Format, output: Output) -> None:
        self._format: Callable[[LogEvent], str | None] = as_text
        self._output = output
        self._repetition = Repetition()
        self._lost_since_told = 0
        self._lost_at = 0.0
        self._why_lost = ""
        self.lost = 0
        """The number of lines that could not be written since the start."""
        self.apply(format)

    def apply(self, format: Format) -> None:
        """Use this format from now on."""
        self._format = as_json if format == "json" else as_text

    def reopen(self) -> bool:
        """Open the log file again. False: there is no log file."""
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
        """Log how many lines were lost, and how often suppressed lines came whose minute is over.

        ``now`` is in seconds since the epoch.
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
        """Whether the line was written."""
        if text := self._format(event):
            try:
                self._output.write(text)
            except OSError as error:
                self._why_lost = error.strerror or str(error)
                self._lost_at = event.get("log_time", 0.0)
                return False
        return True


def kind_of(event: LogEvent) -> Hashable | None:
    """The kind of a line for the rate limit; None: it is always written."""
    name = event.get("event")
    is_of_a_stranger = name == "connection.closed" and event.get("session") == "-"
    if name not in REPEATED and not is_of_a_stranger:
        return None
    return name, str(event.get("reason")), event.get("detail")


def as_text(event: LogEvent) -> str | None:
    """The line in the format of twistd."""
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
    """The output that twistd's options name; None: ``--syslog`` or ``--logger`` replace it.

    As in ``twistd``, it is standard output with ``-n``, and a file otherwise. The server does not rotate
    the file.

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


LONGEST = 200

log = Logger()


def audit(session: int | None, identity: Identity, deed: str, what: str) -> None:
    """Log that this operator did this to that. A topic may be as long as a message, so it is cut.

    ``session`` is None for a request over HTTP.
    """
    log.info(
        "audit: operator {user} session={session} {deed} {what!r}",
        event="audit",
        user=identity.authid,
        session=session or "-",
        deed=deed,
        what=what[:LONGEST],
    )


LIBRARIES = frozenset({"autobahn", "twisted", "txaio", *sys.stdlib_module_names})
"""Modules that read input before any code of the server."""


def is_of_a_parser(error: BaseException) -> bool:
    """Whether only libraries were running below the function that caught the exception.

    Then the peer's input could not be read, and the server has no fault: twisted.web raises ValueError
    for a Content-Length of 5,000 digits. If code of the server was called, it is a fault of the server.
    """
    trace = error.__traceback__ and error.__traceback__.tb_next
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] not in LIBRARIES:
            return False
        trace = trace.tb_next
    return True


class Faults:
    """Records unexpected exceptions. Peers receive a constant text at most."""

    log = Logger()

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def record(self, where: str) -> None:
        """Record the current exception. ``where`` says what the server was doing."""
        self._metrics.internal_error()
        self.log.failure("Internal error {where}", where=where, event="fault", reason=where)
