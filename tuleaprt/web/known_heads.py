"""Posts whose head is known: the same bytes as a head that twisted.web has read, but for the length of the
body.

PHP sends the same head with every post. Reading it costs more than everything else of a post. twisted.web
stays the reference: a head is learnt when a post with it was answered 200, and only if the connection stays
open and the head has one Content-Length and neither Transfer-Encoding nor Expect. All that the answer then
depended on is in these bytes: method, path, host, origin, types, and the secret, which is compared again.

A post whose head is not known, or which does not come alone and whole, takes twisted.web.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from twisted.python.failure import Failure

from tuleaprt.web.resource import JSON, HttpError, Leaf

MAX_HEADS = 64
"""The longest unused head is forgotten first."""

MAX_HEAD = 2048
"""The longest head that is learnt, in bytes."""

LENGTH = b"\r\nContent-Length: "
END = b"\r\n\r\n"


class Known(NamedTuple):
    """A resource, and the secret that the head has shown to it."""

    leaf: Leaf
    secret: bytes


class KnownHeads:
    """The heads that were learnt, without the digits of the length."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, data: bytes, leaf: Leaf) -> None:
        """The request that consists of these bytes was answered 200 by this resource."""
        if (parts := _split(data)) is not None and len(parts[0]) <= MAX_HEAD:
            self._known[parts[0]] = Known(leaf, leaf.secret)
            if len(self._known) > MAX_HEADS:
                self._known.popitem(last=False)

    def find(self, data: bytes) -> tuple[Leaf, bytes] | None:
        """The resource and the body of a request that consists of these bytes; None: its head is not known,
        or the secret has changed since.
        """
        if (parts := _split(data)) is None or (known := self._known.get(parts[0])) is None:
            return None
        self._known.move_to_end(parts[0])
        return (known.leaf, parts[1]) if known.secret == known.leaf.secret else None


def _split(data: bytes) -> tuple[bytes, bytes] | None:
    """The head without the digits of its length, and the body, if it has this length."""
    end = data.find(END) + len(END)
    at = data.find(LENGTH, 0, end) + len(LENGTH)
    if end < len(END) or at < len(LENGTH):
        return None
    after = data.find(b"\r", at)
    digits, body = data[at:after], data[end:]
    if not digits.isdigit() or len(digits) > 9 or int(digits) != len(body):
        return None
    return data[:at] + data[after:end], body


class Channel(Protocol):
    """A connection, to its request."""

    def answer(
        self,
        version: bytes,
        status: int,
        body: bytes,
        length: int,
        content_type: str,
        headers: Mapping[str, str] | None,
    ) -> None: ...

    def known_is_answered(self, request: "KnownRequest") -> None: ...


class KnownRequest:
    """A request with a known head. ``waits``: it was not answered at once."""

    is_gone = False
    is_answered = False
    waits = False

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def refuse(self, error: HttpError) -> None:
        self.respond(error.status, error.body, headers=error.headers)

    def respond(
        self, status: int, body: bytes, content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        if not self.is_gone:
            self._channel.answer(b"HTTP/1.1", status, body, len(body), content_type, headers)
            self.is_answered = True
            self._channel.known_is_answered(self)

    def connectionLost(self, reason: Failure) -> None:
        self.is_gone = True
