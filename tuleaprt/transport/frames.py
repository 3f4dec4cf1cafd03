"""Wire formats: a serializer and the frame around it. EVENTs are built, encoded and framed once for all.

::

    EVENT  [36, <subscription>, <publication>, {}, [], {"cmd": …, "data": …}]
                                               {"topic": …} for a pattern

A server's WebSocket frames are not masked (RFC 6455, 5.1) and nothing is compressed, so the same bytes serve
everybody. A RawSocket frame is four octets, its type and length, and the message (WAMP: RawSocket Transport).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autobahn.wamp.message import Event
from autobahn.websocket.protocol import PreparedMessage

from tuleaprt.transport.serializers import SERIALIZERS, Serializer
from tuleaprt.wamp.broker import Answer, Dispatch
from tuleaprt.wamp.identifiers import Match

RAWSOCKET_HEADER = 4
RAWSOCKET_MESSAGE, RAWSOCKET_PING, RAWSOCKET_PONG = range(3)
RAWSOCKET_LONGEST = 2**24 - 1
"""What fits in the three octets of a length."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WireFormat:
    """How messages travel over one kind of transport."""

    serializer: Serializer
    wrap: Callable[[bytes], bytes]

    def frame(self, message: list[Any]) -> bytes:
        """One frame that holds the message."""
        return self.wrap(self.serializer.encode(message))


def websocket_frame(payload: bytes, is_binary: bool) -> bytes:
    prepared = PreparedMessage(payload, isBinary=is_binary, applyMask=False, doNotCompress=True)
    frame: bytes = prepared.payloadHybi
    return frame


def rawsocket_frame(payload: bytes, type: int = RAWSOCKET_MESSAGE) -> bytes:
    """Of a payload that is longer than any peer takes, so that nobody sends it, the length is not true."""
    return bytes([type]) + min(len(payload), RAWSOCKET_LONGEST).to_bytes(3) + payload


def _websocket_format(serializer: Serializer) -> WireFormat:
    is_binary = serializer.is_binary
    return WireFormat(serializer=serializer, wrap=lambda payload: websocket_frame(payload, is_binary))


WEBSOCKET_FORMATS = {f"wamp.2.{it.name}": _websocket_format(it) for it in SERIALIZERS}
"""By subprotocol; unbatched only."""

RAWSOCKET_FORMATS = {it.rawsocket_id: WireFormat(serializer=it, wrap=rawsocket_frame) for it in SERIALIZERS}
"""By the number in the handshake."""


def event_frame(dispatch: Dispatch, answer: Answer, format: WireFormat) -> bytes:
    """The frame of an answer in a wire format, made when it is first wanted."""
    frame = answer.frames.get(format)
    if frame is None:
        publication, subscription = dispatch.publication, dispatch.subscription
        is_exact = subscription.match is Match.EXACT
        event = [
            Event.MESSAGE_TYPE,
            subscription.id,
            publication.id,
            {} if is_exact else {"topic": publication.topic},
            publication.args,
            answer.kwargs,
        ]
        frame = answer.frames[format] = format.frame(event)
    return frame
