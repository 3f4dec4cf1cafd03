"""The page of docs/client.rst, run as it stands there."""

import re

import pytest_twisted

from tests.campaigns import ALICE, BOB, update
from tests.end_to_end.processes import ROOT, Process
from tests.end_to_end.server import Server
from tests.fakes import MEMBER, body, ticket

ensure = pytest_twisted.ensureDeferred


def script() -> str:
    text = (ROOT / "docs" / "client.rst").read_text()
    block = re.search(r"\.\. code-block:: html\n\n((?:    .*\n|\n)+)", text)
    assert block is not None
    found = re.search(r'<script type="module">\n(.*)</script>', block[1], re.DOTALL)
    assert found is not None
    return found[1]


@ensure
async def test_the_page_shows_the_board_the_news_and_the_best_tester() -> None:
    server = await Server.start()
    known = {"PORT": str(server.public), "TICKET": ticket(BOB, MEMBER)}
    page = Process.start(["/usr/bin/env", "node", "tests/client/page.mjs"], known)
    page.transport.write(script().encode())
    page.transport.closeStdin()
    await page.written("^show state live$")
    await page.written('^show board {"label":"the board"}$')
    assert (await server.post(body(data=321))).status == 200
    await page.written("^show news kanban_item:create 321")
    assert (await server.post(update(ALICE, 39, "passed"))).status == 200
    await page.written("^show best alice$")

    before = len(page.lines)
    port = f'["tcp:{server.public}:interface=127.0.0.1"]'
    await server.process.stop()
    await page.written_since(before, r"^show state reconnecting in [\d.]+ s$")
    server = await Server.start(TULEAPRT_LISTEN__PUBLIC=port)
    await page.written_since(before, "^show state live$")
    await page.written_since(before, "^show board ")
    await page.written_since(before, "^show best nobody$")
    await page.stop("KILL")
    await server.process.stop("KILL")
