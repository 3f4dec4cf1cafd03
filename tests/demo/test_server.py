"""The substitute for Tuleap gives tokens to every client, so no other machine may reach it."""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from demo.substitute import CannotStart, Substitute, check
from tests.end_to_end.processes import Process
from tests.end_to_end.server import _request
from tests.fakes import KEY
from tests.web.requests import Answer

ensure = pytest_twisted.ensureDeferred
RUN = [sys.executable, "-m", "demo.server", "--listen", "127.0.0.1:0"]
JSON = {"Content-Type": "application/json"}


class Page:
    """The substitute, seen from a browser. The server that it posts to is not there."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {"X-User": "101", **{name.replace("_", "-"): value for name, value in headers.items()}}
        raw = None if body is None else json.dumps(body).encode()
        asked = (self.port, method, path, raw, named | (JSON if raw and "Content-Type" not in named else {}))
        return await deferToThread(_request, *asked)  # type: ignore[no-any-return]


@pytest_twisted.async_yield_fixture
async def page() -> AsyncIterator[Page]:
    process = Process.start(RUN, {})
    port = int((await process.written(r"page listens on http://127\.0\.0\.1:(\d+)$"))[1])
    addresses = {"private": "127.0.0.1:9", "public": "127.0.0.1:2998", "key": KEY.decode()}
    process.transport.write((json.dumps(addresses) + "\n").encode())
    await process.written("PUT /campaigns/9/executions: ConnectionRefusedError")
    yield Page(process, port)
    process.transport.closeStdin()
    assert await process.ended() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "tuleap.example.com", ""])
def test_it_listens_on_no_address_that_others_can_reach(host: str) -> None:
    with pytest.raises(CannotStart, match="loopback"):
        check({}, host)


@pytest.mark.parametrize("name", ["PRIVATE_KEY", "TULEAPRT_REALTIME__KEY_FILE"])
def test_it_does_not_start_beside_a_key_that_is_tuleaps(name: str) -> None:
    with pytest.raises(CannotStart, match="a key is configured"):
        check({name: "x"}, "127.0.0.1")


def test_it_posts_to_no_other_machine() -> None:
    with pytest.raises(CannotStart, match="loopback"):
        Substitute(reactor, 0).meet("192.0.2.1:2999", "127.0.0.1:2998", KEY.decode())


@ensure
async def test_a_configured_key_is_refused_in_one_line() -> None:
    process = Process.start(["/usr/bin/env", "PRIVATE_KEY=" + "k" * 88, *RUN], {})
    assert await process.ended() == 1
    [line] = process.lines
    assert line.startswith("the page does not start: a key is configured")


@ensure
async def test_it_ends_with_whoever_has_started_it() -> None:
    process = Process.start(RUN, {})
    await process.written("page listens on")
    process.transport.closeStdin()
    assert await process.ended() == 0


@ensure
async def test_its_tickets_are_those_of_tuleap(page: Page) -> None:
    token = json.loads((await page.ask("GET", "/api/jwt")).body)["token"]
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": "HS512"}
    claims = jwt.decode(token, KEY, algorithms=["HS512"])
    assert list(claims) == ["data", "exp"]
    groups = ["@site_active", "@gpig_project_members", "@gpig_project_admin"]
    assert claims["data"] == {"user_id": 101, "user_rights": groups}


@ensure
async def test_a_group_that_was_lost_is_not_in_the_next_ticket(page: Page) -> None:
    change = {"group": "@gpig_project_admin", "is_in": False}
    assert (await page.ask("PUT", "/api/users/101/groups", change)).status == 200
    token = json.loads((await page.ask("GET", "/api/jwt")).body)["token"]
    assert "@gpig_project_admin" not in jwt.decode(token, KEY, algorithms=["HS512"])["data"]["user_rights"]


@ensure
async def test_dns_rebinding_gets_nothing(page: Page) -> None:
    answer = await page.ask("GET", "/api/jwt", Host=f"evil.example:{page.port}")
    assert (answer.status, b"token" in answer.body) == (403, False)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
@ensure
async def test_a_foreign_page_gets_nothing(page: Page, origin: str) -> None:
    answer = await page.ask("GET", "/api/jwt", Origin=origin)
    assert (answer.status, b"token" in answer.body) == (403, False)
    assert "access-control-allow-origin" not in answer.headers


@ensure
async def test_a_form_of_another_site_changes_nothing(page: Page) -> None:
    answer = await page.ask("POST", "/api/kanban_items", {"label": "x"}, Content_Type="text/plain")
    assert answer.status == 400


@ensure
async def test_files_are_only_read(page: Page) -> None:
    answer = await page.ask("GET", "/live.js")
    head = await page.ask("HEAD", "/live.js")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.body))
    refused = await page.ask("POST", "/live.js")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


@ensure
async def test_what_is_no_text_is_a_bad_request(page: Page) -> None:
    assert (await page.ask("GET", "/api/jwt?%ff=%ff")).status == 400
    deep = b"[" * 100_000
    answer = await deferToThread(
        _request, page.port, "POST", "/api/kanban_items", deep, {"X-User": "101", **JSON}
    )
    assert answer.status == 400
    assert not any("Traceback" in it for it in page.process.lines)
    assert (await page.ask("GET", f"/{'x' * 5000}.js")).status == 404


@pytest.mark.parametrize(
    "path", ["/../run.py", "/..%2frun.py", "/client/../../run.py", "/.run/ticket", "/%00", "/live.js/x", "/x"]
)
@ensure
async def test_path_traversal_finds_nothing(page: Page, path: str) -> None:
    assert (await page.ask("GET", path)).status == 404


@ensure
async def test_the_page_may_load_nothing_from_elsewhere(page: Page) -> None:
    answer = await page.ask("GET", "/")
    assert answer.status == 200
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self' ws://127.0.0.1:2998 http://127.0.0.1:2998",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
    }
    libraries = ("/client/tuleaprt-client.js", "/autobahn.min.js", "/socket.io.esm.min.js")
    for path in ("/live.css", "/live.js", *libraries):
        assert (await page.ask("GET", path)).status == 200, path


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/kanban/3", None, 200),
        ("GET", "/api/kanban/4", None, 404),
        ("GET", "/api/kanban_items/302", None, 200),
        ("GET", "/api/kanban_items/9999", None, 404),
        ("PATCH", "/api/kanban_items/302", {"in_column": 6816, "before": "302"}, 400),
        ("PATCH", "/api/kanban_items/302", {"in_column": 1}, 404),
        ("PATCH", "/api/kanban_items/302", {"label": " "}, 400),
        ("PATCH", "/api/kanban_items/302", ["label"], 400),
        ("DELETE", "/api/kanban_columns/6580", None, 400),
        ("PUT", "/api/kanban/3/columns", {"column_ids": [6580]}, 400),
        ("PUT", "/api/testmanagement_executions/39", {"status": "fine"}, 400),
        ("PUT", "/api/users/101/groups", {"group": "@ug_158", "is_in": True}, 404),
        ("POST", "/api/nothing", {}, 404),
    ],
)
@ensure
async def test_bad_requests_are_refused(page: Page, method: str, path: str, body: Any, status: int) -> None:
    answer = await page.ask(method, path, body)
    assert answer.status == status
    assert status == 200 or list(json.loads(answer.body)) == ["error"]


@pytest.mark.parametrize(
    ("user", "cards", "tests"),
    [
        ("101", {301, 302, 303, 304, 305, 306, 307, 308, 309, 310}, {39, 40, 41, 42, 43, 44, 45}),
        ("102", {301, 302, 303, 304, 305, 306, 307, 308, 309, 310}, {39, 40, 41, 42, 43, 44, 45}),
        ("140", {303, 307}, {39, 40, 41, 42, 44, 45}),
        ("150", None, None),
    ],
)
@ensure
async def test_each_user_is_shown_what_is_his(page: Page, user: str, cards: Any, tests: Any) -> None:
    board = await page.ask("GET", "/api/kanban/3", X_User=user)
    campaign = await page.ask("GET", "/api/testmanagement_campaigns/9", X_User=user)
    assert ids(board, "items") == cards
    assert ids(campaign, "executions") == tests


def ids(answer: Answer, name: str) -> set[int] | None:
    if answer.status == 404:
        return None
    found: Mapping[str, Any] = json.loads(answer.body)
    return {it["id"] for it in found[name]}


@ensure
async def test_what_is_hidden_cannot_be_changed(page: Page) -> None:
    for path in ("/api/kanban_items/304", "/api/testmanagement_executions/43"):
        method, body = ("PATCH", {"label": "x"}) if "kanban" in path else ("PUT", {"status": "failed"})
        assert (await page.ask(method, path, body, X_User="140")).status == 404
    assert (await page.ask("PATCH", "/api/kanban_columns/6580", {"label": "x"}, X_User="140")).status == 400


@ensure
async def test_a_server_that_is_down_costs_a_line_and_not_the_change(page: Page) -> None:
    answer = await page.ask("PATCH", "/api/kanban_items/302", {"label": "Changed"}, X_Client_UUID="u")
    assert (answer.status, json.loads(answer.body)["label"]) == (200, "Changed")
    await page.process.written("POST /message: ConnectionRefusedError")


@ensure
async def test_no_counts_are_given_for_a_server_that_is_down(page: Page) -> None:
    answer = await page.ask("GET", "/api/counts")
    assert (answer.status, "does not answer" in json.loads(answer.body)["error"]) == (503, True)


def test_it_is_no_part_of_the_package() -> None:
    assert "demo" not in Path("setup.cfg").read_text().split("[options.extras_require]")[0]
