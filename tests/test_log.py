"""What a log line looks like, and how often it comes."""

import io
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from zope.interface import verify

from tuleaprt.log import ILogObserver, Log, log_stream


class Written:
    """A logger, and what a Log has written of it."""

    def __init__(self, format: Any) -> None:
        self.stream = io.StringIO()
        self.log = Log(format, self.stream)
        self.logger = Logger("tuleaprt.test", observer=LogPublisher(self.log))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def closed(written: Written, session: int | str = 4711, reason: str = "refused") -> None:
    written.logger.emit(
        LogLevel.warn,
        "{peer} closed: {reason} session={session}",
        event="connection.closed",
        peer="tcp4:192.0.2.1:7",
        session=session,
        user="102" if session != "-" else "-",
        reason=reason,
    )


def test_json_has_one_object_a_line_with_stable_fields() -> None:
    written = Written("json")
    closed(written)
    (line,) = written.objects
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warn",
        "logger": "tuleaprt.test",
        "message": "tcp4:192.0.2.1:7 closed: refused session=4711",
        "event": "connection.closed",
        "peer": "tcp4:192.0.2.1:7",
        "session": 4711,
        "user": "102",
        "reason": "refused",
    }


def test_what_a_line_has_not_is_left_out() -> None:
    written = Written("json")
    written.logger.info("two\nlines, and a \N{SNOWMAN}")
    closed(written, session="-")
    plain, stranger = written.objects
    assert plain["message"] == "two\nlines, and a \N{SNOWMAN}"
    assert plain.keys() == {"time", "level", "logger", "message"}
    assert "session" not in stranger
    assert "user" not in stranger


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_failure_has_its_traceback(format: str) -> None:
    written = Written(format)
    try:
        raise ZeroDivisionError("injected")
    except ZeroDivisionError:
        written.logger.failure("Internal error {where}", where="here", event="fault")
    if format == "json":
        (line,) = written.objects
        assert line["message"] == "Internal error here"
        assert "ZeroDivisionError: injected" in line["traceback"]
        assert line["level"] == "critical"
    else:
        assert "ZeroDivisionError: injected" in written.stream.getvalue()


def test_text_is_what_twistd_writes_and_the_format_may_change_at_any_time() -> None:
    written = Written("text")
    written.logger.info("first")
    written.log.apply("json")
    written.logger.info("second")
    written.log.apply("text")
    written.logger.info("third")
    first, second, third = written.lines
    assert first.endswith("[tuleaprt.test#info] first")
    assert json.loads(second)["message"] == "second"
    assert third.endswith("[tuleaprt.test#info] third")


@pytest.mark.parametrize("event", ["connection.refused", "request.refused", "fault"])
def test_flooding_the_log_with_refusals_is_summed_up(event: str) -> None:
    written = Written("json")
    for n in range(500):
        written.logger.emit(
            LogLevel.warn, "{peer}: too many", event=event, reason="too many", peer=f"peer {n}"
        )
    assert len(written.lines) == 10
    written.log.sum_up(float("inf"))
    last = written.objects[-1]
    assert last["message"] == "490 more like this: peer 499: too many"
    assert (last["event"], last["level"], last["reason"]) == (event, "warn", "too many")
    assert "peer" not in last


def test_every_close_of_a_session_is_written_and_those_of_strangers_are_limited() -> None:
    written = Written("json")
    for n in range(50):
        closed(written, session=n + 1)
        closed(written, session="-")
    with_session = [line for line in written.objects if "session" in line]
    assert (len(with_session), len(written.lines)) == (50, 60)


def test_it_is_an_observer() -> None:
    verify.verifyObject(ILogObserver, Log("text", io.StringIO()))


def test_it_goes_where_twistd_is_told(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    try:
        assert log_stream({"nodaemon": True, "logfile": None}, None) is sys.stdout
        assert log_stream({"nodaemon": True, "logfile": "-"}, None) is sys.stdout
        assert log_stream({"syslog": True}, None) is None
        path = tmp_path / "tuleaprt.log"
        stream = log_stream({"logfile": str(path)}, None)
        Log("json", stream)({"log_format": "said", "log_time": 1.0})
        stream.close()
        assert json.loads(path.read_text())["time"] == "1970-01-01T00:00:01.000000Z"
    finally:
        signal.signal(signal.SIGUSR1, before)
