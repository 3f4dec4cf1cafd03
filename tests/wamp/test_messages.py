"""What a client may say."""

from contextlib import suppress
from typing import Any

import pytest
from autobahn.wamp import message as wamp
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.errors import InvalidUri, ProtocolViolation
from tuleaprt.wamp.identifiers import MAX_ID
from tuleaprt.wamp.messages import parse

ROLES = {"roles": {"subscriber": {}}}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
options = st.dictionaries(
    st.sampled_from(
        [
            "roles",
            "authmethods",
            "authid",
            "authrole",
            "authextra",
            "match",
            "get_retained",
            "acknowledge",
            "exclude_me",
            "exclude",
            "eligible",
            "exclude_authid",
            "eligible_authrole",
            "retain",
            "message",
            "timeout",
            "receive_progress",
            "invoke",
            "concurrency",
            "mode",
            "resumable",
            "resume-session",
            "resume-token",
            "forward_for",
            "enc_algo",
            "enc_key",
            "enc_serializer",
            "transaction_hash",
            "force_reregister",
            "caller",
            "caller_authid",
            "correlation_id",
            "broker",
            "subscriber",
        ]
    ),
    json_values,
)
elements = options | json_values | st.integers(0, 2**53) | st.just("org.tuleap.kanban.3")


def test_a_good_message_is_read() -> None:
    message = parse([32, 7, {}, "org.tuleap.kanban.3"])
    assert isinstance(message, wamp.Subscribe)
    assert (message.request, message.topic, message.match) == (7, "org.tuleap.kanban.3", "exact")


@pytest.mark.parametrize(
    "raw", [None, 1, "x", {}, [], [[]], ["32"], [True], [32.0], [None], [-1], [10**30], [999]]
)
def test_what_is_no_message_is_a_violation(raw: Any) -> None:
    with pytest.raises(ProtocolViolation):
        parse(raw)


@pytest.mark.parametrize("code", [2, 4, 17, 33, 35, 36, 50, 65, 67, 68])
def test_messages_of_a_router_are_not_a_clients_to_send(code: int) -> None:
    with pytest.raises(ProtocolViolation):
        parse([code, 1, {}])


@pytest.mark.parametrize(
    "raw",
    [
        [32, 7, {}, "a b"],
        [32, 7, {}, "a#b"],
        [16, 7, {}, "a b"],
        [48, 7, {}, "a b"],
        [64, 7, {}, "a b"],
        [32, 7, {}, 5],
        [16, 7, {}, "a.b\n"],
        [48, 7, {}, "a.b\n"],
        [16, 7, {}, "a..b"],
        [48, 7, {}, ""],
    ],
)
def test_request_with_a_bad_uri_can_be_answered(raw: list[Any]) -> None:
    with pytest.raises(InvalidUri):
        parse(raw)


@pytest.mark.parametrize("code", [16, 32, 48, 64])
@pytest.mark.parametrize("request_id", [1, 2, 123, MAX_ID])
def test_any_request_id_is_read(code: int, request_id: int) -> None:
    message = parse([code, request_id, {}, "a.b"])
    assert (message.MESSAGE_TYPE, message.request) == (code, request_id)


@pytest.mark.parametrize("request_id", [0, 0.0, -1, MAX_ID + 1, 1.5, "1", True, None, [1]])
@pytest.mark.parametrize(
    "rest",
    [[16, {}, "a.b"], [32, {}, "a.b"], [34, 7], [48, {}, "a.b"], [49, {}], [64, {}, "a.b"], [66, 7]],
    ids=str,
)
def test_request_without_a_good_id_is_a_violation(rest: list[Any], request_id: object) -> None:
    code, *others = rest
    with pytest.raises(ProtocolViolation):
        parse([code, request_id, *others])


def test_request_id_zero_is_named() -> None:
    with pytest.raises(ProtocolViolation) as violation:
        parse([32, 0, {}, "a.b"])
    assert violation.value.what == "SUBSCRIBE with request id 0"


def test_session_ids_that_javascript_wrote_as_floats_are_ids() -> None:
    message = parse(
        [16, 1, {"eligible": [2.0**40, 7], "exclude": [3.0], "retain": True}, "a.b", [], {"n": 2.0}]
    )
    assert isinstance(message, wamp.Publish)
    assert (message.eligible, message.exclude) == ([2**40, 7], [3])
    assert all(type(it) is int for it in message.eligible)
    assert type(message.kwargs["n"]) is float


def test_what_is_read_is_not_changed() -> None:
    raw = [16, 1, {"eligible": [7.0]}, "a.b"]
    parse(raw)
    assert type(raw[2]["eligible"][0]) is float  # type: ignore[index]


@pytest.mark.parametrize("ids", [[1.5], [float("inf")], [float("nan")], ["7"], [True], [None], 7, {}, None])
@pytest.mark.parametrize("name", ["eligible", "exclude"])
def test_session_list_that_holds_anything_else_is_a_violation(name: str, ids: object) -> None:
    with pytest.raises(ProtocolViolation):
        parse([16, 1, {name: ids}, "a.b"])


@pytest.mark.parametrize("raw", [[16], [16, 1], [16, 1, []], [16, 1, None, "a.b"], [16, 1, [], "a.b"]])
def test_publish_without_options_is_a_violation(raw: list[Any]) -> None:
    with pytest.raises(ProtocolViolation):
        parse(raw)


def test_unknown_options_are_ignored() -> None:
    message = parse([32, 7, {"_tuleap_x": 1, "nonsense": {}}, "a.b"])
    assert isinstance(message, wamp.Subscribe)


@pytest.mark.parametrize("raw", [[1, "a b", ROLES], [1, 5, ROLES], [6, {}, "a b"], [3, {}, 5]])
def test_bad_uri_outside_a_request_is_a_violation(raw: list[Any]) -> None:
    with pytest.raises(ProtocolViolation):
        parse(raw)


def test_a_violation_names_the_message_and_quotes_nothing_for_the_log() -> None:
    with pytest.raises(ProtocolViolation) as violation:
        parse([32, 7, {"match": "s3cr3t"}, "a.b"])
    assert violation.value.what == "malformed SUBSCRIBE"


@pytest.mark.parametrize(
    "raw",
    [
        [1, "tuleap", {"roles": {"subscriber": {"features": {"self": True}}}}],
        [32, 1, {"forward_for": [1]}, "a"],
        [16, 1, {"enc_algo": []}, "a.b", b"x"],
    ],
)
def test_what_autobahn_only_asserts_is_a_violation(raw: list[Any]) -> None:
    with pytest.raises(ProtocolViolation):
        parse(raw)


@given(
    st.sampled_from([1, 3, 5, 6, 8, 16, 32, 34, 48, 49, 64, 66, 70]),
    st.booleans(),
    st.lists(elements, max_size=6),
)
def test_any_list_is_a_message_or_a_violation(code: int, has_request: bool, rest: list[Any]) -> None:
    with suppress(ProtocolViolation, InvalidUri):
        parse([code, 1, *rest] if has_request else [code, *rest])


@pytest.mark.parametrize("code", [16, 48])
def test_payload_passthru_was_not_announced_and_is_a_violation(code: int) -> None:
    with pytest.raises(ProtocolViolation, match="passthru"):
        parse([code, 1, {"ppt_scheme": "x_a", "ppt_serializer": "cbor"}, "org.tuleap.kanban.3", ["payload"]])
