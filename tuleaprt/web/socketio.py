"""Engine.IO over HTTP for Tuleap's pages: handshakes, polls, and WebSockets, which are passed on.

::

    GET  /local-socket.io/?EIO=4&transport=polling              →  0{"sid":"…","upgrades":["websocket"],…}
    GET  /local-socket.io/?EIO=4&transport=polling&sid=…        →  the next packets, when there are some
    POST /local-socket.io/?EIO=4&transport=polling&sid=…        →  ok
    GET  /local-socket.io/?EIO=4&transport=websocket[&sid=…]    →  101

Tuleap's nginx sends ``Connection: Upgrade`` with every request, so only the Upgrade header tells a WebSocket.
An error is answered by ``{"code": 1, "message": "Session ID unknown"}``. A page of an allowed origin on
another host may read the answers (CORS). Sources: Engine.IO protocol 4, "Transports"; socket.io, "Server
API", for the codes; Fetch, "CORS protocol".
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Protocol

import msgspec
from twisted.internet.interfaces import IProtocolFactory

from tuleaprt.errors import ProtocolViolation
from tuleaprt.operations.logs import Faults
from tuleaprt.transport.entrance import client_name
from tuleaprt.transport.polling import PollingConnection, Polls
from tuleaprt.transport.request_headers import Proxies
from tuleaprt.web.resource import (
    JSON,
    RETRY_AFTER_SECONDS,
    HttpError,
    Leaf,
    Request,
    internal_error,
    not_found,
)

TEXT = "text/plain; charset=UTF-8"
NOT_STORED = {"Cache-Control": "no-store"}
OCTETS = b"application/octet-stream"
ENGINE = [b"4"]
"""The version of Engine.IO."""


class Wrong(Enum):
    """Engine.IO's code, the HTTP status and the message of each refusal."""

    TRANSPORT = 0, 400, "Transport unknown"
    SID = 1, 400, "Session ID unknown"
    METHOD = 2, 400, "Bad handshake method"
    REQUEST = 3, 400, "Bad request"
    ORIGIN = 4, 403, "Forbidden"
    VERSION = 5, 400, "Unsupported protocol version"


class Refused(Exception):
    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong.value[2])
        self.code, self.status, self.message = wrong.value


class BrowserRequest(Request, Protocol):
    """A request of a page (site.py)."""

    channel: Any
    args: dict[bytes, list[bytes]]
    on_gone: Callable[[], None] | None

    def head(self) -> bytes: ...

    def may_wait(self) -> None: ...

    def hand_over(self, factory: IProtocolFactory) -> None: ...


class HeldGet:
    """A GET that is answered when there are packets (a Poll)."""

    def __init__(
        self, request: BrowserRequest, connection: PollingConnection, headers: Mapping[str, str]
    ) -> None:
        self._request = request
        self._headers = headers
        request.on_gone = lambda: connection.cancelled(self)

    def answer(self, body: bytes) -> None:
        self._request.on_gone = None
        self._request.respond(200, body, TEXT, self._headers)


Allows = Callable[[str, str], bool]


class SocketIoResource(Leaf):
    """``allows`` says whether a page of this Origin may connect to this Host; it may change."""

    name = "socket.io"
    is_for_browsers = True
    needs_host = False

    def __init__(
        self, polls: Polls, websockets: IProtocolFactory, *, allows: Allows, proxies: Proxies, faults: Faults
    ) -> None:
        super().__init__(faults)
        self._polls = polls
        self._websockets = websockets
        self.allows = allows
        self._proxies = proxies

    @property
    def max_body(self) -> int:
        return self._polls.connections.max_message_size

    def serve(self, request: Any) -> None:
        headers: Mapping[str, str] = NOT_STORED
        try:
            if list(request.below) not in ([], [b""]):
                raise not_found()
            headers = self._admit(request)
            self._take(request, headers)
        except Refused as error:
            self._refuse(request, error, headers)
        except HttpError as error:
            self.answered(error, 0)
            error.headers = {**error.headers, **headers}
            request.refuse(error)
        except Exception:
            self._faults.record("answering a page")
            request.refuse(internal_error())

    def _admit(self, request: BrowserRequest) -> Mapping[str, str]:
        """The headers of all answers. They let a page of an allowed origin on another host read the answers.

        Raises:
            Refused: the page may not connect.
        """
        origin, host = ((request.header(it) or b"").decode("latin-1") for it in (b"Origin", b"Host"))
        if request.header(b"Origin") is None:
            return NOT_STORED
        if not self.allows(origin, host):
            raise Refused(Wrong.ORIGIN)
        if origin.partition("://")[2] == host or not origin.isascii():
            return NOT_STORED
        return NOT_STORED | {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def _take(self, request: BrowserRequest, headers: Mapping[str, str]) -> None:
        """Serve a request of a page that may connect. ``headers`` are those of the answer.

        Raises:
            Refused, HttpError.
        """
        if (request.header(b"Upgrade") or b"").lower() == b"websocket":
            request.hand_over(self._websockets)
            return
        if request.args.get(b"transport") != [b"polling"]:
            is_websocket = request.args.get(b"transport") == [b"websocket"]
            raise Refused(Wrong.REQUEST if is_websocket else Wrong.TRANSPORT)
        if request.args.get(b"EIO") != ENGINE:
            raise Refused(Wrong.VERSION)
        sids = request.args.get(b"sid")
        if sids is None:
            self._open(request, headers)
            return
        connection = self._polls.get(sids[0].decode("latin-1"))
        if connection is None:
            raise Refused(Wrong.SID)
        self._poll(request, connection, headers)

    def _open(self, request: BrowserRequest, headers: Mapping[str, str]) -> None:
        if request.method != b"GET":
            raise Refused(Wrong.METHOD)
        connections = self._polls.connections
        if connections.is_shut_down or connections.is_full:
            why = "this server is shutting down" if connections.is_shut_down else "too many are connected"
            raise HttpError(503, "unavailable", why, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        connection = self._polls.open(
            *client_name(request.channel.transport, b"\r\n" + request.head(), self._proxies)
        )
        connection.get(HeldGet(request, connection, headers))

    def _poll(
        self, request: BrowserRequest, connection: PollingConnection, headers: Mapping[str, str]
    ) -> None:
        if request.method == b"GET":
            request.may_wait()
            if not connection.get(HeldGet(request, connection, headers)):
                raise Refused(Wrong.REQUEST)
        elif request.method == b"POST":
            content_type = (request.header(b"Content-Type") or b"").lower()
            if content_type.startswith(OCTETS):
                connection.violated(ProtocolViolation("a binary body"))
                raise Refused(Wrong.REQUEST)
            if not connection.post(request.body()):
                raise Refused(Wrong.REQUEST)
            request.respond(200, b"ok", "text/html", headers)
        else:
            raise Refused(Wrong.METHOD)

    def _refuse(self, request: BrowserRequest, error: Refused, headers: Mapping[str, str]) -> None:
        self.log.warn(  # noqa: G010 (Twisted's name)
            "{name} refused: {status} {code}: {text}",
            event="request.refused",
            reason=f"{self.name} {error.code}",
            name=self.name,
            status=error.status,
            code=error.code,
            text=error.message,
        )
        body = msgspec.json.encode({"code": error.code, "message": error.message})
        request.respond(error.status, body, JSON, headers)
