"""Wire formats, and EVENT frames: built, encoded and framed once for all who get the same.

::

    EVENT  [36, <subscription>, <publication>, {}, [], {"cmd": …, "data": …}]

A server's frames are not masked (RFC 6455, 5.1) and nothing is compressed, so the same bytes serve everybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from autobahn.wamp.message import Event
from autobahn.websocket.protocol import PreparedMessage

from tuleaprt.wamp.broker import Answer, Dispatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WireFormat:
    """A WebSocket subprotocol. ``decode`` raises ValueError or RecursionError."""

    subprotocol: str
    binary: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]

    def frame(self, message: list[Any]) -> bytes:
        """One WebSocket frame that holds the message."""
        prepared = PreparedMessage(
            self.encode(message), isBinary=self.binary, applyMask=False, doNotCompress=True
        )
        frame: bytes = prepared.payloadHybi
        return frame


JSON = WireFormat(
    subprotocol="wamp.2.json",
    binary=False,
    encode=msgspec.json.encode,
    decode=msgspec.json.decode,
)
FORMATS = {JSON.subprotocol: JSON}


def event_frame(dispatch: Dispatch, answer: Answer, format: WireFormat) -> bytes:
    """The frame of an answer in a wire format, made when it is first wanted."""
    frame = answer.frames.get(format)
    if frame is None:
        event = [
            Event.MESSAGE_TYPE,
            dispatch.subscription.id,
            dispatch.publication.id,
            {},
            [],
            answer.kwargs,
        ]
        frame = answer.frames[format] = format.frame(event)
    return frame
