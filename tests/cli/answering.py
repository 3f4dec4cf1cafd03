"""A small server whose answers differ from tuleaprt's."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE = 1, 2, 3, 4, 5, 6
SUBSCRIBE, SUBSCRIBED, EVENT, CALL, RESULT = 32, 33, 36, 48, 50
ROLES = {"roles": {"broker": {}, "dealer": {}}, "authid": "1", "authrole": "operator"}

GOOD: Mapping[str, Any] = {
    "HELLO": [[CHALLENGE, "ticket", {}]],
    "AUTHENTICATE": [[WELCOME, 77, ROLES]],
    "SUBSCRIBE": [[SUBSCRIBED, "REQUEST", 7]],
    "GOODBYE": [[GOODBYE, {}, "wamp.close.goodbye_and_out"]],
    "wamp.session.list": [[RESULT, "REQUEST", {}, [[5]]]],
    "wamp.session.get": [[RESULT, "REQUEST", {}, [{"session": 5, "authid": "102", "authrole": "user"}]]],
    "wamp.session.count": [[RESULT, "REQUEST", {}, [2]]],
    "wamp.session.kill": [[RESULT, "REQUEST", {}]],
    "wamp.subscription.get_events": [[RESULT, "REQUEST", {}, [], {"position": 9}]],
}
"""What is sent for each message and procedure; a text or bytes are sent as they are."""

NAMES = {HELLO: "HELLO", AUTHENTICATE: "AUTHENTICATE", SUBSCRIBE: "SUBSCRIBE", GOODBYE: "GOODBYE"}


class _Wamp(WebSocketServerProtocol):
    def onConnect(self, request: Any) -> str | None:
        return self.factory.subprotocol  # type: ignore[no-any-return]

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message = json.loads(payload)
        name = message[3] if message[0] == CALL else NAMES[message[0]]
        for answer in self.factory.answers[name]:
            if isinstance(answer, bytes):
                self.sendMessage(answer, isBinary=True)
            else:
                text = answer if isinstance(answer, str) else json.dumps(answer)
                self.sendMessage(text.replace('"REQUEST"', str(message[1])).encode("utf-8", "surrogatepass"))


class _Raw(Protocol):
    """Answers a request's head with these bytes; with ``again``, those follow without end."""

    factory: Any

    def __init__(self) -> None:
        self._head = b""

    def dataReceived(self, data: bytes) -> None:
        before, self._head = self._head, self._head + data
        if b"\r\n\r\n" in before or b"\r\n\r\n" not in self._head:
            return
        self.transport.write(self.factory.answer)
        if self.factory.again:
            self.transport.registerProducer(self, False)
        elif not self.factory.is_silent:
            self.transport.loseConnection()

    def resumeProducing(self) -> None:
        self.transport.write(self.factory.again)

    def stopProducing(self) -> None:
        self.transport.unregisterProducer()


@contextmanager
def _listening(factory: Any) -> Iterator[int]:
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        yield port.getHost().port
    finally:
        port.stopListening()


@contextmanager
def wamp(subprotocol: str | None = "wamp.2.json", **instead: Any) -> Iterator[int]:
    """The port of a WAMP router that answers so; ``wamp_session_list`` is that procedure."""
    factory = WebSocketServerFactory()
    factory.protocol = _Wamp
    factory.subprotocol = subprotocol
    factory.setProtocolOptions(failByDrop=False)
    changed = {name.replace("wamp_s", "wamp.s").replace("ion_", "ion."): it for name, it in instead.items()}
    assert changed.keys() <= GOOD.keys()
    factory.answers = {**GOOD, **changed}
    with _listening(factory) as port:
        yield port


@contextmanager
def raw(answer: bytes, again: bytes = b"", *, is_silent: bool = False) -> Iterator[int]:
    """The port of a server that answers a request with these bytes, and then closes unless it is silent."""
    factory: Any = Factory.forProtocol(_Raw)
    factory.answer, factory.again, factory.is_silent = answer, again, is_silent
    with _listening(factory) as port:
        yield port
