"""Positions, keys and entries of the Redis stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.journal.streams import SEQUENCE_BITS, Entry, Keys, entries, id_of, position, time_of

IDS = st.tuples(st.integers(0, 2**43 - 1), st.integers(0, 2**SEQUENCE_BITS - 1))


@given(IDS, IDS)
def test_positions_are_in_the_order_of_ids_and_lead_back_to_them(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    first, second = (position(b"%d-%d" % it) for it in (one, other))
    assert (first < second) == (one < other)
    assert id_of(first) == f"{one[0]}-{one[1]}"
    assert first < 2**63
    assert time_of(first) == one[0] / 1000


@pytest.mark.parametrize("id", [b"", b"1", b"x-1", b"1-x", b"1-2-3", b"1-%d" % 2**SEQUENCE_BITS])
def test_what_is_no_id_has_no_position(id: bytes) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal|too many"):
        position(id)


def test_all_keys_of_a_realm_are_in_one_slot() -> None:
    keys = Keys("tuleap")
    assert keys.journal == "tuleaprt:{tuleap}:journal"
    assert {it.partition("}")[0] for it in (keys.epoch, keys.snapshots, keys.once("n", 7))} == {
        "tuleaprt:{tuleap"
    }


def test_an_entry_without_a_record_has_no_body() -> None:
    reply = [[b"1-0", [b"r", b"body"]], [b"2-0", [b"x", b"y"]], [b"3-0", []]]
    at = [position(id) for id, _ in reply]
    assert entries(reply) == [Entry(at[0], b"body"), Entry(at[1]), Entry(at[2])]
    assert entries(None) == []


def test_an_entry_may_say_that_a_new_epoch_has_begun() -> None:
    assert entries([[b"1-0", [b"e", b""]]]) == [Entry(position(b"1-0"), is_new_epoch=True)]


def test_an_entry_names_the_one_before() -> None:
    (entry,) = entries([[b"2-0", [b"r", b"body", b"p", b"1-7"]]])
    assert entry.before == position(b"1-7")
    assert entry.position == position(b"2-0")
