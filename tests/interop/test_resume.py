"""The code of docs/own-page.rst, run unchanged through a connection that can be cut."""

import re
from typing import Any

import pytest
import pytest_twisted

from tests.end_to_end.line import Line
from tests.end_to_end.processes import ROOT, Process
from tests.end_to_end.server import Server
from tests.fakes import KANBAN, body, ticket

ensure = pytest_twisted.ensureDeferred
PAGE = """
import { createInterface } from "node:readline";
import WebSocket from "ws";
// In a browser nobody need listen to an error; package ws ends the process.
globalThis.WebSocket = class extends WebSocket {
  constructor(...options) { super(...options); this.on("error", () => {}); }
};
const { URL_, TOPIC, TICKET, REST, PING_INTERVAL, PING_TIMEOUT } = process.env;
// The board, read by an interface that answers when it is told to.
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function load() {
  console.log("load");
  if (REST && (await answers.next()).value !== "200") throw new Error("the board could not be read");
}
follow({
  url: URL_,
  topic: TOPIC,
  uuid: "the page",
  getTicket: async () => TICKET,
  load,
  apply: (cmd, data) => console.log("apply", cmd, data),
  ...(PING_INTERVAL && { pingInterval: Number(PING_INTERVAL), pingTimeout: Number(PING_TIMEOUT) }),
});
"""


def recipe() -> str:
    text = (ROOT / "docs" / "own-page.rst").read_text()
    block = re.search(r"\.\. code-block:: javascript\n\n((?:    .*\n|\n)+)", text)
    assert block is not None
    return re.sub(r"^    ", "", block[1], flags=re.MULTILINE).replace("export function", "function")


def open_page(port: int, **environment: str) -> Process:
    known = {"URL_": f"ws://127.0.0.1:{port}/ws", "TOPIC": KANBAN, "TICKET": ticket(), **environment}
    return Process.start(["/usr/bin/env", "node", "--input-type=module", "-e", recipe() + PAGE], known)


async def post(server: Server, *numbers: int, **changes: Any) -> None:
    for number in numbers:
        assert (await server.post(body(data=number, **changes))).status == 200


def shown(page: Process) -> list[str]:
    """What the page did; autobahn-js writes about itself too."""
    lines = [line.replace("apply kanban_item:create ", "") for line in page.lines]
    return [line for line in lines if re.fullmatch(r"load|\d+", line)]


@ensure
async def test_a_page_misses_nothing_sees_nothing_twice_and_knows_when_it_must_load() -> None:
    server = await Server.start()
    line = Line(server.public)
    page = open_page(line.port)
    await page.written("^load$")
    await post(server, 1)
    await page.written("apply kanban_item:create 1$")

    await line.cut()
    await post(server, 2, 3)
    await post(server, 99, sender_user_id=102, sender_uuid="the page")
    line.mend()
    await page.written("apply kanban_item:create 3$")
    await post(server, 4)
    await page.written("apply kanban_item:create 4$")
    assert shown(page) == ["load", "1", "2", "3", "4"]

    before = len(page.lines)
    address = f'["tcp:{server.public}:interface=127.0.0.1"]'
    await server.process.stop()
    server = await Server.start(TULEAPRT_LISTEN__PUBLIC=address)
    await page.written_since(before, "^load$")
    await post(server, 5)
    await page.written("apply kanban_item:create 5$")
    assert shown(page) == ["load", "1", "2", "3", "4", "load", "5"]
    await page.stop("KILL")
    await line.cut()
    await server.process.stop("KILL")


@pytest.mark.parametrize("stalled", [{}, {"to_client": False}, {"to_server": False}])
@ensure
async def test_a_page_whose_network_dies_without_a_word_opens_another_connection(
    stalled: dict[str, bool],
) -> None:
    server = await Server.start()
    line = Line(server.public)
    page = open_page(line.port, PING_INTERVAL="1", PING_TIMEOUT="2")
    await page.written("^load$")
    await post(server, 1)
    await page.written("apply kanban_item:create 1$")
    line.stall(**stalled)
    await post(server, 2)
    await line.another()
    await post(server, 3)
    await page.written("apply kanban_item:create 3$")
    line.release()
    await post(server, 4)
    await page.written("apply kanban_item:create 4$")
    assert shown(page) == ["load", "1", "2", "3", "4"]
    await page.stop("KILL")
    await line.cut()
    await server.process.stop("KILL")


@ensure
async def test_a_server_that_answers_keeps_the_connection() -> None:
    server = await Server.start()
    line = Line(server.public)
    page = open_page(line.port, PING_INTERVAL="0.01", PING_TIMEOUT="30")
    await page.written("^load$")
    for number in range(1, 21):
        await post(server, number)
        await page.written(f"apply kanban_item:create {number}$")
    assert len(line.connections) == 1
    await page.stop("KILL")
    await line.cut()
    await server.process.stop("KILL")


@ensure
async def test_a_board_that_was_loading_when_the_line_was_cut_is_loaded_again() -> None:
    server = await Server.start()
    line = Line(server.public)
    page = open_page(line.port, REST="slow")
    await page.written("^load$")
    await post(server, 1)
    await line.cut()
    before = len(page.lines)
    line.mend()
    await page.written_since(before, "^load$")
    page.transport.write(b"200\n200\n")
    await post(server, 2)
    await page.written("apply kanban_item:create 2$")
    assert shown(page) == ["load", "load", "2"]
    await page.stop("KILL")
    await line.cut()
    await server.process.stop("KILL")


@ensure
async def test_a_board_that_could_not_be_read_is_read_again() -> None:
    server = await Server.start()
    page = open_page(server.public, REST="broken")
    await page.written("^load$")
    before = len(page.lines)
    page.transport.write(b"500\n200\n")
    await page.written_since(before, "^load$")
    await post(server, 1)
    await page.written("apply kanban_item:create 1$")
    assert shown(page) == ["load", "load", "1"]
    await page.stop("KILL")
    await server.process.stop("KILL")


@ensure
async def test_a_page_whose_ticket_has_expired_goes_on_with_another() -> None:
    server = await Server.start(TULEAPRT_REALTIME__MAX_TOKEN_LIFETIME="1")
    page = open_page(server.public)
    await page.written("^load$")
    await server.process.written("closed: ticket expired")
    await post(server, 1)
    await page.written("apply kanban_item:create 1$")
    assert shown(page) == ["load", "1"]
    await page.stop("KILL")
    await server.process.stop("KILL")
