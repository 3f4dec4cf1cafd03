"""The bodies of POST /message, good and bad."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fakes import WIRE, body, data_of, message, wire
from tuleaprt.errors import InvalidMessage, MalformedMessage, RefusedMessage
from tuleaprt.tuleap.body import MAX_DEPTH
from tuleaprt.tuleap.message import decode
from tuleaprt.tuleap.topics import Family

CREATE = wire("kanban_item_create")
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text().filter(lambda text: not text.startswith("\0")),
    lambda children: (
        st.lists(children)
        | st.dictionaries(st.text().filter(lambda text: not text.startswith("\0")), children)
    ),
    max_leaves=20,
)


def refusal(raw: bytes | dict[str, Any]) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as error:
        decode(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return error.value


@pytest.mark.parametrize("path", WIRE, ids=lambda path: path.stem)
def test_every_body_that_tuleap_posts_is_understood(path: Path) -> None:
    posted = json.loads(path.read_bytes())
    decoded = decode(path.read_bytes())
    uuid = posted["sender_uuid"]
    assert decoded.sender == (None if uuid is None else (posted["sender_user_id"], uuid))
    assert decoded.cmd == posted["cmd"]
    assert data_of(decoded) == posted["data"]
    campaign = posted["cmd"].startswith("testmanagement")
    assert decoded.family is (Family.TESTMANAGEMENT if campaign else Family.KANBAN)
    assert decoded.topic == ("org.tuleap.testmanagement.9" if campaign else "org.tuleap.kanban.3")


def test_there_are_22_of_them() -> None:
    assert len(WIRE) == 22


@given(json_values)
def test_data_is_forwarded_unchanged_whatever_it_is(data: Any) -> None:
    assert data_of(message(data=data)) == data


@given(st.binary())
@example(b"\xef\xbb\xbf{}")
def test_arbitrary_bytes_raise_nothing_but_invalid_message(raw: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode(raw)


@given(st.data())
def test_damaged_bodies_raise_nothing_but_invalid_message(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(CREATE) - 1))
    junk = data.draw(
        st.binary(max_size=3) | st.sampled_from([b'"\\ud800"', b"1e999", b"[[", b"null", b'\\u0000"'])
    )
    until = data.draw(st.integers(at, min(len(CREATE), at + 10)))
    try:
        decode(CREATE[:at] + junk + CREATE[until:])
    except InvalidMessage as error:
        assert error.path.startswith("$")


@given(st.dictionaries(st.sampled_from(list(body())), json_values))
def test_envelopes_of_any_json_raise_nothing_but_invalid_message(changes: dict[str, Any]) -> None:
    try:
        message(**changes)
    except InvalidMessage as error:
        assert error.code


@pytest.mark.parametrize("key", list(body()))
def test_missing_key_is_named(key: str) -> None:
    envelope = body()
    del envelope[key]
    error = refusal(envelope)
    assert isinstance(error, MalformedMessage)
    assert error.path == f"$.{key}"


@pytest.mark.parametrize(
    "key", ["submitter_id", "submitter_can_view", "submitter_only", "artifact", "tracker"]
)
def test_missing_key_of_the_rights_is_named(key: str) -> None:
    envelope = body()
    del envelope["rights"][key]
    error = refusal(envelope)
    assert isinstance(error, RefusedMessage)
    assert error.path == f"$.rights.{key}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sender_user_id", "101"),
        ("sender_user_id", True),
        ("sender_user_id", None),
        ("sender_user_id", -1),
        ("sender_user_id", 1.5),
        ("sender_user_id", 2**53),
        ("sender_uuid", 7),
        ("room_id", 3.0),
        ("room_id", None),
        ("room_id", True),
        ("room_id", [3]),
        ("cmd", None),
        ("cmd", ["kanban_item:create"]),
    ],
)
def test_value_of_a_wrong_type_is_named(key: str, value: object) -> None:
    error = refusal(body(**{key: value}))
    assert isinstance(error, MalformedMessage)
    assert error.path == f"$.{key}"


@pytest.mark.parametrize(
    ("rights", "path"),
    [
        ([], "$.rights"),
        (None, "$.rights"),
        ("@site_active", "$.rights"),
        ({"tracker": []}, "$.rights.tracker"),
        ({"tracker": {"0": "@a"}}, "$.rights.tracker"),
        ({"tracker": [None]}, "$.rights.tracker[0]"),
        ({"artifact": None}, "$.rights.artifact"),
        ({"artifact": ""}, "$.rights.artifact"),
        ({"artifact": {"0": "@a"}}, "$.rights.artifact"),
        ({"submitter_can_view": "false"}, "$.rights.submitter_can_view"),
        ({"submitter_id": "165"}, "$.rights.submitter_id"),
        ({"submitter_id": True}, "$.rights.submitter_id"),
    ],
)
def test_malformed_rights_are_refused_whole(rights: Any, path: str) -> None:
    good = body()["rights"]
    error = refusal(body(rights=good | rights if isinstance(rights, dict) else rights))
    assert isinstance(error, RefusedMessage)
    assert (error.code, error.path) == ("invalid_rights", path)


@pytest.mark.parametrize("cmd", ["user:leave", "presences", "testmanagement_podium:update"])
@pytest.mark.parametrize("room_id", [3, "testmanagement_9"])
def test_command_of_the_servers_own_cannot_be_posted(cmd: str, room_id: object) -> None:
    assert refusal(body(cmd=cmd, room_id=room_id)).path == "$.cmd"


@pytest.mark.parametrize(
    ("room_id", "cmd"),
    [
        (3, "testmanagement_campaign:update"),
        ("testmanagement_9", "kanban_item:create"),
        (3, ""),
        (3, "Kanban:edit"),
    ],
)
def test_command_of_another_family_is_refused(room_id: object, cmd: str) -> None:
    assert isinstance(refusal(body(room_id=room_id, cmd=cmd)), RefusedMessage)


def test_an_unknown_command_of_the_right_family_passes() -> None:
    assert message(cmd="kanban_swimlane:create").cmd == "kanban_swimlane:create"


def test_unknown_keys_are_ignored() -> None:
    assert message(protocol=2).cmd == "kanban_item:create"


def test_an_empty_body_has_its_own_code() -> None:
    assert refusal(b"").code == "empty_body"


@pytest.mark.parametrize(
    "raw", [b'{"a":', b"{]", b"NaN", b"\xff", CREATE[:-1], CREATE + b"x", CREATE[:-1] + b',"x":"\xff"}']
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    assert isinstance(refusal(raw), MalformedMessage)


def test_body_that_is_a_list_is_malformed() -> None:
    assert refusal(b"[]").code == "invalid_envelope"


@pytest.mark.parametrize("bracket", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_100000_deep_is_refused(bracket: tuple[bytes, bytes]) -> None:
    opening, closing = bracket
    deep = opening * 100_000 + b"1" + closing * 100_000
    assert refusal(deep).code in ("too_deep", "invalid_envelope")
    assert refusal(CREATE.replace(b"321", deep)).code == "too_deep"


def test_nesting_is_bounded_long_before_pythons_limit() -> None:
    def nested(depth: int) -> bytes:
        return CREATE.replace(b'{"artifact_id":321}', b"[" * depth + b"]" * depth)

    assert decode(nested(MAX_DEPTH - 1)).cmd
    assert refusal(nested(MAX_DEPTH + 1)).code == "too_deep"


def test_many_brackets_are_not_depth() -> None:
    assert data_of(message(data=[[], {}] * 1000)) == [[], {}] * 1000


def test_lone_surrogate_is_refused() -> None:
    for text in (b'"\\ud800"', b'"\\ud800abc"', b'"\\udc00"', b'"\\ud83d\\u0041"'):
        assert isinstance(refusal(CREATE.replace(b"321", text)), MalformedMessage)
        assert isinstance(refusal(CREATE.replace(b'"@site_active"', text, 1)), MalformedMessage)


def test_number_beyond_all_bounds_is_refused() -> None:
    assert refusal(CREATE.replace(b"321", b"1e999")).path.startswith("$.data")


def test_id_of_5000_digits_is_refused() -> None:
    digits = b"9" * 5000
    assert refusal(CREATE.replace(b'"room_id":3', b'"room_id":' + digits)).path == "$.room_id"
    assert refusal(CREATE.replace(b'"room_id":3', b'"room_id":"' + digits + b'"')).path == "$.room_id"
    assert refusal(CREATE.replace(b"101", digits)).path == "$.sender_user_id"


@pytest.mark.parametrize("key", [b"cmd", b"tracker", b"artifact_id"])
def test_duplicate_key_is_refused_wherever_it_is(key: bytes) -> None:
    twice = CREATE.replace(b'"%s":' % key, b'"%s":0,"%s":' % (key, key))
    assert isinstance(refusal(twice), MalformedMessage)
    disguised = CREATE.replace(b'"rights":', b'"x":1, "\\u0078" :2,"rights":')
    assert refusal(disguised).code == "duplicate_key"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ("\0YQ==", "$.data"),
        ({"label": "\0YQ=="}, "$.data[...]"),
        ([1, ["\0"]], "$.data[1][0]"),
        ({"\0": 1}, "$.data (a key)"),
    ],
)
def test_label_that_begins_with_nul_is_refused_because_wamp_clients_read_it_as_binary(
    data: Any, path: str
) -> None:
    error = refusal(body(data=data))
    assert (error.code, error.path) == ("invalid_text", path)


@pytest.mark.parametrize("data", ["a\0b", 'a"\0', "\\u0000", {"a\0": ["b\0"]}, [['"\0'], {"k": '"\0'}]])
def test_nul_elsewhere_in_a_text_passes(data: Any) -> None:
    assert data_of(message(data=data)) == data


def test_no_error_quotes_the_body() -> None:
    secret = "s3cr3t\n\x1b"
    for key in ("sender_user_id", "rights", "room_id", "cmd"):
        error = refusal(body(**{key: secret}))
        assert secret not in error.message + error.path
    for data in ({secret: "\0"}, {secret: {secret: ["\0"]}}, {f"\0{secret}": 1}):
        assert secret not in refusal(body(data=data)).path
    raw = json.dumps({"rights": {secret: 1}, secret: secret}).encode()
    for error in (refusal(raw), refusal(secret.encode()), refusal(raw + raw), refusal(raw[:-1])):
        assert secret not in error.message + error.path


def test_the_data_is_kept_to_the_letter() -> None:
    text = b'{ "b" : 1.0, "a":"\\u00e9\\/" }'
    decoded = decode(CREATE.replace(b'{"artifact_id":321}', text))
    assert decoded.data_json.text == text


def test_messages_with_equal_rights_share_them_unless_they_are_long() -> None:
    assert message().rights is message(cmd="kanban_item:move").rights
    many = body()["rights"] | {"tracker": [f"@ug_{number}" for number in range(1000)]}
    assert message(rights=many).rights == message(rights=many).rights
