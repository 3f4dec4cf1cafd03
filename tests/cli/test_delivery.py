"""``tuleaprt check-delivery``: a post and a page through a real nginx."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.certificates import Authority
from tests.cli.conftest import Tuleaprt
from tests.end_to_end.server import Server
from tests.end_to_end.test_nginx import AROUND, Nginx, free_port
from tests.end_to_end.test_socketio_nginx import LOCATION

ensure = pytest_twisted.ensureDeferred

# The port of the test is not that of https, and Tuleap's nginx passes on the host without its port.
PORTLESS = ("$host;", "$http_host;")
TLS = """
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {prefix}/../chain.pem;
        ssl_certificate_key {prefix}/../key.pem;
        server_name tuleap.example.com;
"""


@pytest_twisted.async_yield_fixture(scope="module")
async def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    pem = Authority(folder).leaf("DNS:tuleap.example.com")
    (folder / "chain.pem").write_bytes(pem.chain)
    (folder / "key.pem").write_bytes(pem.key)
    around = AROUND.replace("        listen 127.0.0.1:{port};\n", TLS)
    location = LOCATION.format(private=server.private).replace(*PORTLESS)
    nginx = await Nginx.start_with(folder / "prefix", location, around)
    yield nginx
    await nginx.process.stop("TERM")


@ensure
async def test_a_post_reaches_a_page_through_tls(nginx: Nginx, server: Server, tuleaprt: Tuleaprt) -> None:
    posts = await server.metric("messages_total")
    url = f"https://tuleap.example.com:{nginx.port}"
    process = tuleaprt("check-delivery", url)
    assert await process.ended() == 0, process.lines
    assert process.lines == [f"a post reaches a page through {url}"]
    assert await server.metric("messages_total") == posts + 1
    assert await server.metric("deliveries_total") >= 1


async def reason(process: object) -> str:
    assert await process.ended() == 1, process.lines  # type: ignore[attr-defined]
    (line,) = process.lines  # type: ignore[attr-defined]
    return str(line)


@ensure
async def test_a_site_that_passes_nothing_on_is_named(server: Server, tuleaprt: Tuleaprt) -> None:
    # The server's own public site has no page at this address.
    text = await reason(tuleaprt("check-delivery", f"http://localhost:{free_port()}"))
    assert "cannot connect to nginx at 127.0.0.1:" in text


@ensure
async def test_a_refusal_on_the_way_is_reported(
    server: Server, nginx: Nginx, tuleaprt: Tuleaprt, tmp_path: Path
) -> None:
    elsewhere = LOCATION.format(private=free_port())
    broken = await Nginx.start_with(tmp_path / "prefix", elsewhere)
    text = await reason(tuleaprt("check-delivery", broken.origin))
    assert "no answer of the server through nginx" in text
    assert "502" in text
    await broken.process.stop("TERM")


@ensure
async def test_a_key_that_is_not_tuleaps_is_noticed(nginx: Nginx, tuleaprt: Tuleaprt) -> None:
    url = f"https://tuleap.example.com:{nginx.port}"
    text = await reason(tuleaprt("check-delivery", url, PRIVATE_KEY="x" * 88))
    assert "the server does not accept the subscription" in text


@ensure
async def test_a_private_site_that_is_another_server_is_noticed(
    nginx: Nginx, server: Server, tuleaprt: Tuleaprt
) -> None:
    url = f"https://tuleap.example.com:{nginx.port}"
    text = await reason(tuleaprt("check-delivery", url, "--private-url", f"http://127.0.0.1:{server.public}"))
    assert "a post is answered 404" in text


@pytest.mark.parametrize(
    "url", ["tuleap.example.com", "ftp://a", "https://", "https://a/kanban", "https://a:b"]
)
@ensure
async def test_what_is_no_address_is_refused(url: str, tuleaprt: Tuleaprt) -> None:
    assert "is not the address of a site" in await reason(tuleaprt("check-delivery", url))
