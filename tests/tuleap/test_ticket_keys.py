"""Which keys are good, and until when."""

from tuleaprt.tuleap.ticket import FORMER_KEYS, KeyRing

FIRST, SECOND, THIRD = b"first", b"second", b"third"


def test_there_is_one_at_first() -> None:
    ring = KeyRing(FIRST)
    assert ring.newest == FIRST
    assert list(ring.former(0)) == []


def test_the_one_before_a_change_is_good_for_a_while() -> None:
    ring = KeyRing(FIRST).changed(SECOND, 100, 30)
    assert ring.newest == SECOND
    assert list(ring.former(129)) == [FIRST]
    assert list(ring.former(130)) == []


def test_the_same_key_is_no_change_and_prolongs_nothing() -> None:
    ring = KeyRing(FIRST).changed(SECOND, 100, 30)
    assert ring.changed(SECOND, 120, 30) is ring


def test_each_of_several_keeps_its_own_time_and_the_last_goes_first() -> None:
    ring = KeyRing(FIRST).changed(SECOND, 100, 30).changed(THIRD, 120, 30)
    assert list(ring.former(129)) == [SECOND, FIRST]
    assert list(ring.former(149)) == [SECOND]


def test_a_key_that_comes_back_is_no_former_one() -> None:
    ring = KeyRing(FIRST).changed(SECOND, 100, 30).changed(FIRST, 110, 30)
    assert ring.newest == FIRST
    assert list(ring.former(110)) == [SECOND]


def test_with_no_time_for_old_keys_there_are_none() -> None:
    assert list(KeyRing(FIRST).changed(SECOND, 100, 0).former(100)) == []


def test_changes_without_end_do_not_make_wrong_tickets_dear() -> None:
    ring = KeyRing(FIRST)
    for change in range(100):
        ring = ring.changed(b"key %d" % change, 100, 30)
    assert list(ring.former(100)) == [b"key %d" % change for change in range(98, 98 - FORMER_KEYS, -1)]


def test_no_key_is_in_its_repr() -> None:
    ring = KeyRing(FIRST).changed(SECOND, 100, 30)
    assert repr(ring) == "<KeyRing of 2>"
