"""JSON that is refused beyond what msgspec refuses; through posts, in test_message.py."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


KEYS = st.sampled_from(
    ['"a"', '"b"', '"a:b"', '"\\u0061"', '"\\u003a"', '"\\u003A"', '":"', '""', '"\\\\u003a"']
)
TEXTS = st.recursive(
    st.sampled_from(
        ["1", "null", '":"', '"\\u003a"', '"a:b:c"', "-0.5e3", '"\xe9"', '"\\ud83d\\ude00"', '"\\/"']
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda them: f"[{', '.join(them)}]")
        | st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{key} : {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=12,
)


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@given(TEXTS)
def test_a_key_is_found_twice_exactly_if_python_s_json_finds_it_twice(text: str) -> None:
    try:
        json.loads(text, object_pairs_hook=unique)
        is_refused = False
    except AssertionError:
        is_refused = True
    if is_refused:
        with pytest.raises(MalformedMessage, match="twice"):
            check_json(text.encode())
    else:
        check_json(text.encode())


@given(TEXTS, st.data())
def test_attack_no_damaged_text_passes_that_python_s_json_refuses(text: str, data: st.DataObject) -> None:
    damaged = bytearray(text.encode())
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    try:
        check_json(bytes(damaged))
    except (MalformedMessage, ValueError, RecursionError):
        return
    json.loads(damaged.decode(), object_pairs_hook=unique)
