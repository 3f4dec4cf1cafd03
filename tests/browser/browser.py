"""Headless Chromium, and the live page in it: windows of several users of one substitute and one server."""

import json
import socket
import sys
import time
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from demo.users import operator_ticket
from tests.end_to_end.line import Line
from tests.end_to_end.processes import Process, patiently
from tests.end_to_end.server import Server
from tests.fakes import KEY

MEMBER, TESTER, RESTRICTED, OUTSIDER = 101, 102, 140, 150


TILES_AND_ROWS = """() => Object.fromEntries(["sessions", "subscriptions"].map((name) => {
  const tile = Number(document.querySelector(`[data-count="${name}"] dd`).textContent);
  return [name, [tile, document.querySelectorAll(`#${name} tr`).length]];
}))"""
"""Of the inspector, in one evaluation: each tile, and the number of rows in the table below it."""


class BrowserError(Exception):
    """What Playwright says, usually that it has waited in vain."""


class Browser:
    """One Chromium; each window is a context of its own, so nothing is shared between them."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._pending: dict[int, Deferred[Any]] = {}
        self.process = Process.start(["/usr/bin/env", "node", "tests/browser/driver.mjs"], {})
        self.process.line = self._line  # type: ignore[method-assign]

    def _line(self, line: str) -> None:
        self.process.lines.append(line)
        if not line.startswith("{"):
            return
        message = json.loads(line)
        pending = self._pending.pop(message["id"])
        if "error" in message:
            pending.errback(BrowserError(message["error"]))
        else:
            pending.callback(message["result"])

    async def command(self, command: str, **arguments: Any) -> Any:
        id = next(self._ids)
        pending = self._pending[id] = Deferred()
        self.process.transport.write(
            (json.dumps({"id": id, "command": command, **arguments}) + "\n").encode()
        )
        return await patiently(
            pending, f"Chromium to {command} {arguments}; it wrote {self.process.lines[-3:]}"
        )


class Window:
    """One window of the live page."""

    _ids = count(1)

    def __init__(self, browser: Browser) -> None:
        self.id = next(self._ids)
        self._browser = browser

    async def do(self, command: str, **arguments: Any) -> Any:
        return await self._browser.command(command, window=self.id, **arguments)

    async def click(self, selector: str) -> None:
        await self.do("click", selector=selector)

    async def fill(self, selector: str, text: str) -> None:
        await self.do("fill", selector=selector, text=text)

    async def press(self, selector: str, key: str) -> None:
        await self.do("press", selector=selector, key=key)

    async def see(self, selector: str) -> None:
        await self.do("wait", selector=selector)

    async def miss(self, selector: str) -> None:
        """Wait until it is not there, or not to be seen."""
        await self.do("wait", selector=selector, state="hidden")

    async def texts(self, selector: str) -> list[str]:
        found: list[str] = await self.do("texts", selector=selector)
        return found

    async def values(self, selector: str, name: str) -> list[str]:
        found: list[str] = await self.do("values", selector=selector, name=name)
        return found

    async def is_live(self) -> None:
        await self.see('#state[data-state="live"]')

    async def cards(self, column: int | str) -> list[int]:
        found = await self.values(f"{in_column(column)} .card", "data-id")
        return [int(id) for id in found]

    async def complaints(self) -> list[str]:
        """What the console shows in red, and requests to elsewhere."""
        found: list[str] = await self.do("complaints")
        return found


def in_column(column: int | str) -> str:
    return f'.column[data-id="{column}"]'


def card(id: int) -> str:
    return f'.card[data-id="{id}"]'


def execution(id: int) -> str:
    return f'.test[data-id="{id}"]'


async def tiles_and_rows(inspector: Window) -> dict[str, list[int]]:
    found: dict[str, list[int]] = await inspector.do("evaluate", expression=f"({TILES_AND_ROWS})()")
    return found


class Site:
    """The substitute, and the server that it posts to: it may be started again on the same ports."""

    def __init__(self, page: Process, url: str, environment: dict[str, str]) -> None:
        self.page = page
        self.url = url
        self._environment = environment
        self.server: Server
        self.line = Line(_port_of(environment["TULEAPRT_LISTEN__PUBLIC"]))

    @classmethod
    async def start(cls, *, cards: int = 0, is_empty: bool = False, **environment: str) -> "Site":
        arguments = ["-m", "demo.server", "--listen", "127.0.0.1:0", "--cards", str(cards)]
        page = Process.start([sys.executable, *arguments, *(["--empty"] if is_empty else [])], {})
        url = (await page.written(r"page listens on (\S+)$"))[1]
        site = cls(
            page,
            url,
            {
                "TULEAPRT_WEBSOCKET__ALLOWED_ORIGINS": json.dumps([url]),
                "TULEAPRT_LISTEN__PRIVATE": _endpoint(),
                "TULEAPRT_LISTEN__PUBLIC": _endpoint(),
                **environment,
            },
        )
        await site.start_server()
        return site

    async def start_server(self) -> None:
        self.server = await Server.start(**self._environment)
        self.tell_the_page()
        await self.server.process.written(r"audit: operator 1 .* seed")

    def tell_the_page(self, private: int | None = None, key: bytes = KEY) -> None:
        """Where the server is, and its key. Another port or key is wrong."""
        addresses = {
            "private": f"127.0.0.1:{private or self.server.private}",
            "public": f"127.0.0.1:{self.line.port}",
            "key": key.decode(),
        }
        self.page.transport.write((json.dumps(addresses) + "\n").encode())

    async def revoke(self, user: int) -> None:
        """End the user's sessions, and refuse the tokens that the user has."""
        token = operator_ticket(KEY, time.time())
        answer = await self.server.request("DELETE", f"/sessions/{user}", Authorization=f"Bearer {token}")
        assert answer.status == 200, answer

    async def stop(self) -> None:
        await self.line.cut()
        await self.server.process.stop("KILL")
        self.page.transport.closeStdin()
        await self.page.ended()


def _port_of(endpoints: str) -> int:
    """The port of the only endpoint of an option."""
    [endpoint] = json.loads(endpoints)
    return int(endpoint.split(":")[1])


def _endpoint() -> str:
    """A port that is free now, and will be taken again after a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return json.dumps([f"tcp:{probe.getsockname()[1]}:interface=127.0.0.1"])
