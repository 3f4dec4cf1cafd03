"""What a client may say, read by Autobahn's message classes.

Autobahn answers for the shapes (WAMP: Messages, Message Codes and Direction); here is what a server must
add: anything else is one kind of error, which names the message and never echoes it into a log.
"""

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
_REQUESTS = (Publish, Subscribe, Call, Register)
_LONGEST_TEXT = 200


def parse(raw: object) -> Message:
    """The message that a decoded payload stands for.

    Raises:
        ProtocolViolation: it is none that a client may send.
        InvalidUri: a request (its id is ``raw[1]``) that is sound but for its URI.
    """
    if not isinstance(raw, list) or not raw:
        raise ProtocolViolation("not a WAMP message")
    code = raw[0]
    cls = _FROM_CLIENT.get(code) if type(code) is int else None
    if cls is None:
        raise ProtocolViolation("not a message that a client may send")
    try:
        message: Message = cls.parse(raw)
        return message
    except InvalidUriError as error:
        if issubclass(cls, _REQUESTS):
            raise InvalidUri("the URI is not valid") from None
        raise _malformed(cls, str(error)) from None
    except ProtocolError as error:
        raise _malformed(cls, str(error)) from None
    except Exception:
        # Autobahn leaves some of its checks to assertions, and to the keywords of its constructors.
        raise _malformed(cls, "") from None


def name(cls: type[Message]) -> str:
    """The name that the specification gives to a message."""
    return cls.__name__.upper()


def _malformed(cls: type[Message], text: str) -> ProtocolViolation:
    return ProtocolViolation(f"malformed {name(cls)}", text[:_LONGEST_TEXT])
