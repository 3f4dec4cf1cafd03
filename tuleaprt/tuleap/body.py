"""Checks of a JSON body that msgspec does not make, and errors with the place in the body.

The texts of errors name types and rules and never a value, so they may be logged.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import msgspec

from tuleaprt.errors import InvalidMessage, MalformedMessage, RefusedMessage

MAX_DEPTH = 100
"""The deepest nesting that is accepted. Tuleap's posts have 5 levels. Serializers that encode an EVENT
recurse, too.
"""

_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<key>\w+)`")


def check_json(body: bytes) -> None:
    """Refuse duplicate keys and deep nesting: msgspec takes the last of two equal keys, and its depth limit
    is Python's.

    Raises:
        MalformedMessage
        RecursionError, ValueError: to be passed to ``not_json``.
    """
    if not _keeps_its_colons(body):
        _unique_keys.decode(body.decode())
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        level = [msgspec.json.decode(body)]
        for _ in range(MAX_DEPTH + 1):
            level = [child for node in level for child in _children(node)]
        if level:
            raise RecursionError


def _keeps_its_colons(body: bytes) -> bool:
    """Whether msgspec reads and writes as many colons. It drops one with each pair whose key occurs
    again, and adds one only where a text has it as an escape.
    """
    try:
        again = msgspec.json.encode(msgspec.json.decode(body))
    except (ValueError, RecursionError):
        return False
    return b"\\u003" not in body and body.count(b":") == again.count(b":")


def not_json(error: ValueError | RecursionError) -> MalformedMessage:
    """The error for a body that could not be decoded."""
    if isinstance(error, RecursionError):
        return MalformedMessage("too_deep", "the body is nested too deep")
    # The text of a UnicodeDecodeError quotes the body.
    is_text = not isinstance(error, UnicodeDecodeError)
    what = str(error).partition("\n")[0] if is_text else "it is not UTF-8"
    return MalformedMessage("invalid_json", f"the body is not JSON: {what}")


def check_texts(body: bytes, value: Any, path: str) -> None:
    """Refuse texts that begin with U+0000: WAMP's JSON reads them as binary data (WAMP: Binary support in
    JSON).

    Raises:
        RefusedMessage: ``value``, which is at this path in the body, contains such a text.
    """
    if b'"\\u0000' in body:
        for place, text in _texts(value, path):
            if text.startswith("\0"):
                raise RefusedMessage("invalid_text", "a text must not begin with U+0000", place)


def refuse(cls: type[InvalidMessage], code: str, error: Exception, root: str = "$") -> NoReturn:
    """Raise the error of msgspec as an InvalidMessage with its path."""
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
            # The path goes into the log, and the key is text of the body.
            yield from _texts(child, f"{path}[...]")
