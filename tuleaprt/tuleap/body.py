"""A body of a request as JSON, stricter than msgspec is, and what is wrong with it, with its place.

The texts name types and rules, never a value of the body, so that they may be logged.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import msgspec

from tuleaprt.errors import InvalidMessage, MalformedMessage, RefusedMessage

MAX_DEPTH = 100
"""How deep a body may be nested; Tuleap's go to 5. Whoever decodes an EVENT recurses too."""

_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>\w+)`")


def check_json(body: bytes) -> None:
    """What msgspec lets pass: it takes the last of two equal keys, and its bound on depth is Python's.

    Raises:
        MalformedMessage
        RecursionError, ValueError: for ``not_json``.
    """
    _unique_keys.decode(body.decode())
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        level = [msgspec.json.decode(body)]
        for _ in range(MAX_DEPTH + 1):
            level = [child for node in level for child in _children(node)]
        if level:
            raise RecursionError


def not_json(error: ValueError | RecursionError) -> MalformedMessage:
    """What to say of a body that could not be decoded."""
    if isinstance(error, RecursionError):
        return MalformedMessage("too_deep", "the body is nested too deep")
    # Not the text of a UnicodeDecodeError: it goes on to quote what it could not read.
    is_text = not isinstance(error, UnicodeDecodeError)
    what = str(error).partition("\n")[0] if is_text else "it is not UTF-8"
    return MalformedMessage("invalid_json", f"the body is not JSON: {what}")


def check_texts(body: bytes, value: Any, path: str) -> None:
    """Texts must not begin with U+0000: in WAMP's JSON they are binary (WAMP: Binary support in JSON).

    Raises:
        RefusedMessage: one does, in this value, which is of the body and at this path.
    """
    if b'"\\u0000' in body:
        for place, text in _texts(value, path):
            if text.startswith("\0"):
                raise RefusedMessage("invalid_text", "a text must not begin with U+0000", place)


def refuse(cls: type[InvalidMessage], code: str, error: Exception, root: str = "$") -> NoReturn:
    """Say what msgspec has found, and where."""
    match = _PATH.fullmatch(str(error))
    what, path = (match["what"], root + (match["path"] or "")) if match else (str(error), root)
    if missing := _MISSING.fullmatch(what):
        path += f".{missing['key']}"
    raise cls(code, what, path) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise MalformedMessage("duplicate_key", "an object names a key twice")
    return unique


_unique_keys = json.JSONDecoder(object_pairs_hook=_unique)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _texts(child, f"{path}[{index}]")
    elif isinstance(node, dict):
        for key, child in node.items():
            yield f"{path} (a key)", key
            # Not the key itself: it is the poster's text, and the path goes into the log.
            yield from _texts(child, f"{path}[...]")
