"""The format of log lines, and the rate limit."""

import errno
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from zope.interface import verify

from tests.conftest import Log as CapturedLog
from tuleaprt.operations.log_file import LogFile
from tuleaprt.operations.logs import ILogObserver, Log, log_output


class Written:
    """A logger, and what a Log has written of it."""

    def __init__(self, format: Any) -> None:
        self.stream = io.StringIO()
        self.log = Log(format, self.stream)  # type: ignore[arg-type]
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
            LogLevel.warn, "{peer}: too many", event=event, reason="too many", peer=f"tcp4:192.0.2.1:{n}"
        )
    assert len(written.lines) == 10
    written.log.sum_up(float("inf"))
    last = written.objects[-1]
    assert last["message"] == "490 more like this: tcp4:192.0.2.1:499: too many"
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
    verify.verifyObject(ILogObserver, Log("text", io.StringIO()))  # type: ignore[arg-type]


class Disk(io.StringIO):
    """An output that is full at times."""

    is_full = False

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_disk_that_was_full_is_said_once_with_the_number_of_lost_lines(format: str) -> None:
    disk = Disk()
    log = Log(format, disk)  # type: ignore[arg-type]
    logger = Logger("tuleaprt.test", observer=log)
    logger.info("before")
    disk.is_full = True
    for n in range(3):
        logger.info("lost {n}", n=n)
    disk.is_full = False
    logger.info("after")
    logger.info("later")
    before, told, after, later = disk.getvalue().splitlines()
    assert "3 lines of the log could not be written: No space left on device" in told
    assert ("before" in before, "after" in after, "later" in later) == (True, True, True)
    assert log.lost == 3
    if format == "json":
        assert (json.loads(told)["level"], json.loads(told)["event"]) == ("warn", "log.lost")


def test_a_silent_server_says_it_too_when_it_can_write_again() -> None:
    disk = Disk()
    log = Log("text", disk)  # type: ignore[arg-type]
    disk.is_full = True
    Logger("tuleaprt.test", observer=log).info("lost")
    log.sum_up(0)
    disk.is_full = False
    log.sum_up(0)
    log.sum_up(float("inf"))
    (told,) = disk.getvalue().splitlines()
    assert told.endswith("1 lines of the log could not be written: No space left on device")


def test_the_log_goes_where_twistd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "stdout", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        for options in ({"nodaemon": True, "logfile": None}, {"nodaemon": True, "logfile": "-"}):
            output = log_output(options)
            assert output is not None
            output.write("said\n")
    assert (tmp_path / "stdout").read_text() == "said\nsaid\n"
    assert log_output({"syslog": True}) is None
    assert log_output({"logger": "some.observer", "logfile": None}) is None
    path = tmp_path / "tuleaprt.log"
    output = log_output({"logfile": str(path)})
    assert isinstance(output, LogFile)
    Log("json", output)({"log_format": "said", "log_time": 1.0})
    output.close()
    assert json.loads(path.read_text())["time"] == "1970-01-01T00:00:01.000000Z"


def test_a_log_without_a_file_has_none_to_open_again() -> None:
    assert not Log("text", io.StringIO()).reopen()  # type: ignore[arg-type]


def test_a_file_that_cannot_be_opened_again_stays_and_that_is_said(tmp_path: Path, log: CapturedLog) -> None:
    path = tmp_path / "tuleaprt.log"
    output = LogFile(str(path))
    path.rename(tmp_path / "renamed")
    path.mkdir()
    assert Log("text", output).reopen()
    output.write("still\n")
    assert (tmp_path / "renamed").read_text() == "still\n"
    (line,) = log.lines
    assert line.startswith("the log file cannot be opened again: ")
    output.close()
