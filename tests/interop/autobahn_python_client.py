"""Drives Autobahn|Python for the tests: JSON commands on stdin, results and events on stdout, each a line."""

import json
import sys
from typing import Any

from autobahn.twisted.rawsocket import WampRawSocketClientFactory
from autobahn.twisted.wamp import ApplicationSession
from autobahn.twisted.websocket import WampWebSocketClientFactory
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import CallOptions, CallResult, ComponentConfig, PublishOptions, SubscribeOptions
from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.protocols.basic import LineOnlyReceiver

SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
sessions: dict[int, "Session"] = {}


class Refused(Exception):
    """The URI of the ABORT."""


def say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


class Session(ApplicationSession):
    """Joins with a token, or with none."""

    number: int
    ticket: str | None

    def __init__(self, config: ComponentConfig) -> None:
        super().__init__(config)
        self.opened: Deferred[dict[str, Any]] = Deferred()
        self.kept: dict[int, Any] = {}

    def onConnect(self) -> None:
        methods = ["anonymous"] if self.ticket is None else ["ticket"]
        self.join("tuleap", methods, "whoever")

    def onChallenge(self, challenge: object) -> str:
        assert self.ticket is not None
        return self.ticket

    def onJoin(self, details: Any) -> None:
        welcome = {"id": details.session, "authid": details.authid, "authrole": details.authrole}
        self.opened.callback(welcome)

    def onLeave(self, details: Any) -> None:
        if not self.opened.called:
            self.opened.errback(Refused(details.reason))
        self.disconnect()

    def onDisconnect(self) -> None:
        say({"session": self.number, "closed": "for good"})


async def open_session(session: int, url: str, serializer: str, ticket: str | None) -> dict[str, Any]:
    opening = Session(ComponentConfig("tuleap"))
    opening.number, opening.ticket = session, ticket
    sessions[session] = opening
    spoken = SERIALIZERS[serializer]()
    if url.startswith("rs://"):
        factory = WampRawSocketClientFactory(lambda: opening, spoken)
        host, _, port = url.removeprefix("rs://").partition(":")
    else:
        factory = WampWebSocketClientFactory(lambda: opening, url, serializers=[spoken])
        host, port = factory.host, factory.port
    await TCP4ClientEndpoint(reactor, host, int(port)).connect(factory)
    welcome: dict[str, Any] = await opening.opened
    return welcome


async def subscribe(session: int, topic: str, options: dict[str, Any]) -> int:
    def event(*args: Any, details: Any, **kwargs: Any) -> None:
        topic = details.topic if options.get("match", "exact") != "exact" else None
        say({"session": session, "event": {"args": args, "kwargs": kwargs, "topic": topic}})

    asked = SubscribeOptions(details=True, **options)
    subscription = await sessions[session].subscribe(event, topic, options=asked)
    sessions[session].kept[subscription.id] = subscription
    return int(subscription.id)


async def unsubscribe(session: int, subscription: int) -> None:
    await sessions[session].kept.pop(subscription).unsubscribe()


async def call(session: int, procedure: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    result = await sessions[session].call(procedure, *args, **kwargs, options=CallOptions(details=True))
    assert isinstance(result, CallResult)
    return {"args": result.results, "kwargs": result.kwresults}


async def publish(session: int, topic: str, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    await sessions[session].publish(topic, **kwargs, options=PublishOptions(acknowledge=True, **options))


async def leave(session: int) -> None:
    sessions[session].leave()


COMMANDS = {
    "open": open_session,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "call": call,
    "publish": publish,
    "leave": leave,
}


async def do(line: bytes) -> None:
    arguments = json.loads(line)
    id, command = arguments.pop("id"), arguments.pop("command")
    try:
        say({"id": id, "result": await COMMANDS[command](**arguments)})
    except ApplicationError as error:
        say({"id": id, "error": error.error})
    except Exception as error:
        say({"id": id, "error": str(error)})


class Commands(LineOnlyReceiver):
    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        ensureDeferred(do(line))


stdio.StandardIO(Commands())
sys.exit(reactor.run())
