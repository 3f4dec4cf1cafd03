"""Tokens, shown to a running server by real clients."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
import pytest_twisted

from tests.end_to_end.clients import PythonClient, WampError
from tests.end_to_end.server import Server
from tests.fakes import FIXTURES, KEY, cases, ticket

ensure = pytest_twisted.ensureDeferred
RECORDED_AT = json.loads((FIXTURES / "jwt_cases.json").read_text())["now"]
OTHER_KEYS = {"J06": b"k" * 64, "J07": base64.b64decode(KEY), "J08": KEY + b"\n"}
DENIED, EXPIRED = "wamp.error.authentication_denied", "org.tuleap.error.token_expired"


def moved_to_now(id: str, token: str) -> str:
    """The recorded token with its times moved to today, signed as it was signed."""
    parts = token.split(".")
    if len(parts) != 3:
        return token
    header, claims = (json.loads(base64.urlsafe_b64decode(it + "==")) for it in parts[:2])
    moved = int(time.time() - RECORDED_AT)
    for name in ("exp", "nbf", "iat"):
        if type(claims.get(name)) in (int, float):
            # ``nbf`` of J22 must be too far ahead even if the machine is busy.
            claims[name] += moved + (30 if name == "nbf" else 0)
    if isinstance(claims.get("exp"), str):
        claims["exp"] = str(int(claims["exp"]) + moved)
    signed = [_segment(header), _segment(claims)]
    algorithm = header["alg"] if header["alg"].startswith("HS") else "HS256"
    signature = b""
    if header["alg"] != "none":
        content = ".".join(signed).encode()
        signature = jwt.get_algorithm_by_name(algorithm).sign(content, OTHER_KEYS.get(id, KEY))
    return ".".join([*signed, base64.urlsafe_b64encode(signature).rstrip(b"=").decode()])


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# J28 is no token at all, which no client can send: see test_hostile_browsers.
SENT = [case for case in cases("jwt_cases.json") if case["token"] is not None]


@pytest.mark.parametrize("case", SENT, ids=lambda case: str(case["id"]))
@ensure
async def test_case(server: Server, node: Any, case: dict[str, Any]) -> None:
    client = node.client(server.url)
    token = moved_to_now(case["id"], case["token"])
    if case["tuleaprt"]["accepted"]:
        assert (await client.open(token))["authid"] == "101"
    else:
        with pytest.raises(WampError) as refused:
            await client.open(token)
        expired = case["reference"].get("reason") == "expired"
        assert str(refused.value) == (EXPIRED if expired else DENIED), case["why"]


@ensure
async def test_a_refused_window_does_not_try_again(window: Any) -> None:
    client = window()
    with pytest.raises(WampError, match=DENIED):
        await client.open(ticket(key=b"k" * 64))
    assert await client.closed == DENIED


@ensure
async def test_another_realm_is_refused(window: Any) -> None:
    with pytest.raises(WampError, match=r"wamp\.error\.no_such_realm"):
        await window().open(ticket(), realm="realm1")


@ensure
async def test_a_window_is_told_when_its_ticket_has_expired(node: Any) -> None:
    # The token itself lives long, so it cannot expire on a slow machine before it is shown.
    server = await Server.start(TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="0.5")
    for client in (node.client(server.url), PythonClient(server.url)):
        await client.open(ticket())
        assert await client.closed == EXPIRED
        assert client.cleanly
    await server.process.stop()


@ensure
async def test_no_ticket_is_ever_logged(server: Server, window: Any) -> None:
    good, bad = ticket(), ticket(key=b"k" * 64)
    await window().open(good)
    with pytest.raises(WampError):
        await window().open(bad)
    written = "\n".join(server.process.lines)
    assert KEY.decode() not in written
    for token in (good, bad):
        assert not any(part in written for part in token.split(".")[1:])
