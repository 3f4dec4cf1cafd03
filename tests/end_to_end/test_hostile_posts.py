"""Hostile or broken posts: clear errors, one log line, no effect on other clients."""

from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted

from tests.end_to_end.clients import Client, received
from tests.end_to_end.server import Server
from tests.fakes import body, cases, wire

ensure = pytest_twisted.ensureDeferred
CREATE = wire("kanban_item_create")
DEEP = b"[" * 100_000 + b"]" * 100_000
DIGITS = b"9" * 5000


def rights(**changes: Any) -> dict[str, Any]:
    return body(rights=body()["rights"] | changes)


ATTACKS: dict[str, tuple[bytes | dict[str, Any], int, str]] = {
    "empty_body": (b"", 400, "$"),
    "truncated_json": (CREATE[:-10], 400, "$"),
    "array_body": (b"[]", 400, "$"),
    "nesting_100000_deep": (DEEP, 400, "$"),
    "data_nested_100000_deep": (CREATE.replace(b"321", DEEP), 400, "$"),
    "lone_surrogate": (CREATE.replace(b"321", b'"\\ud800"'), 400, "$"),
    "number_beyond_all_bounds": (CREATE.replace(b"321", b"1e999"), 400, "$.data[...]"),
    "duplicate_key": (CREATE.replace(b'"cmd":', b'"cmd":"kanban:edit","cmd":'), 400, "$"),
    "duplicate_key_in_the_rights": (CREATE.replace(b'"tracker":', b'"tracker":["@x"],"tracker":'), 400, "$"),
    "sender_of_5000_digits": (CREATE.replace(b":101,", b":" + DIGITS + b","), 400, "$.sender_user_id"),
    "room_of_5000_digits": (CREATE.replace(b'"room_id":3', b'"room_id":' + DIGITS), 400, "$.room_id"),
    "room_of_5000_digits_as_text": (body(room_id="9" * 5000), 422, "$.room_id"),
    "label_that_begins_with_nul": (body(cmd="kanban:edit", data="\0YQ=="), 422, "$.data"),
    "rights_as_a_list": (body(rights=[]), 422, "$.rights"),
    "empty_tracker_list": (rights(tracker=[]), 422, "$.rights.tracker"),
    "artifact_as_an_object": (rights(artifact={"0": "@x"}), 422, "$.rights.artifact"),
    "flag_as_a_text": (rights(submitter_can_view="false"), 422, "$.rights.submitter_can_view"),
    "room_proto": (body(room_id="__proto__"), 422, "$.room_id"),
    "room_with_a_leading_zero": (body(room_id="03"), 422, "$.room_id"),
    "negative_room": (body(room_id=-1), 422, "$.room_id"),
    "room_as_a_float": (body(room_id=3.0), 400, "$.room_id"),
    "command_user_leave": (body(cmd="user:leave"), 422, "$.cmd"),
    "command_presences": (body(cmd="presences", room_id="testmanagement_9"), 422, "$.cmd"),
    "command_podium": (body(cmd="testmanagement_podium:update", room_id="testmanagement_9"), 422, "$.cmd"),
}


@pytest.fixture
def one_line_each(server: Server) -> Any:
    """The log lines that were written since, which must be so many and no tracebacks."""
    before = len(server.process.lines)

    def check(lines: int, pattern: str = "post refused") -> None:
        written = server.process.lines[before:]
        assert len([line for line in written if pattern in line]) == lines, written
        assert server.tracebacks() == []

    return check


async def is_unharmed(server: Server, bystander: Client) -> None:
    """The server is up and has had no fault, and the bystander has received only its own events."""
    answer = await server.post(CREATE)
    assert answer.status == 200
    assert [it["publication"] for it in await received(bystander)] == [answer.json["publication"]]
    assert await server.metric("internal_errors_total") == 0


@pytest.mark.parametrize("attack", ATTACKS)
@ensure
async def test_attack(
    server: Server, bystander: Client, one_line_each: Callable[..., None], attack: str
) -> None:
    posted, status, path = ATTACKS[attack]
    answer = await server.post(posted)
    assert (answer.status, answer.json["error"]["path"]) == (status, path)
    assert answer.headers["content-type"] == "application/json"
    await is_unharmed(server, bystander)
    one_line_each(1)


@ensure
async def test_body_of_9_mib(server: Server, bystander: Client, one_line_each: Callable[..., None]) -> None:
    assert (await server.post(b" " * 9 * 2**20)).status == 413
    await is_unharmed(server, bystander)
    one_line_each(1)


@ensure
async def test_wrong_content_type(
    server: Server, bystander: Client, one_line_each: Callable[..., None]
) -> None:
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        assert (await server.post(CREATE, Content_Type=content_type)).status == 415
    await is_unharmed(server, bystander)
    one_line_each(3)


@ensure
async def test_foreign_host_as_after_dns_rebinding(server: Server, bystander: Client) -> None:
    for path in ("/message", "/metrics"):
        assert (await server.post(CREATE, Host="evil.example")).status == 403
        assert (await server.request("GET", path, Host="evil.example:2999")).status == 403
    await is_unharmed(server, bystander)


@pytest.mark.parametrize("origin", ["https://tuleap.example.com", "http://127.0.0.1:2998", "null"])
@ensure
async def test_any_origin_on_the_private_site(server: Server, bystander: Client, origin: str) -> None:
    assert (await server.post(CREATE, Origin=origin)).status == 403
    assert (await server.request("OPTIONS", "/message", Origin=origin)).status == 403
    await is_unharmed(server, bystander)


@ensure
async def test_post_on_the_public_site_is_not_found(server: Server, bystander: Client) -> None:
    for path in ("/message", "/metrics", "/health/live", "/"):
        for method in ("GET", "POST"):
            answer = await server.request(
                method, path, CREATE if method == "POST" else None, port=server.public
            )
            assert answer.status == 404
    await is_unharmed(server, bystander)


@pytest.mark.parametrize("case", cases("http_cases.json"), ids=lambda case: str(case["id"]))
@ensure
async def test_http_case(server: Server, bystander: Client, case: dict[str, Any]) -> None:
    asked, expected = case["request"], case["tuleaprt"]
    content = asked.get("body")
    if isinstance(content, dict):
        head = cases("http_cases.json")[0]["request"]["body"].removesuffix("{}}") + '"'
        content = head + "a" * (content["bytes"] - len(head) - 2) + '"}'
    headers = {name.replace("-", "_"): value for name, value in asked.get("headers", {}).items()}
    raw = None if content is None else content.encode()
    answer = await server.request(asked["method"], asked["path"], raw, **headers)
    allowed = expected["status"] if isinstance(expected["status"], list) else [expected["status"]]
    assert answer.status in allowed, case["better"]
    assert b"html" not in answer.body
    await is_unharmed(server, bystander)


@ensure
async def test_posts_on_one_connection_are_applied_in_order(server: Server, bystander: Client) -> None:
    import http.client

    from twisted.internet.threads import deferToThread

    def post_many() -> list[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.private)
        answers = []
        for number in range(10):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/message", CREATE.replace(b"321", b"%d" % number), headers)
            answers.append(connection.getresponse().read())
        connection.close()
        return answers

    assert len(set(await deferToThread(post_many))) == 10
    assert [it["kwargs"]["data"]["artifact_id"] for it in await received(bystander)] == list(range(10))
