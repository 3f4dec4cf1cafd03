"""Inputs as bytes: what is written is read again, by this version and by later ones."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FIXTURES, body, message, rights, wire
from tuleaprt.errors import CorruptRecord
from tuleaprt.tuleap import inputs, records
from tuleaprt.tuleap.message import decode as decode_message
from tuleaprt.tuleap.podium import Result
from tuleaprt.wamp.publication import Audience, JsonText, Window

WRITTEN = Path(__file__).parent.parent / "fixtures" / "journal" / "v1.bin"
"""Records of each type, each behind its length in four octets. Records are added at the end and never written
again.
"""

WINDOW = Window(101, "7b1c8d2e-3f4a-4b5c-9d6e-0f1a2b3c4d5e")
RESULT = Result(status="passed", author=101, is_automated=False, rights=rights())
EACH: list[inputs.Input] = [
    *(
        inputs.Post(message=decode_message(path.read_bytes()))
        for path in sorted((FIXTURES / "wire").glob("*.body"))
    ),
    inputs.OperatorPublish(
        message=message(),
        audience=Audience(
            eligible=frozenset({1}),
            exclude_authid=frozenset({"102"}),
            eligible_authrole=frozenset(),
            publisher=7,
        ),
    ),
    inputs.CampaignSeeded(
        topic="org.tuleap.testmanagement.9",
        results={39: RESULT, 40: Result(status=None, author=None, is_automated=True, rights=None)},
        users={101: JsonText(b'{"id":101}')},
    ),
    inputs.UserRevoked(user_id=101),
    inputs.GroupsShown(user_id=101, exp=1741878120.5, groups=frozenset({"@site_active", "@ug_159"})),
    inputs.WindowSeen(window=WINDOW, session=2**53 - 1),
    inputs.WindowLost(window=WINDOW, session=1),
    inputs.WindowUnsubscribed(window=WINDOW, topic="org.tuleap.testmanagement.9"),
    inputs.GraceEnded(window=WINDOW, since=1741878120.123456),
    inputs.Stopped(positions=((101, WINDOW.uuid, "org.tuleap.kanban.3", 2**53 - 1),)),
    inputs.Probed(token="node-1"),
    inputs.WindowSeen(window=WINDOW, session=7, node="a", is_new=True),
    inputs.Stopped(positions=(), node="a"),
    inputs.Probed(token="a-1", node="a"),
    inputs.SessionsKilled(
        node="a", authid="102", authrole=None, reason="wamp.close.killed", message="Good night"
    ),
    inputs.SessionsKilled(
        node="a", authid=None, authrole="user", reason="org.tuleap.close.logout", message=None
    ),
]


@pytest.mark.parametrize("input", EACH, ids=lambda it: type(it).__name__)
def test_what_is_written_is_read_again(input: inputs.Input) -> None:
    assert records.decode(records.encode(input)) == input


def test_there_is_an_example_of_each_input() -> None:
    assert {type(it) for it in EACH} == set(inputs.Input.__args__)


def test_this_version_reads_what_the_first_version_has_written() -> None:
    written, found = WRITTEN.read_bytes(), []
    while written:
        length = int.from_bytes(written[:4])
        found.append(records.decode(written[4 : 4 + length]))
        written = written[4 + length :]
    assert found == EACH


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=9,
)


@given(
    JSON, st.none() | st.text(st.characters(codec="utf-8"), min_size=1), st.sets(st.text("@abc"), min_size=1)
)
def test_any_post_is_read_again(data: Any, uuid: str | None, tracker: set[str]) -> None:
    posted = body(
        cmd="kanban:edit",
        data=data,
        sender_uuid=uuid,
        rights=body()["rights"] | {"tracker": sorted(tracker), "artifact": []},
    )
    try:
        read = decode_message(msgspec.json.encode(posted))
    except Exception:
        return  # Not a valid post: no input.
    input = inputs.Post(message=read)
    assert records.decode(records.encode(input)) == input


def test_a_type_or_version_of_a_later_server_is_skipped() -> None:
    assert records.decode(b"\x01" + msgspec.msgpack.encode({"type": "later", "x": 1})) is None
    assert records.decode(b"\x02whatever") is None


def test_a_field_of_a_later_server_is_ignored() -> None:
    record = {"type": "user_revoked", "user_id": 7, "why": "later"}
    assert records.decode(b"\x01" + msgspec.msgpack.encode(record)) == inputs.UserRevoked(user_id=7)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00",
        b"\x01",
        b"\x01\xc1",
        b"\x01" + msgspec.msgpack.encode([]),
        b"\x01" + msgspec.msgpack.encode({}),
        b"\x01" + msgspec.msgpack.encode({"type": "user_revoked"}),
        records.encode(EACH[0])[:-1],
        records.encode(EACH[0])[:40],
    ],
)
def test_what_is_no_record_is_refused(garbage: bytes) -> None:
    with pytest.raises(CorruptRecord):
        records.decode(garbage)


def test_a_record_whose_command_is_broken_is_refused() -> None:
    good = records.encode(inputs.Post(message=decode_message(wire("testmanagement_execution_delete"))))
    fields = msgspec.msgpack.decode(good[1:])
    with pytest.raises(CorruptRecord):
        records.decode(b"\x01" + msgspec.msgpack.encode(fields | {"data": b"[]"}))
