"""Drives xconn for the tests: one JSON command a line on stdin, one JSON result or event a line on stdout."""

import asyncio
import json
import sys
from typing import Any

from wampproto.exception import ApplicationError as Refused
from xconn import (
    AnonymousAuthenticator,
    AsyncClient,
    CBORSerializer,
    JSONSerializer,
    MsgPackSerializer,
    TicketAuthenticator,
)
from xconn.exception import ApplicationError

SERIALIZERS = {"json": JSONSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
sessions: dict[int, Any] = {}
subscriptions: dict[tuple[int, int], Any] = {}


def say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


async def open_session(session: int, url: str, serializer: str, ticket: str | None) -> dict[str, Any]:
    async def disconnected() -> None:
        say({"session": session, "closed": "for good"})

    who = AnonymousAuthenticator("") if ticket is None else TicketAuthenticator("whoever", ticket)
    client = AsyncClient(who, SERIALIZERS[serializer]())
    sessions[session] = opened = await client.connect(url, "tuleap", disconnect_callback=disconnected)
    details = opened._base_session.session_details
    return {"id": details.session_id, "authid": details.authid, "authrole": details.authrole}


async def subscribe(session: int, topic: str, options: dict[str, Any]) -> int:
    async def event(event: Any) -> None:
        topic = event.details.get("topic")
        say({"session": session, "event": {"args": event.args, "kwargs": event.kwargs, "topic": topic}})

    subscription = await sessions[session].subscribe(topic, event, options)
    subscriptions[session, subscription.subscription_id] = subscription
    return int(subscription.subscription_id)


async def unsubscribe(session: int, subscription: int) -> None:
    await subscriptions.pop((session, subscription)).unsubscribe()


async def call(session: int, procedure: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    result = await sessions[session].call(procedure, args, kwargs)
    return {"args": result.args, "kwargs": result.kwargs}


async def publish(session: int, topic: str, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    await sessions[session].publish(topic, kwargs=kwargs, options={"acknowledge": True, **options})


async def ping(session: int) -> None:
    """Returns when the router has answered."""
    await sessions[session].ping()


async def leave(session: int) -> None:
    await sessions[session].leave()


COMMANDS = {
    "open": open_session,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "call": call,
    "publish": publish,
    "ping": ping,
    "leave": leave,
}


async def main() -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    async for line in commands:
        arguments = json.loads(line)
        id, command = arguments.pop("id"), arguments.pop("command")
        try:
            say({"id": id, "result": await COMMANDS[command](**arguments)})
        except (ApplicationError, Refused) as error:
            say({"id": id, "error": error.message})
        except Exception as error:
            say({"id": id, "error": repr(error)})


asyncio.run(main())
