"""Statements: real money and would-be money are kept apart, and costs add up to what was booked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.ledger import Tally, statement
from payoff.ledger.bill import Cost
from payoff.money import Money
from payoff.stats import Interval


def tally(value: float, fallback: float | None = None, shadow: bool = False, mean: Interval | None = None) -> Tally:
    """A hundred matured rows of 130, ten of which are settled without a value."""
    return Tally(
        model="term-deposit",
        version=1,
        shadow=shadow,
        answered=130,
        settled=110,
        matured=100,
        value_micros=round(value * 1e6),
        fallback_micros=None if fallback is None else round(fallback * 1e6),
        compared=100,
        gain_micros=None if fallback is None else round((value - fallback) * 1e6),
        early=5,
        early_micros=7_000_000,
        value_mean=mean,
        gain_mean=None if mean is None else Interval(mean.low - 1, mean.high - 1),
    )


def test_a_line_is_value_minus_cost_with_an_interval_around_it() -> None:
    found = statement([tally(400.0, 100.0, mean=Interval(3.0, 5.0))], [Cost(cpu=31_611, idle=1_000_000)], "EUR")
    line = found.realised[0]
    assert (line.value, line.cost, line.net) == (Money(400_000_000), Money(1_031_611), Money(398_968_389))
    assert (line.low, line.high) == (Money(298_968_389), Money(498_968_389))
    assert line.against_fallback == Money(298_968_389)
    assert (line.against_low, line.against_high) == (Money(198_968_389), Money(398_968_389))


def test_what_is_in_flight_is_in_no_sum() -> None:
    found = statement([tally(400.0)], [Cost()], "EUR")
    line = found.realised[0]
    assert (line.in_flight, line.early, line.early_value) == (20, 5, Money(7_000_000))
    assert found.total.value == line.value == Money(400_000_000)


def test_before_a_range_is_known_there_is_a_net_and_no_interval() -> None:
    line = statement([tally(3.0, 0.0)], [Cost(cpu=31_611)], "USD").realised[0]
    assert (line.low, line.high, line.against_low, line.net) == (None, None, None, Money(2_968_389, "USD"))


def test_what_a_shadow_would_have_earned_is_never_added() -> None:
    found = statement([tally(5.0), tally(100.0, shadow=True)], [Cost(cpu=1), Cost(cpu=2)], "EUR")
    assert found.total.value == Money(5_000_000)
    assert [line.value for line in found.counterfactual] == [Money(100_000_000)]
    assert (found.total.cost, found.shadow_cost, found.bill) == (Money(1), Money(2), Money(3))


costs = st.builds(Cost, *[st.integers(0, 10**12)] * 7)


@given(st.lists(st.tuples(costs, st.booleans()), max_size=12))
def test_all_costs_together_are_the_bill(spent: list[tuple[Cost, bool]]) -> None:
    found = statement([tally(1.0, shadow=shadow) for _, shadow in spent], [cost for cost, _ in spent], "EUR")
    assert found.bill.micros == sum(cost.total for cost, _ in spent)
    assert found.total.cost + found.shadow_cost == found.bill
    assert found.total.net == found.total.value - found.total.cost


def test_nothing_happened_is_a_statement_too() -> None:
    found = statement([], [], "EUR")
    assert (found.realised, found.total.net, found.bill) == ((), Money(0), Money(0))


def test_a_tally_without_a_cost_is_no_statement() -> None:
    with pytest.raises(ValueError, match="shorter"):
        statement([tally(1.0)], [], "EUR")
