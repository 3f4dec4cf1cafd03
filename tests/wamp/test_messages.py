"""What a client may say."""

from contextlib import suppress
from typing import Any

import pytest
from autobahn.wamp import message as wamp
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.errors import InvalidUri, ProtocolViolation
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
    ],
)
def test_request_with_a_bad_uri_can_be_answered(raw: list[Any]) -> None:
    with pytest.raises(InvalidUri):
        parse(raw)


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
