"""Parses the messages of a client with Autobahn's message classes.

Autobahn checks the shapes (WAMP: Messages, Message Codes and Direction). This module adds what a server
needs: every other input is one kind of error, which names the message and does not quote it.
"""

from typing import Any

from autobahn.wamp.exception import InvalidUriError, ProtocolError
from autobahn.wamp.message import (
    Abort,
    Authenticate,
    Call,
    Cancel,
    Error,
    Goodbye,
    Hello,
    Message,
    Publish,
    Register,
    Subscribe,
    Unregister,
    Unsubscribe,
    Yield,
)

from tuleaprt.errors import InvalidUri, ProtocolViolation
from tuleaprt.wamp.identifiers import is_uri

_FROM_CLIENT: dict[int, type[Message]] = {
    cls.MESSAGE_TYPE: cls
    for cls in (
        Hello,
        Abort,
        Authenticate,
        Goodbye,
        Error,
        Publish,
        Subscribe,
        Unsubscribe,
        Call,
        Cancel,
        Register,
        Unregister,
        Yield,
    )
}
_WITH_URI = (Publish, Subscribe, Call, Register)
_WITH_PAYLOAD = (Publish, Call)
_REQUESTS = (*_WITH_URI, Unsubscribe, Unregister, Cancel)
_LONGEST_TEXT = 200


def parse(raw: object) -> Message:
    """The message in a decoded payload.

    Raises:
        ProtocolViolation: it is not a message that a client may send.
        InvalidUri: a request (its id is ``raw[1]``) is valid except for its URI.
    """
    if not isinstance(raw, list) or not raw:
        raise ProtocolViolation("not a WAMP message")
    code = raw[0]
    if code == Publish.MESSAGE_TYPE:
        raw = _with_whole_ids(raw)
    cls = _FROM_CLIENT.get(code) if type(code) is int else None
    if cls is None:
        raise ProtocolViolation("not a message that a client may send")
    if issubclass(cls, _REQUESTS) and raw[1:2] == [0]:
        raise ProtocolViolation(f"{name(cls)} with request id 0")
    if issubclass(cls, _WITH_PAYLOAD) and "ppt_scheme" in _options(raw):
        raise ProtocolViolation(f"{name(cls)} in payload passthru mode, which is not announced here")
    try:
        message: Message = cls.parse(raw)
    except InvalidUriError as error:
        if issubclass(cls, _WITH_URI):
            raise InvalidUri("the URI is not valid") from None
        raise _malformed(cls, str(error)) from None
    except ProtocolError as error:
        raise _malformed(cls, str(error)) from None
    except Exception:
        # Autobahn checks some values by assertions and by the keywords of its constructors.
        raise _malformed(cls, "") from None
    # Autobahn's patterns end in "$", which accepts a trailing newline. The realm checks the topic of
    # SUBSCRIBE.
    if isinstance(message, Publish | Call) and not is_uri(raw[3]):
        raise InvalidUri("the URI is not valid")
    return message


def name(cls: type[Message]) -> str:
    """The name of the message in the specification."""
    return cls.__name__.upper()


def _malformed(cls: type[Message], text: str) -> ProtocolViolation:
    return ProtocolViolation(f"malformed {name(cls)}", text[:_LONGEST_TEXT])


def _options(raw: list[Any]) -> dict[Any, Any]:
    """The options of a request that may be malformed."""
    return raw[2] if len(raw) > 2 and isinstance(raw[2], dict) else {}


def _with_whole_ids(raw: list[Any]) -> list[Any]:
    """The message with session ids as integers. Some JavaScript serializers send integers above 32 bits as
    floats.
    """
    options = _options(raw)
    whole = {
        key: [int(id) if isinstance(id, float) and id.is_integer() else id for id in options[key]]
        for key in ("exclude", "eligible")
        if isinstance(options.get(key), list)
    }
    return [*raw[:2], {**options, **whole}, *raw[3:]] if whole else raw
