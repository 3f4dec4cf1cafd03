"""Answers that cannot be read: each command reports them in one line and exits with 1."""

from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

import tuleaprt.cli.post
import tuleaprt.cli.session
from tests.cli.answering import ABORT, EVENT, GOODBYE, RESULT, ROLES, SUBSCRIBED, WELCOME, raw, wamp
from tests.cli.conftest import KEY_FILE, Tuleaprt
from tests.end_to_end.processes import Process, patiently
from tests.fakes import FIXTURES, KANBAN
from tuleaprt.cli.post import request
from tuleaprt.cli.session import connect
from tuleaprt.errors import InvalidAnswer, Unreachable

ensure = pytest_twisted.ensureDeferred
CREATE = str(FIXTURES / "wire" / "kanban_item_create.body")
WATCH, SESSIONS, COUNT = ("watch", KANBAN), ("sessions",), ("sessions", "count")
KILL, POST = ("sessions", "kill", "--user", "102"), ("post", CREATE)

JOINED = [WELCOME, 77, ROLES]
GET = {"session": 5, "authid": "102", "authrole": "user"}


def result(*args: Any, **kwargs: Any) -> list[list[Any]]:
    return [[RESULT, "REQUEST", {}, list(args), kwargs]]


WAMP: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "text that is no JSON": (WATCH, {"HELLO": ["mumble"]}, "cannot be read"),
    "JSON that is cut off": (WATCH, {"HELLO": ['[4,"tick']}, "cannot be read"),
    "JSON that is too deep": (WATCH, {"HELLO": ["[" * 100_000]}, "cannot be read"),
    "an object": (WATCH, {"HELLO": [{"realm": "tuleap"}]}, "cannot be read"),
    "an empty list": (WATCH, {"HELLO": [[]]}, "cannot be read"),
    "an unknown message": (WATCH, {"HELLO": [[99, 1]]}, "cannot be read"),
    "a binary message": (WATCH, {"HELLO": [b"\x93\x01"]}, "cannot be read"),
    "no UTF-8": (WATCH, {"HELLO": ['"\ud800"']}, "cannot be read"),
    "a message of another time": (WATCH, {"HELLO": [[EVENT, 7, 1, {}]]}, "cannot be read"),
    "WELCOME without fields": (WATCH, {"AUTHENTICATE": [[WELCOME]]}, "cannot be read"),
    "WELCOME without roles": (WATCH, {"AUTHENTICATE": [[WELCOME, 77, {}]]}, "cannot be read"),
    "WELCOME with a text as its id": (SESSIONS, {"AUTHENTICATE": [[WELCOME, "x", ROLES]]}, "cannot be read"),
    "ABORT without a reason": (WATCH, {"HELLO": [[ABORT, {}]]}, "cannot be read"),
    "ABORT with a number": (SESSIONS, {"HELLO": [[ABORT, {"message": 1}, 7]]}, "cannot be read"),
    "SUBSCRIBED without an id": (WATCH, {"SUBSCRIBE": [[SUBSCRIBED, "REQUEST"]]}, "cannot be read"),
    "SUBSCRIBED for another request": (WATCH, {"SUBSCRIBE": [[SUBSCRIBED, 99, 7]]}, "cannot be read"),
    "no position": (WATCH, {"wamp_subscription_get_events": result()}, "missing required field `position`"),
    "a position that is a text": (
        WATCH,
        {"wamp_subscription_get_events": result(position="x")},
        "Expected `int`",
    ),
    "EVENT without an id": (
        WATCH,
        {"wamp_subscription_get_events": [*result(position=9), [EVENT, 7]]},
        "cannot be read",
    ),
    "EVENT with a text as its arguments": (
        WATCH,
        {"wamp_subscription_get_events": [*result(position=9), [EVENT, 7, 1, {}, "x"]]},
        "cannot be read",
    ),
    "EVENT of another subscription": (
        WATCH,
        {"wamp_subscription_get_events": [*result(position=9), [EVENT, 8, 1, {}]]},
        "cannot be read",
    ),
    "EVENT with the name of a parameter": (
        WATCH,
        {"wamp_subscription_get_events": [*result(position=9), [EVENT, 7, 1, {}, [], {"fun": 1}]]},
        "cannot be read",
    ),
    "GOODBYE without a reason": (
        WATCH,
        {"wamp_subscription_get_events": [*result(position=9), [GOODBYE, {}]]},
        "cannot be read",
    ),
    "a list that is a number": (
        SESSIONS,
        {"wamp_session_list": result(7)},
        "wamp.session.list cannot be read",
    ),
    "a list with half a surrogate pair": (
        SESSIONS,
        {"wamp_session_list": result(["\ud800"])},
        "wamp.session.list cannot be read",
    ),
    "a position with half a surrogate pair": (
        WATCH,
        {"wamp_subscription_get_events": result(position="\ud800")},
        "wamp.subscription.get_events cannot be read",
    ),
    "a count without the session that asks": (
        COUNT,
        {"wamp_session_count": result(0)},
        "wamp.session.count cannot be read",
    ),
    "a list of texts": (SESSIONS, {"wamp_session_list": result(["x"])}, "wamp.session.list cannot be read"),
    "no list": (
        SESSIONS,
        {"wamp_session_list": [[RESULT, "REQUEST", {}]]},
        "wamp.session.list cannot be read",
    ),
    "RESULT without details": (SESSIONS, {"wamp_session_list": [[RESULT, "REQUEST"]]}, "cannot be read"),
    "RESULT for another request": (SESSIONS, {"wamp_session_list": [[RESULT, 99, {}]]}, "cannot be read"),
    "RESULT with the name of a parameter": (
        COUNT,
        {"wamp_session_count": result(2, callee=1)},
        "cannot be read",
    ),
    "a session that is a text": (
        SESSIONS,
        {"wamp_session_get": result("x")},
        "wamp.session.get cannot be read",
    ),
    "a session without fields": (
        SESSIONS,
        {"wamp_session_get": result({})},
        "missing required field `session`",
    ),
    "a session with a strange transport": (
        SESSIONS,
        {"wamp_session_get": result({**GET, "transport": "tcp"})},
        "wamp.session.get cannot be read",
    ),
    "the same as JSON": (
        ("sessions", "--json"),
        {"wamp_session_get": result({**GET, "authid": ["x"]})},
        "wamp.session.get cannot be read",
    ),
    "a count that is a text": (
        COUNT,
        {"wamp_session_count": result("many")},
        "wamp.session.count cannot be read",
    ),
    "no count": (COUNT, {"wamp_session_count": result()}, "wamp.session.count cannot be read"),
}


def said(process: Process) -> str:
    """The one line of the error."""
    [line] = [line for line in process.lines if line.startswith("tuleaprt:")]
    assert not [
        it for it in process.lines if "Traceback" in it or "internal error" in it or "connecting again" in it
    ]
    assert len(line) < 600
    return line


@pytest.mark.parametrize("name", WAMP)
@ensure
async def test_a_message_that_cannot_be_read_ends_it(alone: Tuleaprt, name: str) -> None:
    arguments, instead, reason = WAMP[name]
    with wamp(**instead) as port:
        process = alone(*arguments, "--url", f"ws://127.0.0.1:{port}/ws", **KEY_FILE)
        assert await patiently(process.ended(), "the end") == 1
    assert reason in said(process)


@ensure
async def test_what_is_well_formed_is_shown(alone: Tuleaprt) -> None:
    event = [EVENT, 7, 10, {}, [], {"cmd": "x", "data": 1}]
    with wamp(wamp_subscription_get_events=[*result(position=9), event]) as port:
        url = ("--url", f"ws://127.0.0.1:{port}/ws")
        for arguments in (SESSIONS, ("sessions", "kill", "5"), ("watch", KANBAN, "--once", "1")):
            process = alone(*arguments, *url, **KEY_FILE)
            assert await patiently(process.ended(), "the end") == 0, process.lines


HTML = b"<!DOCTYPE html><title>Another site</title>" + b"<p>x" * 5000


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


UPGRADE = "Upgrade: websocket", "Connection: Upgrade"
HANDSHAKES = {
    "no HTTP": (b"mumble\r\n\r\n", "cannot be read"),
    "a status that is no number": (http("fine"), "cannot be read"),
    "a status line in no language": (b"HTTP/1.1 \xff\xfe\xfd\r\n\r\n", "cannot be read"),
    "an empty head": (b"\r\n\r\n", "cannot be read"),
    "a page": (http("200 OK", HTML), "200"),
    "a redirect": (http("301 Moved Permanently", b"", "Location: http://x/"), "301"),
    "an upgrade to something else": (http("101 Switching Protocols", b"", *UPGRADE), "cannot be read"),
    "nothing": (b"", "cannot open a session"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
@ensure
async def test_what_is_no_websocket_is_said(alone: Tuleaprt, name: str) -> None:
    answer, reason = HANDSHAKES[name]
    with raw(answer) as port:
        process = alone(*WATCH, "--url", f"ws://127.0.0.1:{port}/ws", **KEY_FILE)
        assert await patiently(process.ended(), "the end") == 1
    assert reason in said(process)


@ensure
async def test_attack_a_handshake_without_end_fills_no_memory() -> None:
    endless = raw(b"HTTP/1.1 101 x\r\n", b"X: " + b"y" * 1000 + b"\r\n")
    with endless as port, pytest.raises(InvalidAnswer, match="longer than 65536 bytes"):
        await connect(reactor, f"ws://127.0.0.1:{port}/ws", "tuleap", "x")


@ensure
async def test_another_subprotocol_is_said(alone: Tuleaprt) -> None:
    with wamp(None) as port:
        process = alone(*WATCH, "--url", f"ws://127.0.0.1:{port}/ws", **KEY_FILE)
        assert await patiently(process.ended(), "the end") == 1
    assert "subprotocol" in said(process)


@ensure
async def test_attack_a_server_does_not_answer_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuleaprt.cli.session, "ANSWER_SECONDS", 0.2)
    with wamp(wamp_session_count=[[RESULT, "REQUEST", {"progress": True}, [1]]]) as port:
        session = await connect(reactor, f"ws://127.0.0.1:{port}/ws", "tuleap", "x")
        with pytest.raises(Unreachable, match=r"no answer to wamp\.session\.count"):
            await session.ask("wamp.session.count")
        await patiently(session.ended, "the end")


@ensure
async def test_attack_a_server_does_not_say_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuleaprt.cli.session, "LEAVE_SECONDS", 0.2)
    with wamp(GOODBYE=[]) as port:
        session = await connect(reactor, f"ws://127.0.0.1:{port}/ws", "tuleap", "x")
        session.leave()
        await patiently(session.ended, "the end")


PRIVATE = {
    "no HTTP": (b"mumble\r\n\r\n", "does not speak HTTP"),
    "a status that is no number": (http("fine"), "does not speak HTTP"),
    "nothing": (b"", "cannot reach"),
    "a page": (http("200 OK", HTML), "does not answer as tuleaprt does"),
    "an empty answer": (http("200 OK"), "does not answer as tuleaprt does"),
    "JSON of another shape": (http("200 OK", b'["ok"]'), "Expected `object`, got `array`"),
    "JSON that is cut off": (http("200 OK", b'{"publication": 1'), "does not answer as tuleaprt does"),
    "another id": (http("200 OK", b'{"publication": "1", "user_id": "x"}'), "Expected `int`, got `str`"),
    "a body that is cut off": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "97 bytes are missing"),
    "a chunk without a size": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        "does not speak HTTP: IncompleteRead",
    ),
    "no UTF-8": (http("200 OK", b"\xff\xfe\x1b[2J"), "does not answer as tuleaprt does"),
}


@pytest.mark.parametrize("command", [POST, KILL], ids=["post", "kill"])
@pytest.mark.parametrize("name", PRIVATE)
@ensure
async def test_an_http_answer_that_cannot_be_read_is_said(
    alone: Tuleaprt, name: str, command: tuple[str, ...]
) -> None:
    answer, reason = PRIVATE[name]
    with raw(answer) as port:
        where = ("--url" if command is POST else "--private-url", f"http://127.0.0.1:{port}")
        process = alone(*command, *where, **KEY_FILE)
        assert await patiently(process.ended(), "the end") == 1
    assert reason in said(process)
    assert not [line for line in process.lines if "have been ended" in line or "\x1b" in line]


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "404 Not Found", "502 Bad Gateway", "999 \x1b[2J"]
)
@ensure
async def test_an_error_that_is_not_tuleaprts_is_said(alone: Tuleaprt, status: str) -> None:
    with raw(http(status, HTML, "Location: http://x/")) as port:
        process = alone(*POST, "--url", f"http://127.0.0.1:{port}", **KEY_FILE)
        assert await patiently(process.ended(), "the end") == 1
        assert "does not answer as tuleaprt does" in said(process)
        assert process.lines[0].startswith(status[:3])
        kill = alone(*KILL, "--private-url", f"http://127.0.0.1:{port}", **KEY_FILE)
        assert await patiently(kill.ended(), "the end") == 1
        assert f"the server refuses: {status[:3]}" in said(kill)


@ensure
async def test_attack_another_user_was_revoked_is_no_success(alone: Tuleaprt) -> None:
    with raw(http("200 OK", b'{"user_id": 103}')) as port:
        process = alone(*KILL, "--private-url", f"http://127.0.0.1:{port}", **KEY_FILE)
        assert await patiently(process.ended(), "the end") == 1
    assert "another user" in said(process)


@ensure
async def test_attack_a_body_without_end_fills_no_memory() -> None:
    endless = raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)
    with endless as port, pytest.raises(InvalidAnswer, match="longer than 1048576 bytes"):
        await deferToThread(request, f"http://127.0.0.1:{port}", "GET", "/")


@pytest.mark.parametrize(
    ("answer", "again"),
    [(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"HTTP/1.1 200 OK\r\n\r\n{", b"")],
    ids=["100 Continue again and again", "a body that does not end"],
)
@ensure
async def test_attack_an_answer_that_does_not_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, again: bytes
) -> None:
    monkeypatch.setattr(tuleaprt.cli.post, "TIMEOUT_SECONDS", 0.5)
    endless = raw(answer, again, is_silent=True)
    with endless as port, pytest.raises(Unreachable, match=r"no whole answer|timed out"):
        await deferToThread(request, f"http://127.0.0.1:{port}", "GET", "/")
