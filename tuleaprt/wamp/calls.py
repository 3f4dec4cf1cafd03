"""The arguments of a call to one of the router's procedures, checked one by one, and its result."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from tuleaprt.errors import InvalidArgument, InvalidUri
from tuleaprt.wamp.identifiers import MAX_ID, is_uri
from tuleaprt.wamp.realm import Member

# RFC 3339, 5.6. datetime.fromisoformat reads other formats, too, and they are refused.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


MAX_SHORT_TEXT = 1000

T = TypeVar("T")
Check = Callable[[str, object], T]
"""Takes the name and the value of an argument, and returns the value in the wanted type."""


class Arguments:
    """The arguments of a call. Each method takes one of them; ``done`` refuses those that are left.

    An argument that is null counts as absent, because some clients cannot leave an argument out.
    """

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self._args = list(args)
        self._kwargs = dict(kwargs)

    def next(self, name: str, check: Check[T]) -> T:
        """The next positional argument.

        Raises:
            InvalidArgument: it is missing, or the check refuses it.
            InvalidUri: the check refuses it.
        """
        if (value := self.next_if_any(name, check)) is None:
            raise InvalidArgument(f"{name} is missing")
        return value

    def next_if_any(self, name: str, check: Check[T]) -> T | None:
        value = self._args.pop(0) if self._args else None
        return None if value is None else check(name, value)

    def keyword(self, name: str, check: Check[T]) -> T | None:
        """
        Raises:
            InvalidArgument, InvalidUri: the check refuses the value.
        """
        value = self._kwargs.pop(name, None)
        return None if value is None else check(name, value)

    def done(self) -> None:
        """
        Raises:
            InvalidArgument: an argument is left that the procedure does not know.
        """
        if any(it is not None for it in self._args):
            raise InvalidArgument("there are too many arguments")
        if any(it is not None for it in self._kwargs.values()):
            # The text leaves the names out: the caller chooses them, and their length.
            raise InvalidArgument("there are keyword arguments that this procedure does not know")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """RESULT.Arguments and RESULT.ArgumentsKw. ``cost`` is how many further calls it counts as for the rate
    limit.
    """

    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    cost: float = 0


Procedure = Callable[[Member, Arguments, float], Result]
"""Takes the caller, the arguments and the time in seconds since the epoch. A RequestError is answered by
ERROR.
"""


def an_id(name: str, value: object) -> int:
    """An id. Some JavaScript serializers send an integer above 32 bits as a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 < value <= MAX_ID:
        raise InvalidArgument(f"{name} must be an id")
    return value


def a_count(name: str, value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise InvalidArgument(f"{name} must be a whole number, 0 or more")
    return value


def a_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be true or false")
    return value


def a_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a text")
    return value


def a_short_text(name: str, value: object) -> str:
    """A text that is passed on to other clients."""
    if len(text := a_text(name, value)) > MAX_SHORT_TEXT:
        raise InvalidArgument(f"{name} must have at most {MAX_SHORT_TEXT} characters")
    return text


def texts(name: str, value: object) -> Collection[str]:
    if not isinstance(value, list) or not all(isinstance(it, str) for it in value):
        raise InvalidArgument(f"{name} must be a list of texts")
    return value


def a_uri(name: str, value: object) -> str:
    """
    Raises:
        InvalidUri: the text is not a URI.
    """
    if not is_uri(text := a_text(name, value)):
        raise InvalidUri(f"{name} is not a URI")
    return text


def a_time(name: str, value: object) -> datetime:
    """A time in RFC 3339 with its time zone."""
    text = a_text(name, value)
    if _TIME.fullmatch(text):
        with suppress(ValueError):
            return datetime.fromisoformat(text.upper())
    raise InvalidArgument(f"{name} must be a time as 2026-03-14T15:09:26.535Z")
