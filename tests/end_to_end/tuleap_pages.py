"""Tuleap's pages on npm's socket.io-client, in one Node process."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from tests.end_to_end.clients import Script
from tests.end_to_end.processes import patiently

KANBAN_PAGE, CAMPAIGN_PAGE = "/", "/testmanagement"
NEWEST = "4.8"
POLLING, WEBSOCKET = ["polling"], ["websocket"]
BOTH = ["polling", "websocket"]
"""The library's default order: it begins with polling and upgrades."""


class Pages(Script):
    """One Node process with any number of pages."""

    def __init__(self) -> None:
        super().__init__("tests/end_to_end/socketio_js.mjs")
        self._pages: dict[int, TuleapPage] = {}

    def page(
        self, url: str, namespace: str = KANBAN_PAGE, version: str = NEWEST, **options: Any
    ) -> "TuleapPage":
        page = TuleapPage(self, url, namespace, version, options, next(self.ids))
        self._pages[page.id] = page
        return page

    def happened(self, report: dict[str, Any]) -> None:
        self._pages[report.pop("client")].took(report)


class TuleapPage:
    """One page. ``happened`` is everything that the library has reported, in order, until it is awaited."""

    def __init__(
        self, pages: Pages, url: str, namespace: str, version: str, options: dict[str, Any], id: int
    ) -> None:
        self.id = id
        self.namespace = namespace
        self.happened: list[dict[str, Any]] = []
        self._pages = pages
        self._opening = {"url": url, "namespace": namespace, "version": version, "options": options}
        self._awaited: Deferred[None] | None = None

    async def open(self) -> Any:
        """The id of the socket and the transport, or why the namespace was refused."""
        return await self._do("open", **self._opening)

    async def emit(self, name: str, argument: Any) -> None:
        await self._do("emit", name=name, argument=argument)

    async def subscribe(self, token: str, room_id: int | str, uuid: str) -> None:
        await self.emit(
            "subscription",
            {"nodejs_server_version": "2.0.0", "token": token, "room_id": room_id, "uuid": uuid},
        )

    async def vanish(self) -> None:
        await self._do("vanish")

    async def break_off(self) -> None:
        await self._do("break")

    async def leave(self) -> None:
        await self._do("leave")

    async def happens(self, wanted: Callable[[dict[str, Any]], bool]) -> int:
        """Wait for such a report, and return its place. Nothing is forgotten."""
        while True:
            for place, report in enumerate(self.happened):
                if wanted(report):
                    return place
            self._awaited = Deferred()
            await patiently(self._awaited, f"a report of page {self.id}; so far: {self.happened}")

    async def next(self, kind: str, value: Any = None) -> dict[str, Any]:
        """The next report of a kind (with this value), and forget all that came before it."""
        place = await self.happens(lambda it: kind in it and value in (None, it[kind]))
        report = self.happened[place]
        del self.happened[: place + 1]
        return report

    async def event(self, cmd: str) -> Any:
        """The data of the next event of this command."""
        while (event := (await self.next("event"))["event"])["cmd"] != cmd:
            pass
        return event["data"]

    async def upgraded(self) -> None:
        await self.next("upgraded", "websocket")

    def events(self) -> list[dict[str, Any]]:
        """The events that have come and were not awaited."""
        return [it["event"] for it in self.happened if "event" in it]

    def took(self, report: dict[str, Any]) -> None:
        self.happened.append(report)
        if self._awaited is not None:
            awaited, self._awaited = self._awaited, None
            awaited.callback(None)

    async def _do(self, command: str, **arguments: Any) -> Any:
        return await self._pages.command(command, client=self.id, **arguments)
