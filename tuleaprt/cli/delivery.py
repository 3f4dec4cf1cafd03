"""``tuleaprt check-delivery``: does a post reach a page through nginx?

::

    this command ──wss──▶ nginx of this machine ──▶ server    CONNECT, subscription ──▶ presences
    this command ──POST /message──▶ server ──▶ nginx ──▶ this command

The window is one of Tuleap's pages (socket.io), so the command also works with Tuleap's Node.js server. Only
its token has the group for which the message is, and no campaign has the number of the room.
"""

import argparse
import secrets
import time
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from tuleaprt.cli.answers import shortened
from tuleaprt.cli.post import OK, request
from tuleaprt.cli.session import run
from tuleaprt.cli.settings import OPERATOR_ID, add_config, configuration, mint, private_url
from tuleaprt.errors import CommandFailed, MalformedPacket, Unreachable
from tuleaprt.socketio.packets import MESSAGE, OPEN, PING, PONG, Type, decode, event, message

ROOM = f"testmanagement_{2**53 - 1}"
GROUP = "@tuleaprt_check"
"""No token of Tuleap's has it: the literals of a project's groups end in ``_project_members``, ``_1`` …"""

NAMESPACE, PRESENCES, CMD = "/testmanagement", "presences", "testmanagement_campaign:update"
PATH = "/local-socket.io/?EIO=4&transport=websocket"
SECONDS = 10
TOKEN_SECONDS = 60


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "check-delivery",
        help="check whether a post reaches a page through nginx",
        description="Open a window as Tuleap's pages do, through the nginx of this machine; post a message"
        " that only this window may receive; and wait for it. The certificate of nginx is not checked.",
    )
    parser.add_argument("url", metavar="URL", help="Tuleap's address, as browsers write it: https://host")
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        metavar="IP",
        help="the address at which nginx listens on this machine (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--private-url",
        metavar="URL",
        help="the private site, http://host:port (default: the first tcp endpoint of [listen] private)",
    )
    add_config(parser)
    parser.set_defaults(command=check)


def check(arguments: argparse.Namespace) -> int:
    config = configuration(arguments, with_key=True)
    private = private_url(arguments.private_url, config, "--private-url")
    window = Window(arguments.url, arguments.address)
    run(lambda reactor: _delivered(reactor, window, config, private))
    print(f"a post reaches a page through {arguments.url}")
    return 0


async def _delivered(reactor: Any, window: "Window", config: Any, private: str) -> None:
    """
    Raises:
        CommandFailed: the message does not arrive. The text says where it was lost.
    """
    number = secrets.randbelow(2**52) + 1
    token = mint(config, OPERATOR_ID, [GROUP], seconds=TOKEN_SECONDS, now=time.time())
    try:
        await window.open(reactor, token)
        body = _post(number)
        bearer = config.post_secret.decode("latin-1")
        answer = await deferToThread(request, private, "POST", "/message", bearer=bearer, body=body)
        if answer.status != OK:
            raise CommandFailed(f"a post is answered {answer.status} {shortened(answer.body)}")
        await window.received(number)
    finally:
        window.abort()


def _post(number: int) -> bytes:
    return msgspec.json.encode(
        {
            "sender_user_id": 0,
            "sender_uuid": None,
            "room_id": ROOM,
            "rights": {
                "submitter_id": 0,
                "submitter_can_view": False,
                "submitter_only": [],
                "artifact": [],
                "tracker": [GROUP],
                "field": [],
            },
            "cmd": CMD,
            "data": {"artifact_id": number},
        }
    )


class Window:
    """A page of Tuleap's. ``url`` is Tuleap's, ``address`` is where nginx listens for it.

    Raises:
        CommandFailed: the URL is wrong.
    """

    def __init__(self, url: str, address: str) -> None:
        try:
            parts = urlsplit(url)
            self._is_tls = {"http": False, "https": True}[parts.scheme]
            self._host, self._port = parts.hostname or "", parts.port or (443 if self._is_tls else 80)
            if not self._host or parts.path not in ("", "/"):
                raise ValueError
        except (KeyError, ValueError):
            raise CommandFailed(f"{url} is not the address of a site: https://host") from None
        self._address = address
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._protocol: _Page | None = None

    async def open(self, reactor: Any, token: str) -> None:
        """Connect and subscribe.

        Raises:
            CommandFailed: nginx or the server refuses, or does not answer.
        """
        where = f"{'wss' if self._is_tls else 'ws'}://{self._host}:{self._port}{PATH}"
        factory = WebSocketClientFactory(where, origin=self._origin, reactor=reactor)
        factory.protocol = _Page
        factory.setProtocolOptions(openHandshakeTimeout=SECONDS, closeHandshakeTimeout=1)
        kind: Any = TCP6ClientEndpoint if ":" in self._address else TCP4ClientEndpoint
        endpoint = kind(reactor, self._address, self._port, timeout=SECONDS)
        if self._is_tls:
            endpoint = wrapClientTLS(_Unverified(self._host), endpoint)
        try:
            self._protocol = page = await endpoint.connect(factory)
        except Exception as error:
            raise Unreachable(f"cannot connect to nginx at {self._address}:{self._port}: {error}") from None
        await page.opens("no answer of the server through nginx")
        page.sendMessage(message(Type.CONNECT, NAMESPACE))
        await page.accepts("the server does not accept the namespace of Tuleap's pages")
        subscription = {
            "nodejs_server_version": "2.0.0",
            "token": token,
            "room_id": ROOM,
            "uuid": str(uuid4()),
        }
        page.sendMessage(event(NAMESPACE, "subscription", subscription))
        await page.receives("the server does not accept the subscription", PRESENCES)

    async def received(self, number: int) -> None:
        """
        Raises:
            CommandFailed: the message does not arrive.
        """
        if self._protocol is not None:
            await self._protocol.receives(
                "the post was accepted, and does not arrive", CMD, {"artifact_id": number}
            )

    def abort(self) -> None:
        if self._protocol is not None:
            self._protocol.dropConnection(abort=True)


class _Page(WebSocketClientProtocol):
    """Reads the packets of Engine.IO and socket.io, and answers pings."""

    def __init__(self) -> None:
        super().__init__()
        self._packets: list[bytes] = []
        self._ended: str | None = None
        self._waiting: Deferred[None] | None = None

    async def opens(self, otherwise: str) -> None:
        await self._until(lambda packet: packet.startswith(OPEN), otherwise)

    async def accepts(self, otherwise: str) -> None:
        await self._until(lambda packet: _read(packet)[0] is Type.CONNECT, otherwise)

    async def receives(self, otherwise: str, name: str, data: object = None) -> None:
        def is_it(packet: bytes) -> bool:
            kind, payload = _read(packet)
            is_event = kind is Type.EVENT and payload[0] == name
            return is_event and (data is None or payload[1:] == [data])

        await self._until(is_it, otherwise)

    async def _until(self, is_it: Any, otherwise: str) -> None:
        def gave_up(_: object, seconds: float) -> None:
            self._ended = f"nothing arrives within {seconds:.0f} seconds"

        while True:
            while self._packets:
                if is_it(self._packets.pop(0)):
                    return
            if self._ended is not None:
                raise CommandFailed(f"{otherwise}: {self._ended}")
            self._waiting = Deferred()
            await self._waiting.addTimeout(SECONDS, self.factory.reactor, gave_up)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if payload == PING:
            self.sendMessage(PONG)
        else:
            self._packets.append(payload)
            self._wake()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._ended = shortened(reason or f"the connection is closed ({code})")
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)


def _read(packet: bytes) -> tuple[Type | None, Any]:
    """The type and the payload of a socket.io packet; another packet has the type None."""
    try:
        if packet.startswith(MESSAGE):
            type, _, payload = decode(packet[1:])
            return type, payload
    except MalformedPacket:
        pass
    return None, None


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS to this machine. Its certificate may be one that only browsers inside an organisation trust."""

    def __init__(self, name: str) -> None:
        self._name = name.encode("idna")

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        connection.set_tlsext_host_name(self._name)
        return connection
