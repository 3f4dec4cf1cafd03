"""Browsers: autobahn-js under Node and Autobahn|Python, behind one face."""

import json
from collections.abc import Awaitable
from itertools import count
from typing import Any, NamedTuple, Protocol

from autobahn.twisted.wamp import ApplicationSession
from autobahn.twisted.websocket import WampWebSocketClientFactory
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import (
    CallOptions,
    ComponentConfig,
    EventDetails,
    PublishOptions,
    SubscribeOptions,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from tests.end_to_end.processes import Process, patiently

BARRIER = "test.no.such.procedure"


class WampError(Exception):
    """The URI of an ERROR, or of the ABORT that refused the session."""


class Result(NamedTuple):
    """What a call is answered."""

    args: list[Any]
    kwargs: dict[str, Any]


class Client(Protocol):
    """One window. ``events`` are the EVENTs that it has received, ``closed`` the reason why its session
    ended.

    ``cleanly`` says whether both sides have closed the WebSocket; autobahn-js reconnects if not.
    """

    events: list[dict[str, Any]]
    closed: Deferred[str]
    cleanly: bool

    async def open(self, ticket: str, uuid: str | None = None, realm: str = "tuleap") -> dict[str, Any]: ...
    async def subscribe(self, topic: str, **options: Any) -> int: ...
    async def unsubscribe(self, id: int) -> None: ...
    async def call(self, procedure: str, *args: Any, **kwargs: Any) -> Result: ...
    async def publish(self, topic: str) -> int: ...
    async def register(self, procedure: str) -> None: ...
    async def leave(self) -> None: ...

    async def event(self, cmd: str) -> None:
        """Wait until one of this command is among the events."""


async def received(client: Client) -> list[dict[str, Any]]:
    """The events since the last call, all that were published before this call.

    A reply is sent after the events that were published before it, so any call will do.
    """
    try:
        await client.call(BARRIER)
    except WampError as error:
        assert str(error) == "wamp.error.no_such_procedure"
    events, client.events[:] = list(client.events), []
    return events


class _Window:
    """What all clients have."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.closed: Deferred[str] = Deferred()
        self.cleanly = False
        self._awaited: list[tuple[str, Deferred[None]]] = []

    def got(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        for awaited in [it for it in self._awaited if it[0] == event["kwargs"].get("cmd")]:
            self._awaited.remove(awaited)
            awaited[1].callback(None)

    async def event(self, cmd: str) -> None:
        if not any(it["kwargs"].get("cmd") == cmd for it in self.events):
            came: Deferred[None] = Deferred()
            self._awaited.append((cmd, came))
            await patiently(came, f"an event {cmd}")


class Script:
    """A Node process that takes commands and says what happens, each as a line of JSON."""

    def __init__(self, program: str, **environment: str) -> None:
        self.ids = count(1)
        self._pending: dict[int, Deferred[Any]] = {}
        self.process = Process.start(["/usr/bin/env", "node", program], environment)
        self.process.line = self._line  # type: ignore[method-assign]

    async def command(self, command: str, **arguments: Any) -> Any:
        id = next(self.ids)
        pending = self._pending[id] = Deferred()
        line = json.dumps({"id": id, "command": command, **arguments}) + "\n"
        self.process.transport.write(line.encode())
        return await patiently(pending, f"Node to {command}")

    def happened(self, report: dict[str, Any]) -> None:
        """The script reports something that no command has asked for."""
        raise NotImplementedError

    def _line(self, line: str) -> None:
        self.process.lines.append(line)
        if not line.startswith("{"):
            return
        message = json.loads(line)
        if "id" not in message:
            self.happened(message)
        elif "error" in message:
            self._pending.pop(message["id"]).errback(WampError(message["error"]))
        else:
            self._pending.pop(message["id"]).callback(message["result"])


class Node(Script):
    """One Node process with any number of autobahn-js connections."""

    def __init__(self, **environment: str) -> None:
        super().__init__("tests/end_to_end/autobahn_js.mjs", **environment)
        self._clients: dict[int, JsClient] = {}

    def client(self, url: str) -> "JsClient":
        client = JsClient(self, url, next(self.ids))
        self._clients[client.id] = client
        return client

    def happened(self, report: dict[str, Any]) -> None:
        client = self._clients[report["client"]]
        if "event" in report:
            client.got(report["event"])
        elif "reopened" in report:
            client.reopened.callback(None)
        elif "revoked" in report:
            client.revoked.append((report["revoked"], report["reason"]))
        else:
            client.cleanly = report["closed"] == "closed"
            client.closed.callback(report["reason"] or report["closed"])


class JsClient(_Window):
    """A Client on autobahn-js. ``revoked`` are the subscriptions that the server has ended, with the
    reasons.

    It reconnects only on command (``comes_back``); the library does so by itself.
    """

    def __init__(self, node: Node, url: str, id: int) -> None:
        super().__init__()
        self.id = id
        self.revoked: list[tuple[int, str]] = []
        self.comes_back = False
        self.reopened: Deferred[None] = Deferred()
        self._node = node
        self._url = url

    async def _do(self, command: str, **arguments: Any) -> Any:
        return await self._node.command(command, client=self.id, **arguments)

    async def open(self, ticket: str, uuid: str | None = None, realm: str = "tuleap") -> dict[str, Any]:
        extra: dict[str, Any] = {} if uuid is None else {"uuid": uuid}
        extra["comes_back"] = self.comes_back
        opened: dict[str, Any] = await self._do("open", url=self._url, ticket=ticket, realm=realm, **extra)
        if "refused" in opened:
            raise WampError(opened["refused"])
        return opened

    async def subscribe(self, topic: str, **options: Any) -> int:
        id: int = await self._do("subscribe", topic=topic, options=options)
        return id

    async def unsubscribe(self, id: int) -> None:
        await self._do("unsubscribe", subscription=id)

    async def call(self, procedure: str, *args: Any, **kwargs: Any) -> Result:
        return Result(**await self._do("call", procedure=procedure, args=args, kwargs=kwargs))

    async def publish(self, topic: str) -> int:
        id: int = await self._do("publish", topic=topic)
        return id

    async def register(self, procedure: str) -> None:
        await self._do("register", procedure=procedure)

    async def leave(self) -> None:
        await self._do("leave")


class _Session(ApplicationSession):
    """An Autobahn|Python session that hands everything to its client."""

    client: "PythonClient"

    def onConnect(self) -> None:
        extra = {} if self.client.uuid is None else {"uuid": self.client.uuid}
        self.join(self.config.realm, ["ticket"], "whoever", authextra=extra)

    def onChallenge(self, challenge: object) -> str:
        return self.client.ticket

    def onJoin(self, details: Any) -> None:
        opened = {"authid": details.authid, "authrole": details.authrole, "authextra": details.authextra}
        self.client.opened.callback(opened)

    def onLeave(self, details: Any) -> None:
        if not self.client.opened.called:
            self.client.opened.errback(WampError(details.reason))
        self.client.reason = details.reason
        self.disconnect()

    def onDisconnect(self) -> None:
        self.client.closed.callback(self.client.reason)


class PythonClient(_Window):
    """A Client on Autobahn|Python."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.opened: Deferred[dict[str, Any]] = Deferred()
        self.reason = "connection lost"
        self.ticket = ""
        self.uuid: str | None = None
        self._url = url
        self._subscriptions: dict[int, Any] = {}

    async def open(self, ticket: str, uuid: str | None = None, realm: str = "tuleap") -> dict[str, Any]:
        self.ticket, self.uuid = ticket, uuid
        self._session = _Session(ComponentConfig(realm=realm))
        self._session.client = self
        factory = WampWebSocketClientFactory(lambda: self._session, self._url, serializers=[JsonSerializer()])
        protocol = await TCP4ClientEndpoint(reactor, factory.host, factory.port).connect(factory)
        self.closed.addCallback(self._note_how, protocol)
        return await self.opened

    def _note_how(self, reason: str, protocol: Any) -> str:
        self.cleanly = protocol.wasClean
        return reason

    async def _do(self, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except ApplicationError as error:
            raise WampError(error.error) from None

    async def subscribe(self, topic: str, **options: Any) -> int:
        is_again = False

        def event(*args: Any, details: EventDetails, **kwargs: Any) -> None:
            # The library hands an EVENT to each handler of its subscription.
            if not is_again:
                self.got({"args": list(args), "kwargs": kwargs, "publication": details.publication})

        asked = SubscribeOptions(details=True, **options)
        subscription = await self._do(self._session.subscribe(event, topic, options=asked))
        is_again = subscription.id in self._subscriptions
        self._subscriptions.setdefault(subscription.id, subscription)
        return int(subscription.id)

    async def unsubscribe(self, id: int) -> None:
        await self._do(self._subscriptions.pop(id).unsubscribe())

    async def call(self, procedure: str, *args: Any, **kwargs: Any) -> Result:
        options = CallOptions(details=True)
        result = await self._do(self._session.call(procedure, *args, **kwargs, options=options))
        return Result(list(result.results), result.kwresults)

    async def publish(self, topic: str) -> int:
        asked = self._session.publish(topic, options=PublishOptions(acknowledge=True))
        return int((await self._do(asked)).id)

    async def register(self, procedure: str) -> None:
        await self._do(self._session.register(lambda: None, procedure))

    async def pings(self, number: int) -> None:
        """Wait until so many pings from now on have been answered."""
        protocol, answered, counted = self._session._transport, Deferred[None](), count(1)
        answer = protocol.onPing

        def ping(payload: bytes) -> None:
            answer(payload)
            if next(counted) == number:
                answered.callback(None)

        protocol.onPing = ping
        await patiently(answered, f"{number} pings")

    async def leave(self) -> None:
        self._session.leave()
