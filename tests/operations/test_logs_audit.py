"""The log lines about operators' actions."""

from tests.conftest import Log
from tests.fakes import identity
from tuleaprt.operations.logs import audit
from tuleaprt.wamp.auth import Role


def test_a_line_says_who_did_what(log: Log) -> None:
    audit(5000, identity(7, role=Role.OPERATOR), "subscribe", "prefix org.tuleap.")
    assert log.lines == ["audit: operator 7 session=5000 subscribe 'prefix org.tuleap.'"]


def test_a_long_or_odd_text_is_still_one_short_line(log: Log) -> None:
    audit(5000, identity(7, role=Role.OPERATOR), "kill", "authid \n\x1b[31m" + "x" * 9999)
    (line,) = log.lines
    assert len(line) < 300
    assert line.isprintable()


def test_what_was_asked_by_http_has_no_session(log: Log) -> None:
    audit(None, identity(7, role=Role.OPERATOR), "revoke", "user 101")
    assert log.lines == ["audit: operator 7 session=- revoke 'user 101'"]
