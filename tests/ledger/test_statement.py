"""Statements: real money and would-be money are kept apart, and costs add up to the bill."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from payoff.ledger import Prices, Tally, statement
from payoff.ledger.cost import bill
from payoff.money import MICROS, Money
from payoff.stats import Sums

HOUR_NS = 3_600_000_000_000


def tally(values: list[float], fallback: list[float], cpu_ns: int = HOUR_NS, shadow: bool = False) -> Tally:
    money, other = np.array(values, np.float64), np.array(fallback, np.float64)
    return Tally(
        model="term-deposit",
        version=1,
        shadow=shadow,
        answered=len(values) + 2,
        matured=len(values),
        value_micros=round(money.sum() * MICROS),
        fallback_micros=round(other.sum() * MICROS),
        gain_micros=round((money - other).sum() * MICROS),
        cpu_ns=cpu_ns,
        values=Sums.of(money),
        gains=Sums.of(money - other),
    )


def test_a_line_is_value_minus_cost_with_an_interval_around_it() -> None:
    found = statement([tally([10.0, -2.0] * 50, [1.0, 1.0] * 50)], Prices(), "EUR")
    line = found.realised[0]
    assert (line.value, line.cost, line.net) == (
        Money(400_000_000), Money(31_611), Money(399_968_389),
    )  # fmt: skip
    assert line.against_fallback == Money(299_968_389)
    assert line.in_flight == 2
    assert line.low is not None
    assert line.high is not None
    assert line.against_low is not None
    assert line.low < line.net < line.high
    assert (line.low + line.high).micros == 2 * line.net.micros
    assert line.low - line.against_low == Money(100_000_000)


def test_a_handful_of_rows_has_a_net_and_no_interval() -> None:
    line = statement([tally([1.0, 2.0], [0.0, 0.0])], Prices(), "USD").realised[0]
    assert (line.low, line.high, line.net) == (None, None, Money(2_968_389, "USD"))


def test_what_a_shadow_would_have_earned_is_never_added() -> None:
    found = statement([tally([5.0], [0.0]), tally([100.0], [0.0], shadow=True)], Prices(), "EUR")
    assert found.total.value == Money(5_000_000)
    assert found.total.answered == 3
    assert [line.value for line in found.counterfactual] == [Money(100_000_000)]
    assert found.bill == found.total.cost + found.shadow_cost == Money(2 * 31_611)


@given(st.lists(st.tuples(st.integers(0, 10**13), st.booleans()), max_size=12))
def test_all_costs_together_are_the_bill(spent: list[tuple[int, bool]]) -> None:
    found = statement([tally([1.0], [1.0], ns, shadow) for ns, shadow in spent], Prices(), "EUR")
    assert found.bill.micros == bill(sum(ns for ns, _ in spent), Prices())
    assert found.total.cost + found.shadow_cost == found.bill


def test_nothing_happened_is_a_statement_too() -> None:
    found = statement([], Prices(), "EUR")
    assert (found.realised, found.total.net, found.bill) == ((), Money(0), Money(0))
