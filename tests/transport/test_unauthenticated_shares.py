"""The item that is dropped when there are too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuleaprt.transport.unauthenticated import Shares

STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 9)), max_size=60)


@given(STEPS)
def test_it_is_the_oldest_item_of_an_owner_that_has_the_most(steps: list[tuple[str, bool, int]]) -> None:
    shares: Shares[str, int] = Shares()
    model: dict[str, list[int]] = {}
    for number, (owner, adds, which) in enumerate(steps):
        items = model.setdefault(owner, [])
        if adds:
            shares.add(owner, number)
            items.append(number)
        elif items:
            shares.remove(owner, items.pop(which % len(items)))
        assert len(shares) == sum(map(len, model.values()))
        if len(shares):
            largest, oldest = shares.surplus()
            assert len(model[largest]) == max(map(len, model.values()))
            assert oldest == model[largest][0]


@given(st.lists(st.sampled_from("abcdefgh"), max_size=100), st.integers(1, 9))
def test_with_a_bound_a_newcomer_always_stays_and_no_owner_gains_by_coming_often(
    owners: list[str], most: int
) -> None:
    shares: Shares[str, int] = Shares()
    held: dict[int, str] = {}
    for number, owner in enumerate(owners):
        shares.add(owner, number)
        held[number] = owner
        if len(shares) > most:
            largest, item = shares.surplus()
            shares.remove(largest, item)
            assert held.pop(item) == largest
        assert number in held
    counts = [list(held.values()).count(it) for it in set(held.values())]
    assert sum(counts) == min(most, len(owners))


def test_one_owner_that_fills_it_loses_all_that_others_need() -> None:
    shares: Shares[str, int] = Shares()
    for number in range(1000):
        shares.add("attacker", number)
    for number in range(1000, 1010):
        shares.add(f"newcomer {number}", number)
        owner, item = shares.surplus()
        assert (owner, item) == ("attacker", number - 1000)
        shares.remove(owner, item)


def test_of_owners_with_one_item_each_the_oldest_goes() -> None:
    shares: Shares[str, int] = Shares()
    for number in range(9):
        shares.add(f"owner {number}", number)
    assert shares.surplus() == ("owner 0", 0)


def test_nothing_is_kept_of_what_is_gone() -> None:
    shares: Shares[int, int] = Shares()
    for number in range(100):
        shares.add(number % 7, number)
    for number in range(100):
        shares.remove(number % 7, number)
    assert (shares._items, shares._owners, shares._most, len(shares)) == ({}, {}, 0, 0)
    with pytest.raises(KeyError):
        shares.surplus()
