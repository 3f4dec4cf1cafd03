"""The arguments of a call."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tuleaprt.errors import InvalidArgument, InvalidUri
from tuleaprt.wamp.calls import (
    Arguments,
    a_count,
    a_flag,
    a_text,
    a_time,
    a_uri,
    an_id,
    texts,
)
from tuleaprt.wamp.identifiers import MAX_ID


def test_positional_arguments_come_in_their_order() -> None:
    arguments = Arguments([7, "a"], {})
    assert (arguments.next("first", an_id), arguments.next("second", a_text)) == (7, "a")
    arguments.done()


@pytest.mark.parametrize("args", [[], [None]])
def test_an_argument_that_is_missing_or_null_is_named(args: list[object]) -> None:
    with pytest.raises(InvalidArgument, match="subscription is missing"):
        Arguments(args, {}).next("subscription", an_id)


@pytest.mark.parametrize("args", [[], [None]])
def test_an_argument_may_be_left_out_or_null_where_none_is_needed(args: list[object]) -> None:
    arguments = Arguments(args, {})
    assert arguments.next_if_any("options", a_text) is None
    arguments.done()


def test_a_null_keeps_its_place() -> None:
    arguments = Arguments([None, "second"], {})
    assert arguments.next_if_any("first", a_text) is None
    assert arguments.next_if_any("second", a_text) == "second"


def test_keyword_arguments_are_taken_by_name() -> None:
    arguments = Arguments([], {"limit": 5, "reverse": None})
    assert arguments.keyword("limit", a_count) == 5
    assert arguments.keyword("reverse", a_flag) is None
    assert arguments.keyword("topic", a_uri) is None
    arguments.done()


def test_falsehoods_are_not_absent() -> None:
    arguments = Arguments([""], {"limit": 0, "reverse": False})
    assert arguments.next("text", a_text) == ""
    assert arguments.keyword("limit", a_count) == 0
    assert arguments.keyword("reverse", a_flag) is False


@pytest.mark.parametrize(("args", "kwargs"), [([1], {}), ([None, False], {}), ([], {"x": 1})])
def test_what_nobody_asked_for_is_an_error(args: list[object], kwargs: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        Arguments(args, kwargs).done()


@pytest.mark.parametrize(("args", "kwargs"), [([None], {}), ([], {"x": None})])
def test_null_is_nothing_that_one_could_ask_for(args: list[object], kwargs: dict[str, object]) -> None:
    Arguments(args, kwargs).done()


def test_the_callers_own_texts_are_not_repeated_to_him() -> None:
    with pytest.raises(InvalidArgument) as raised:
        Arguments([], {"x" * 999: 1}).done()
    assert "xxx" not in str(raised.value)


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(InvalidArgument, match="limit must be"):
        Arguments([], {"limit": "many"}).keyword("limit", a_count)


def test_what_the_caller_sent_is_left_as_it_is() -> None:
    args, kwargs = [1], {"limit": 5}
    arguments = Arguments(args, kwargs)
    arguments.next("first", an_id)
    arguments.keyword("limit", a_count)
    assert (args, kwargs) == ([1], {"limit": 5})


@pytest.mark.parametrize(
    ("check", "sent", "meant"),
    [
        (an_id, 1, 1),
        (an_id, MAX_ID, MAX_ID),
        (an_id, 7.0, 7),
        (an_id, float(MAX_ID), MAX_ID),
        (a_count, 0, 0),
        (a_count, MAX_ID, MAX_ID),
        (a_flag, True, True),
        (a_flag, False, False),
        (a_text, "", ""),
        (texts, [], []),
        (texts, ["a", ""], ["a", ""]),
        (a_uri, "org.tuleap.kanban.3", "org.tuleap.kanban.3"),
    ],
)
def test_what_is_meant(check: Callable[[str, object], Any], sent: object, meant: object) -> None:
    checked = check("it", sent)
    assert (type(checked), checked) == (type(meant), meant)


WRONG: dict[Callable[[str, object], Any], list[object]] = {
    an_id: [0, -1, MAX_ID + 1, True, 1.5, 0.0, 1e300, float("nan"), float("inf"), "1", [1], {}],
    a_count: [-1, MAX_ID + 1, True, False, 1.0, "1", []],
    a_flag: [0, 1, "true", []],
    a_text: [1, b"a", ["a"], True],
    texts: ["ab", [1], ["a", None], {"a": 1}, 1],
    a_uri: [1, b"a.b", ["a"]],
    a_time: [1000, 1000.0, True, b"2026-03-14T15:09:26Z"],
}


@pytest.mark.parametrize(
    ("check", "value"), [(check, it) for check, values in WRONG.items() for it in values]
)
def test_values_of_another_kind_are_refused(check: Callable[[str, object], Any], value: object) -> None:
    with pytest.raises(InvalidArgument, match="it must be"):
        check("it", value)


@pytest.mark.parametrize("value", ["", "a.", "a..b", "a b", "a.b\n", "a#b"])
def test_a_text_that_is_no_uri(value: str) -> None:
    with pytest.raises(InvalidUri, match="topic is not a URI"):
        a_uri("topic", value)


MOMENT = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-14T15:09:26Z", MOMENT),
        ("2026-03-14t15:09:26z", MOMENT),
        ("2026-03-14 15:09:26Z", MOMENT),
        ("2026-03-14T15:09:26.5Z", MOMENT + timedelta(seconds=0.5)),
        ("2026-03-14T15:09:26.535897Z", MOMENT + timedelta(microseconds=535897)),
        ("2026-03-14T15:09:26.535897932Z", MOMENT + timedelta(microseconds=535897)),
        ("2026-03-14T15:09:26+00:00", MOMENT),
        ("2026-03-14T20:39:26+05:30", MOMENT),
        ("2026-03-14T07:09:26-08:00", MOMENT),
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    ],
)
def test_times_are_read_by_rfc_3339(text: str, moment: datetime) -> None:
    assert a_time("from_time", text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-03-14",
        "2026-03-14T15:09:26",
        "2026-03-14T15:09Z",
        "2026-03-14T15:09:26.Z",
        "2026-03-14T15:09:26Z\n",
        "20260314T150926Z",
        "2026-W11-6T15:09:26Z",
        "2026-02-30T15:09:26Z",
        "2026-03-14T25:00:00Z",
        "2026-03-14T15:09:26+24:00",
        "2026-03-14T15:09:26+0530",
        "2026-03-14T15:09:26+05:30:15",
        "0000-03-14T15:09:26Z",
        "٢٠٢٦-03-14T15:09:26Z",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="from_time must be a time"):
        a_time("from_time", text)
