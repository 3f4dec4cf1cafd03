"""Tuleap's pages through nginx, with the location that Tuleap's own file has for its Node server."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import Nginx
from tests.end_to_end.tuleap_pages import BOTH, CAMPAIGN_PAGE, POLLING, WEBSOCKET, Pages
from tests.fakes import ticket, wire
from tests.web.requests import Answer

ensure = pytest_twisted.ensureDeferred

# What the location does, by contract 8: the Connection header is set for every request, polls included.
LOCATION = """
location /local-socket.io {{
    proxy_pass http://127.0.0.1:{private};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "Upgrade";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Host $host;
}}
"""


@pytest_twisted.async_yield_fixture(scope="module")
async def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nginx]:
    prefix = tmp_path_factory.mktemp("nginx") / "prefix"
    nginx = await Nginx.start_with(prefix, LOCATION.format(private=server.private))
    yield nginx
    await nginx.process.stop("TERM")


@pytest.mark.parametrize("version", ["4.6", "4.7", "4.8"])
@pytest.mark.parametrize("transports", [WEBSOCKET, POLLING, BOTH], ids="+".join)
@ensure
async def test_a_page_gets_its_viewers_and_events(
    server: Server, nginx: Nginx, pages: Pages, transports: list[str], version: str
) -> None:
    page = pages.page(nginx.origin, CAMPAIGN_PAGE, version, transports=transports)
    await page.open()
    if transports == BOTH:
        await page.upgraded()
    await page.subscribe(ticket(101), "testmanagement_9", "u-page")
    assert await page.event("presences") == {}
    await server.post(wire("testmanagement_campaign_update"))
    await page.event("testmanagement_campaign:update")
    await page.leave()
    assert server.tracebacks() == []


@pytest.mark.parametrize(
    "path",
    [
        "/message",
        "/metrics",
        "/health/ready",
        "/sessions/101",
        "/local-socket.io/../message",
        "/local-socket.io/..%2fmessage",
        "/local-socket.io/%2e%2e/metrics",
        "/local-socket.io//metrics",
        "/local-socket.iometrics",
        "/local-socket.io/metrics",
        "/local-socket.io/..;/metrics",
        "/local-socket.io%2f..%2fmetrics",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@ensure
async def test_attack_nothing_else_of_the_private_site_is_reachable(
    server: Server, nginx: Nginx, path: str, method: str
) -> None:
    published = await server.metric("publications_total")
    body = wire("kanban_item_create") if method == "POST" else None
    answer = await server.request(method, path, body, nginx.port, Content_Type="application/json")
    assert answer.status in (400, 403, 404, 405)
    assert await server.metric("publications_total") == published


@ensure
async def test_attack_a_page_of_another_site_is_refused(server: Server, nginx: Nginx) -> None:
    for query in ("?EIO=4&transport=polling", "?EIO=4&transport=websocket"):
        answer = await server.request(
            "GET", f"/local-socket.io/{query}", None, nginx.port, Origin="https://evil.example"
        )
        assert (answer.status, answer.json["code"]) == (403, 4)


@ensure
async def test_the_log_names_the_client_behind_nginx(server: Server, nginx: Nginx) -> None:
    async def ask(method: str, query: str, body: bytes | None = None) -> Answer:
        path = f"/local-socket.io/?EIO=4&transport=polling{query}"
        # As another proxy before nginx adds it: nginx's own peer is a known proxy here.
        return await server.request(method, path, body, nginx.port, X_Forwarded_For="203.0.113.9")

    sid = json.loads((await ask("GET", "")).body[1:])["sid"]
    assert (await ask("POST", f"&sid={sid}", b'40\x1e42["subscription",{}]')).status == 200
    assert (await ask("GET", f"&sid={sid}")).body.endswith(b"41\x1e1")
    await server.process.written(r"203\.0\.113\.9 via tcp4:127\.0\.0\.1:\d+ closed: refused")
