"""Messages as bytes."""

import json
from contextlib import suppress
from typing import Any

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.transport.serializers import CBOR, JSON, MSGPACK, SERIALIZERS, Serializer
from tuleaprt.wamp.publication import JsonText

OTHERS: dict[str, tuple[Any, Any]] = {
    "json": (lambda value: json.dumps(value).encode(), json.loads),
    "msgpack": (msgpack.packb, msgpack.unpackb),
    "cbor": (cbor2.dumps, cbor2.loads),
}
whole = st.integers(-(2**63), 2**64 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
scalars = st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=9,
)


@given(serializer=st.sampled_from(SERIALIZERS), value=values)
def test_other_libraries_read_what_this_writes_and_the_other_way_round(
    serializer: Serializer, value: Any
) -> None:
    write, read = OTHERS[serializer.name]
    assert read(serializer.encode(value)) == value
    assert serializer.decode(write(value)) == value


@given(serializer=st.sampled_from(SERIALIZERS), data=st.binary(max_size=40))
def test_any_bytes_are_a_value_or_an_error_of_two_kinds(serializer: Serializer, data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        serializer.decode(data)


@pytest.mark.parametrize("serializer", SERIALIZERS, ids=lambda it: it.name)
def test_two_messages_are_not_one(serializer: Serializer) -> None:
    with pytest.raises(ValueError):
        serializer.decode(serializer.encode([1]) * 2)


@pytest.mark.parametrize("tag", [0, 1, 2, 3, 4, 5, 24, 28, 29, 30, 35, 36, 37, 52, 258, 260, 55799, 4711])
def test_tags_of_cbor_make_no_objects(tag: int) -> None:
    with pytest.raises(ValueError):
        CBOR.decode(cbor2.dumps([cbor2.CBORTag(tag, "(a+)+$")]))


@pytest.mark.parametrize(
    "data",
    [b"\x9b" + b"\xff" * 8, b"\x5b\x7f" + b"\xff" * 7, b"\x81" * 9999 + b"\0", b"\xa2\x61a\x01\x61a\x02"],
)
def test_cbor_that_promises_much_or_says_a_key_twice(data: bytes) -> None:
    with pytest.raises(ValueError):
        CBOR.decode(data)


def test_extensions_of_messagepack_make_no_objects() -> None:
    with pytest.raises(ValueError):
        MSGPACK.decode(msgpack.packb([msgpack.ExtType(5, b"x")]))


def test_numbers_that_messagepack_cannot_say_are_what_javascript_would_read() -> None:
    message = {"a": [2**70, (-(2**63) - 1,)], "b": 2**64 - 1, "c": True, "d": "x"}
    expected = {"a": [2.0**70, [-(2.0**63)]], "b": 2**64 - 1, "c": True, "d": "x"}
    assert msgpack.unpackb(MSGPACK.encode(message)) == expected
    assert json.loads(JSON.encode(message))["a"][0] == 2**70


@pytest.mark.parametrize(
    ("serializer", "undefined"),
    [(MSGPACK, msgpack.ExtType(0, b"\0")), (CBOR, cbor2.undefined)],
    ids=["msgpack", "cbor"],
)
def test_what_javascript_calls_undefined_is_what_its_json_would_say(
    serializer: Serializer, undefined: object
) -> None:
    message = [32, 1, {"match": undefined, "x": [undefined, 1]}, "a.b", undefined]
    written = OTHERS[serializer.name][0](message)
    assert serializer.decode(written) == [32, 1, {"x": [None, 1]}, "a.b", None]


@pytest.mark.parametrize("serializer", SERIALIZERS, ids=lambda it: it.name)
@pytest.mark.parametrize(
    "text", ["null", "1.0", '{ "a" : [1, 2.5, "\\u00e9/\\/", true], "b": {} }', str(2**70)]
)
def test_json_that_was_kept_is_written_as_what_it_means(serializer: Serializer, text: str) -> None:
    written = serializer.encode([36, {"data": JsonText(text.encode()), "x": [JsonText(b"[]")]}])
    assert OTHERS[serializer.name][1](written) == [36, {"data": json.loads(text), "x": [[]]}]
    if serializer is JSON:
        assert text.encode() in written
