"""JSON that is refused beyond what msgspec refuses; through posts, in test_message.py."""

import json

import msgspec
import pytest

from tuleaprt.errors import MalformedMessage, RefusedMessage
from tuleaprt.tuleap.body import MAX_DEPTH, check_json, check_texts, not_json, refuse


def test_a_key_that_is_there_twice_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="twice"):
        check_json(b'{"a": {"b": 1, "b": 2}}')


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_the_depth_has_a_bound(opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    check_json((opening * MAX_DEPTH + "1" + closing * MAX_DEPTH).encode())
    with pytest.raises(RecursionError):
        check_json((opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1)).encode())


def test_what_cannot_be_decoded_is_not_quoted() -> None:
    try:
        b'"\xffsecret"'.decode()
    except UnicodeDecodeError as error:
        assert not_json(error).message == "the body is not JSON: it is not UTF-8"
    assert not_json(ValueError("line 1\nsecret")).message == "the body is not JSON: line 1"
    assert not_json(RecursionError()).code == "too_deep"


def test_a_text_that_webclients_take_for_binary_is_named_by_its_place() -> None:
    value = {"a": [1, "\0x"]}
    with pytest.raises(RefusedMessage) as refused:
        check_texts(json.dumps(value).encode(), value, "$.data")
    assert refused.value.path == "$.data[...][1]"


def test_what_msgspec_finds_is_named_by_its_place() -> None:
    class Thing(msgspec.Struct):
        a: int

    for value, path in ({"a": "x"}, "$.x.a"), ({}, "$.x.a"), ([], "$.x"):
        with pytest.raises(msgspec.ValidationError) as found:
            msgspec.convert(value, Thing)
        with pytest.raises(RefusedMessage) as refused:
            refuse(RefusedMessage, "code", found.value, "$.x")
        assert refused.value.path == path
