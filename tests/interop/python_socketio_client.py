"""A page on python-socketio. The arguments are URL, namespace, transports and the subscription as JSON. Each
event is a line of JSON on stdout; a line on stdin ends it.
"""

import asyncio
import json
import sys
from typing import Any

import socketio


async def main(url: str, namespace: str, transports: str, subscription: str) -> None:
    page = socketio.AsyncClient(reconnection=False)

    def say(event: str, *data: Any) -> None:
        print(json.dumps({"event": event, "data": list(data), "transport": page.transport()}), flush=True)

    page.on("*", say, namespace=namespace)
    await page.connect(
        url, namespaces=[namespace], transports=transports.split("+"), socketio_path="local-socket.io"
    )
    await page.emit("subscription", json.loads(subscription), namespace=namespace)
    await asyncio.to_thread(sys.stdin.readline)
    await page.disconnect()


asyncio.run(main(*sys.argv[1:]))
