"""Messages as bytes: JSON, MessagePack and CBOR (WAMP: Serializers), and the frames around them.

msgspec reads a PUBLISH in less than 1 µs; Autobahn's own JSON takes 17 µs. Values that JSON does not have
are refused where a library would make objects of them: extension types of MessagePack and tags of CBOR
(among them shared references, regular expressions and numbers of any length).

An EVENT is built, encoded and framed once for each wire format and payload::

    EVENT  [36, <subscription>, <publication>, {}, [], {"cmd": …, "data": …}]
                                               {"topic": …} for a pattern

WebSocket frames of a server are not masked (RFC 6455, 5.1) and not compressed, so all subscribers receive
the same bytes. A RawSocket frame is four octets with type and length, and the message (WAMP: RawSocket
Transport).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, NoReturn, Protocol

import cbor2
import msgspec
from autobahn.wamp.message import Event
from autobahn.websocket.protocol import PreparedMessage

from tuleaprt.wamp.broker import Answer, Dispatch
from tuleaprt.wamp.identifiers import Match
from tuleaprt.wamp.publication import JsonText

# wampy and others write these for JavaScript's undefined.
_MSGPACK_UNDEFINED, _CBOR_UNDEFINED = b"\xd4\0\0", b"\xf7"

MAX_UNDEFINED = 16_384
"""Longer messages are not searched for undefined, which would be slow. If they contain it, they are
malformed.
"""

MAX_DEPTH = 100
"""The deepest nesting of CBOR that is accepted. msgspec has Python's limit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Serializer:
    """A serializer. ``name`` ends the WebSocket subprotocol; ``rawsocket_id`` is its number in RawSocket's
    handshake.

    ``decode`` raises ValueError or RecursionError. ``decode_ticket`` decodes a long AUTHENTICATE of an
    unknown client, and refuses every other message without building it.
    """

    name: str
    rawsocket_id: int
    is_binary: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    decode_ticket: Callable[[bytes], Any]


def _defined(node: Any) -> Any:
    """The message as JavaScript's JSON has it: keys whose value is undefined are left out."""
    if isinstance(node, dict):
        return {key: _defined(child) for key, child in node.items() if child is not cbor2.undefined}
    if isinstance(node, list):
        return [_defined(child) for child in node]
    return None if node is cbor2.undefined else node


def _extension(code: int, data: memoryview) -> Any:
    if code == 0 and bytes(data) == b"\0":
        return cbor2.undefined
    raise ValueError("MessagePack extensions are not accepted")


_msgpack = msgspec.msgpack.Decoder(ext_hook=_extension)


def _decode_msgpack(data: bytes) -> Any:
    message = _msgpack.decode(data)
    return _defined(message) if len(data) <= MAX_UNDEFINED and _MSGPACK_UNDEFINED in data else message


def _text(value: JsonText) -> msgspec.Raw:
    return msgspec.Raw(value.text)


def _meaning(value: JsonText) -> Any:
    return msgspec.json.decode(value.text)


_msgpack_encoder = msgspec.msgpack.Encoder(enc_hook=_meaning)


def _encode_msgpack(message: Any) -> bytes:
    try:
        return _msgpack_encoder.encode(message)
    except OverflowError:
        return _msgpack_encoder.encode(_within_64_bits(message))


def _within_64_bits(node: Any) -> Any:
    """Integers of more than 64 bits as floats, as JavaScript reads them from JSON.

    MessagePack has no such integers, and CBOR only as tags.
    """
    if isinstance(node, dict):
        return {key: _within_64_bits(child) for key, child in node.items()}
    if isinstance(node, JsonText):
        return _within_64_bits(_meaning(node))
    if isinstance(node, list | tuple):
        return [_within_64_bits(child) for child in node]
    if isinstance(node, int) and not -(2**63) <= node < 2**64:
        return float(node)
    return node


_Ticket = tuple[int, str, dict[str, str]]
_json_ticket = msgspec.json.Decoder(_Ticket)
_msgpack_ticket = msgspec.msgpack.Decoder(_Ticket)


def _no_tag(*_: object) -> NoReturn:
    raise ValueError("CBOR tags are not accepted")


# Tags that cbor2 would decode itself. All others go to the hook.
_KNOWN_TAGS = (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_NO_TAGS = dict.fromkeys(_KNOWN_TAGS, _no_tag)


def _decode_cbor(data: bytes) -> Any:
    source = BytesIO(data)
    decoder = cbor2.CBORDecoder(
        source,
        tag_hook=_no_tag,
        semantic_decoders=_NO_TAGS,
        max_depth=MAX_DEPTH,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        message = decoder.decode()
    except cbor2.CBORError as error:
        raise ValueError(str(error)) from None
    if source.tell() != len(data):
        raise ValueError("there is more than one CBOR item")
    return _defined(message) if len(data) <= MAX_UNDEFINED and _CBOR_UNDEFINED in data else message


JSON = Serializer(
    name="json",
    rawsocket_id=1,
    is_binary=False,
    encode=msgspec.json.Encoder(enc_hook=_text).encode,
    decode=msgspec.json.decode,
    decode_ticket=lambda data: list(_json_ticket.decode(data)),
)
MSGPACK = Serializer(
    name="msgpack",
    rawsocket_id=2,
    is_binary=True,
    encode=_encode_msgpack,
    decode=_decode_msgpack,
    decode_ticket=lambda data: list(_msgpack_ticket.decode(data)),
)
CBOR = Serializer(
    name="cbor",
    rawsocket_id=3,
    is_binary=True,
    encode=partial(
        cbor2.dumps, default=lambda encoder, value: encoder.encode(_within_64_bits(_meaning(value)))
    ),
    decode=_decode_cbor,
    decode_ticket=_decode_cbor,
)
SERIALIZERS = (JSON, MSGPACK, CBOR)


RAWSOCKET_HEADER = 4
RAWSOCKET_MESSAGE, RAWSOCKET_PING, RAWSOCKET_PONG = range(3)
RAWSOCKET_LONGEST = 2**24 - 1
"""The largest number in the three octets of a length."""


class Format(Protocol):
    """How the fan-out writes an event."""

    def event(self, dispatch: Dispatch, answer: Answer) -> bytes:
        """The event that carries this answer, in one frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WireFormat:
    """How WAMP's messages are encoded and framed for one kind of transport (a Format)."""

    serializer: Serializer
    wrap: Callable[[bytes], bytes]

    def frame(self, message: list[Any]) -> bytes:
        """The message in one frame."""
        return self.wrap(self.serializer.encode(message))

    def event(self, dispatch: Dispatch, answer: Answer) -> bytes:
        publication, subscription = dispatch.publication, dispatch.subscription
        is_exact = subscription.match is Match.EXACT
        return self.frame(
            [
                Event.MESSAGE_TYPE,
                subscription.id,
                publication.id,
                {} if is_exact else {"topic": publication.topic},
                publication.args,
                answer.kwargs,
            ]
        )


def websocket_frame(payload: bytes, is_binary: bool) -> bytes:
    prepared = PreparedMessage(payload, isBinary=is_binary, applyMask=False, doNotCompress=True)
    frame: bytes = prepared.payloadHybi
    return frame


def rawsocket_frame(payload: bytes, type: int = RAWSOCKET_MESSAGE) -> bytes:
    """A RawSocket frame. If the payload is longer than any peer accepts, the length is wrong, and the frame
    is never sent.
    """
    return bytes([type]) + min(len(payload), RAWSOCKET_LONGEST).to_bytes(3) + payload


def _websocket_format(serializer: Serializer) -> WireFormat:
    is_binary = serializer.is_binary
    return WireFormat(serializer=serializer, wrap=lambda payload: websocket_frame(payload, is_binary))


WEBSOCKET_FORMATS = {f"wamp.2.{it.name}": _websocket_format(it) for it in SERIALIZERS}
"""By subprotocol. Batched modes are not supported."""

RAWSOCKET_FORMATS = {it.rawsocket_id: WireFormat(serializer=it, wrap=rawsocket_frame) for it in SERIALIZERS}
"""By the number in RawSocket's handshake."""


def event_frame(dispatch: Dispatch, answer: Answer, format: Format) -> bytes:
    """The frame of an answer in this format. It is made at the first call."""
    frame = answer.frames.get(format)
    if frame is None:
        frame = answer.frames[format] = format.event(dispatch, answer)
    return frame
