"""The body of PUT /campaigns/<id>/executions."""

import json
from typing import Any

import pytest

from tests.fakes import rights
from tuleaprt.errors import InvalidMessage, MalformedMessage, RefusedMessage
from tuleaprt.tuleap.inputs import decode_seed
from tuleaprt.tuleap.podium import Result
from tuleaprt.wamp.publication import JsonText

USER = {"id": 101, "real_name": "Alice"}
RIGHTS = {
    "submitter_id": None,
    "submitter_can_view": False,
    "submitter_only": [],
    "artifact": [],
    "tracker": ["@site_active"],
}


def entry(**changes: Any) -> dict[str, Any]:
    said = {
        "execution_id": 39,
        "status": "passed",
        "user": USER,
        "automated": False,
        "rights": RIGHTS,
    } | changes
    return {key: value for key, value in said.items() if value is not ...}


def decoded(*entries: object) -> Any:
    return decode_seed(json.dumps(entries).encode())


def refusal(body: bytes | list[Any]) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as refused:
        decode_seed(body if isinstance(body, bytes) else json.dumps(body).encode())
    return refused.value


def test_each_entry_is_a_result() -> None:
    results, users = decoded(entry(), entry(execution_id="40", status="notrun", user=None, automated=True))
    assert results == {
        39: Result(status="passed", author=101, is_automated=False, rights=rights()),
        40: Result(status="notrun", author=None, is_automated=True, rights=rights()),
    }
    assert users == {101: JsonText(b'{"id":101,"real_name":"Alice"}')}


def test_without_rights_they_are_unknown() -> None:
    results, _ = decoded(entry(rights=..., automated=...))
    assert results[39] == Result(status="passed", author=101, is_automated=False, rights=None)


def test_an_empty_list_is_no_result_at_all() -> None:
    assert decoded() == ({}, {})


@pytest.mark.parametrize("body", [b"", b"[", b"\xff", b"[[[", b'[{"a": 1, "a": 2}]'[:-1]])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert isinstance(refusal(body), MalformedMessage)


def test_a_key_twice_is_malformed() -> None:
    body = json.dumps([entry()]).replace('"status"', '"status": "failed", "status"').encode()
    assert isinstance(refusal(body), MalformedMessage)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"execution_id": ...}, "$[1].execution_id"),
        ({"execution_id": 0}, "$[1].execution_id"),
        ({"execution_id": "040"}, "$[1].execution_id"),
        ({"execution_id": "39"}, "$[1].execution_id"),
        ({"status": ...}, "$[1].status"),
        ({"user": ...}, "$[1].user"),
        ({"user": {}}, "$[1].user.id"),
        ({"user": {"id": "101"}}, "$[1].user.id"),
        ({"user": [101]}, "$[1].user"),
        ({"user": {"id": 101, "real_name": "\0YQ=="}}, "$[1][...][...]"),
        ({"automated": None}, "$[1].automated"),
        ({"rights": RIGHTS | {"tracker": []}}, "$[1].rights.tracker"),
        ({"rights": []}, "$[1].rights"),
        ({"rigths": RIGHTS}, "$[1]"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(changes: dict[str, Any], path: str) -> None:
    error = refusal([entry(), entry(**{"execution_id": 40} | changes)])
    assert isinstance(error, RefusedMessage)
    assert error.path == path


def test_an_object_is_no_list() -> None:
    assert refusal(b"{}").path == "$"
