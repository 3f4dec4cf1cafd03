"""Reading the answers of a server, and writing texts safely to a terminal.

The shape of an answer is checked before any part of it is used.
"""

import os
from collections.abc import Sequence
from typing import Any, Protocol, TextIO, TypeVar

import msgspec

from tuleaprt.errors import InvalidAnswer

DIM, CYAN, BOLD = "2", "36", "1"


class Screen:
    """Writes lines to a stream. Colours are used only on a terminal, and not with NO_COLOR (no-color.org)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_colourful = stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str) -> None:
        """Write the line and flush it, so that the reader of a pipe receives it now."""
        print(text, file=self._stream, flush=True)

    def coloured(self, text: str, colour: str) -> str:
        """The text, escaped and in a colour."""
        safe = printable(text)
        return f"\x1b[{colour}m{safe}\x1b[0m" if self._is_colourful else safe


def printable(text: str) -> str:
    """The text with all characters escaped that control a terminal or the direction of writing."""
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode() for it in text)


T = TypeVar("T")

SHOWN = 300
"""The most characters of an unreadable answer that are shown."""


def shortened(text: str) -> str:
    """The text, cut to ``SHOWN`` characters."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def read(value: Any, shape: type[T], of: str) -> T:
    """The value as this type. ``of`` names the request for the error.

    Raises:
        InvalidAnswer: the value has another shape.
    """
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
        # JSON may escape half a surrogate pair, which has no UTF-8.
        raise InvalidAnswer(f"the answer to {of} cannot be read: {shortened(str(error))}") from None


class Result(Protocol):
    """Autobahn's ``CallResult``."""

    @property
    def results(self) -> Sequence[Any] | None: ...


def read_first(result: Result, shape: type[T], of: str) -> T:
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
        raise InvalidAnswer(f"{of} does not answer as tuleaprt does: {shortened(str(error))}{came}") from None
