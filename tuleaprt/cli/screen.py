"""What is written where somebody reads it: safe for a terminal, in colours where there are any."""

import os
from typing import TextIO

DIM, CYAN, BOLD = "2", "36", "1"


class Screen:
    """Lines of a stream. Colours only on a terminal, and not with NO_COLOR (no-color.org)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_colourful = stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str) -> None:
        """Write it now, so that whoever reads a pipe has it now."""
        print(text, file=self._stream, flush=True)

    def coloured(self, text: str, colour: str) -> str:
        """The text, safe and in a colour."""
        safe = printable(text)
        return f"\x1b[{colour}m{safe}\x1b[0m" if self._is_colourful else safe


def printable(text: str) -> str:
    """The text, with everything escaped that could move a cursor, colour a screen or turn writing around."""
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode() for it in text)
