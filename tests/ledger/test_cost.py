"""CPU time to whole micros: the parts add up to the whole exactly."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.ledger import Prices, book, split
from payoff.ledger.cost import bill

weights = st.lists(st.integers(0, 10**15), min_size=1, max_size=30)


@given(st.integers(0, 10**18), weights)
def test_parts_add_up_and_each_is_within_one_of_its_share(whole: int, weights: list[int]) -> None:
    parts = split(whole, weights)
    assert sum(parts) == whole
    if total := sum(weights):
        assert all(abs(part - Fraction(whole * weight, total)) < 1 for part, weight in zip(parts, weights, strict=True))


@given(weights, st.integers(0, 10**9))
def test_the_booked_costs_are_the_bill(cpu_ns: list[int], price: int) -> None:
    prices = Prices(price)
    assert sum(book(cpu_ns, prices)) == bill(sum(cpu_ns), prices)


def test_an_hour_of_a_core_costs_its_price() -> None:
    assert bill(3_600_000_000_000, Prices()) == 31_611
    assert bill(0, Prices()) == 0


def test_what_is_left_goes_to_the_largest_fractions() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(10, [7, 2, 1]) == [7, 2, 1]
    assert split(5, [0, 0]) == [5, 0]
    assert split(0, []) == []


@pytest.mark.parametrize(("whole", "weights"), [(-1, [1]), (1, [-1, 2]), (1, [])])
def test_what_cannot_be_split_is_refused(whole: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"shares are|nobody"):
        split(whole, weights)
