"""Reading what a server answers: the shape is checked before anything is taken from it."""

from typing import Any, TypeVar

import msgspec
from autobahn.wamp.types import CallResult

from tuleaprt.errors import InvalidAnswer

T = TypeVar("T")

SHOWN = 300
"""How many characters of an answer that cannot be read are shown."""


def shortened(text: str) -> str:
    """The text, cut to ``SHOWN`` characters."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def read(value: Any, shape: type[T], of: str) -> T:
    """The value as this type; ``of`` names what was asked.

    Raises:
        InvalidAnswer: it has another shape.
    """
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidAnswer(f"the answer to {of} cannot be read: {shortened(str(error))}") from None


def read_first(result: CallResult, shape: type[T], of: str) -> T:
    """The first argument of a RESULT.

    Raises:
        InvalidAnswer: there is none, or it has another shape.
    """
    return read(next(iter(result.results or ()), None), shape, of)


def read_json(text: str, shape: type[T], of: str) -> T:
    """The body of an HTTP answer.

    Raises:
        InvalidAnswer: it is not JSON, or has another shape.
    """
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        came = f" ({shortened(text.strip())})" if text.strip() else ""
        raise InvalidAnswer(f"{of} answers what tuleaprt does not: {shortened(str(error))}{came}") from None
