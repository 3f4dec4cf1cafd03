"""The code of docs/own-page.rst, run as it stands there."""

import re

import pytest_twisted

from tests.campaigns import ALICE, BOB, create, delete, presence, update
from tests.end_to_end.processes import ROOT, Process
from tests.end_to_end.server import Server
from tests.fakes import MEMBER, ticket

ensure = pytest_twisted.ensureDeferred
PAGE = """
import autobahn from "autobahn";
import WebSocket from "ws";
globalThis.WebSocket = WebSocket;
const { URL_, TICKET } = process.env;
const connection = new autobahn.Connection({
  url: URL_,
  realm: "tuleap",
  authmethods: ["ticket"],
  onchallenge: () => TICKET,
});
connection.onopen = (session) => followCampaign(session, 9, {
  show: (viewers, podium) => console.log("show", JSON.stringify({
    viewers: Object.fromEntries(
      Object.entries(viewers).map(([id, all]) => [id, all.map((it) => it.username)])),
    podium: podium.map((it) => `${it.rank}. ${it.user.username} ${it.score}`),
  })),
  apply: (cmd) => console.log("apply", cmd),
});
connection.open();
"""


def followed_page() -> str:
    text = (ROOT / "docs" / "own-page.rst").read_text().partition("How a page follows a campaign")[2]
    block = re.search(r"\.\. code-block:: javascript\n\n((?:    .*\n|\n)+)", text)
    assert block is not None
    return re.sub(r"^    ", "", block[1], flags=re.MULTILINE).replace(
        "export async function", "async function"
    )


@ensure
async def test_the_page_shows_who_is_there_and_who_leads() -> None:
    server = await Server.start(TULEAPRT_PRESENCE__GRACE="1e6")
    for body in (presence(ALICE, 39), update(ALICE, 39, "passed")):
        assert (await server.post(body)).status == 200
    known = {"URL_": server.url, "TICKET": ticket(BOB, MEMBER)}
    page = Process.start(["/usr/bin/env", "node", "--input-type=module", "-e", followed_page() + PAGE], known)

    async def shows(what: str) -> None:
        await page.written(rf"^show {re.escape(what)}$")

    await shows('{"viewers":{"39":["alice"]},"podium":["1. alice 1"]}')
    for body, then in (
        (presence(ALICE, 40, 39), '{"viewers":{"39":[],"40":["alice"]},"podium":["1. alice 1"]}'),
        (update(BOB, 39, "failed"), '{"viewers":{"39":[],"40":["alice"]},"podium":["1. bob 1"]}'),
        (delete(40), '{"viewers":{"39":[]},"podium":["1. bob 1"]}'),
        (presence(ALICE, 41), '{"viewers":{"39":[],"41":["alice"]},"podium":["1. bob 1"]}'),
        (presence(ALICE, 41, 41), '{"viewers":{"39":[],"41":[]},"podium":["1. bob 1"]}'),
    ):
        assert (await server.post(body)).status == 200
        await shows(then)
    assert (await server.post(create(42))).status == 200
    await page.written("^apply testmanagement_execution:create$")
    assert [it for it in page.lines if it.startswith("apply")] == [
        "apply testmanagement_execution:update",
        "apply testmanagement_execution:delete",
        "apply testmanagement_execution:create",
    ]
    await page.stop("KILL")
    await server.process.stop("KILL")
