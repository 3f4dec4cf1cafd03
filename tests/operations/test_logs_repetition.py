"""The rate limit of log lines."""

from tuleaprt.operations.logs import KINDS, KINDS_OF_ONE, PER_MINUTE, Repetition

NOW = 1000.0


def written(repetition: Repetition, kind: str, lines: int, now: float) -> int:
    return sum(repetition.passes(kind, n, now) for n in range(lines))


def test_ten_a_minute_are_written_and_the_rest_is_summed_up() -> None:
    repetition = Repetition()
    assert written(repetition, "refused", 25, NOW) == PER_MINUTE
    assert list(repetition.over(NOW + 59)) == []
    assert list(repetition.over(NOW + 60)) == [(24, 15)]
    assert written(repetition, "refused", 25, NOW + 60) == PER_MINUTE


def test_what_was_written_whole_is_not_summed_up() -> None:
    repetition = Repetition()
    assert written(repetition, "refused", PER_MINUTE, NOW) == PER_MINUTE
    assert list(repetition.over(NOW + 60)) == []


def test_each_kind_has_its_own_allowance() -> None:
    repetition = Repetition()
    written(repetition, "refused", 99, NOW)
    assert repetition.passes("closed", 0, NOW)


def test_a_flood_of_different_kinds_shares_one_allowance_and_little_memory() -> None:
    repetition = Repetition()
    passed = sum(repetition.passes(f"origin {n}", n, NOW) for n in range(100_000))
    assert passed == KINDS_OF_ONE + PER_MINUTE
    ((_, more),) = repetition.over(NOW + 60)
    assert passed + more == 100_000


def test_an_address_that_floods_the_log_silences_no_other() -> None:
    repetition = Repetition()
    for n in range(1000):
        repetition.passes("refused", n, NOW, "203.0.113.9")
        repetition.passes(f"origin {n}", n, NOW, "203.0.113.9")
    for kind in ("refused", "origin 999", "origin 1000"):
        assert repetition.passes(kind, 0, NOW, "203.0.113.10")


def test_a_flood_from_many_addresses_shares_one_allowance_and_leaves_nothing() -> None:
    repetition = Repetition()
    passed = sum(repetition.passes("refused", n, NOW, f"address {n}") for n in range(100_000))
    assert passed == KINDS + PER_MINUTE
    assert sum(more for _, more in repetition.over(NOW + 60)) == 100_000 - passed
    assert (repetition._counts, repetition._kinds) == ({}, {})


def test_a_clock_that_is_put_back_does_not_silence_it() -> None:
    repetition = Repetition()
    written(repetition, "refused", 11, NOW)
    assert list(repetition.over(NOW - 5000)) == [(10, 1)]
    assert repetition.passes("refused", 0, NOW - 5000)
