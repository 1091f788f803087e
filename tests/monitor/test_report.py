"""Statements from a real journal: figures by hand, to the micro."""

from datetime import date

import numpy as np
import pytest

from payoff.errors import BadInput
from payoff.ledger import Prices
from payoff.ledger.cost import bill
from payoff.money import Money
from payoff.monitor import daily, plain
from tests.monitor.home import BEATS, CHALLENGER, LOSES, Home

CPU_NS = 123_456_789


def test_every_version_has_its_line_and_all_costs_are_the_bill(home: Home) -> None:
    home.apply(more=CHALLENGER, guards=f"{LOSES}\n{BEATS}", fallback="true")
    ids = home.answer([True, False, True], cpu_ns=CPU_NS)
    home.shadow(ids, [False, True, True], 2)
    home.learn(ids, [60.0, -2.5, 0.1])
    home.answer([True], cpu_ns=CPU_NS)
    own = home.answer([True, True], version=None)
    home.learn(own, [1.0, 2.0])
    home.look()
    found = home.roi()
    assert [(row.name, row.role, row.line.answered, row.line.matured) for row in found.answered] == [
        ("m v1", "champion", 4, 3), ("fallback", "fallback", 2, 2),
    ]  # fmt: skip
    first, fallback = found.answered
    cost = bill(4 * CPU_NS, Prices())
    assert (first.line.value, first.line.cost) == (Money(60_100_000), Money(cost))
    assert first.line.net == Money(60_100_000 - cost)
    assert first.line.fallback == Money(57_600_000)
    assert first.line.against_fallback == Money(2_500_000 - cost)
    assert (fallback.line.value, fallback.line.against_fallback) == (Money(3_000_000), Money(0))
    (watched,) = found.watched
    assert (watched.name, watched.role) == ("m v2", "challenger")
    assert (watched.line.value, watched.line.against_fallback) == (Money(-2_400_000), Money(-60_000_000))
    assert found.total.value == Money(63_100_000)
    assert found.fallback_alone == Money(60_600_000)
    assert found.bill == Money(cost)
    assert found.conclusion.startswith("m v1 earned 2.50 EUR more than the fallback")
    assert plain(found)["judged_through"]["prediction_id"] == ids[-1]  # the next is held back


def test_a_row_without_an_outcome_counts_for_neither_side(home: Home) -> None:
    """Its value would be 0 whatever the outcome, but the fallback's is not known."""
    home.apply(fallback="true")
    ids = home.answer([False, False])
    home.learn(ids[:1], [7.0])
    line = home.roi().answered[0].line
    assert (line.answered, line.matured, line.in_flight) == (2, 1, 1)
    assert line.against_fallback == Money(-7_000_000)


def test_after_the_kill_the_fallback_answers_and_the_killed_one_is_watched(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * 100), [-5.0] * 100)
    home.look()
    ids = home.answer([False] * 50, version=None)
    home.shadow(ids, [True] * 50, 1)
    home.learn(ids, [-5.0] * 50)
    home.look()
    found = home.roi()
    assert [(row.name, row.role, row.verdict) for row in found.answered] == [
        ("m v1", "killed", "loses money against fallback"), ("fallback", "fallback", ""),
    ]  # fmt: skip
    assert found.watched[0].line.value == Money(-250_000_000)
    assert found.total.value == Money(-500_000_000)
    assert found.conclusion.startswith("No model earns more than the fallback on bank: deciding false every time")


def test_by_day_of_an_input_the_days_add_up_to_the_whole(home: Home) -> None:
    home.apply()
    ids = home.answer([True] * 90, days=3, cpu_ns=CPU_NS)
    home.learn(ids, [float(n) for n in range(90)])
    days = daily(home.path, home.journal, home.registry.current("bank"), "day")
    assert [day.day for day in days] == [date(2008, 5, 5), date(2008, 5, 6), date(2008, 5, 7)]
    assert [day.line.value for day in days] == [Money(435_000_000), Money(1_335_000_000), Money(2_235_000_000)]
    assert days[-1].net_so_far == home.roi().answered[0].line.net
    assert days[-1].fallback_so_far == Money(0)


def test_by_day_of_the_prediction(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * 5), [1.0] * 5)
    home.now_us += 86_400_000_000
    home.learn(home.answer([True] * 5), [2.0] * 5)
    days = daily(home.path, home.journal, home.registry.current("bank"))
    assert [day.line.value for day in days] == [Money(5_000_000), Money(10_000_000)]
    assert (days[1].day - days[0].day).days == 1  # type: ignore[operator]


def test_a_wrong_column_of_days_is_answered_with_the_right_ones(home: Home) -> None:
    home.apply()
    with pytest.raises(BadInput, match=r"no input column 'called_on' to go by; there are: x, day"):
        daily(home.path, home.journal, home.registry.current("bank"), "called_on")
    home.answer([True])
    assert daily(home.path, home.journal, home.registry.current("bank"), "x")[0].day is None


def test_before_anything_happened_there_is_an_empty_statement(home: Home) -> None:
    home.apply()
    found = home.roi()
    assert (found.answered, found.bill) == ((), Money(0))
    assert found.conclusion.startswith("Nothing is known yet")
    assert daily(home.path, home.journal, home.registry.current("bank")) == []


def test_corrections_are_in_the_interval_and_it_still_covers(home: Home) -> None:
    """A fifth of the outcomes is told wrongly first; at each look some are not yet corrected, as likely up as down."""
    home.apply()
    rng, truth = np.random.default_rng(9), 2.0
    wrong: list[tuple[str, float]] = []
    for _ in range(12):
        gains = truth + rng.standard_normal(100)
        ids = home.answer([True] * 100)
        home.learn(ids, (gains + np.where(rng.random(100) < 0.2, rng.choice([-4.0, 4.0], 100), 0.0)).tolist())
        wrong += list(zip(ids, gains.tolist(), strict=True))
        told, wrong = wrong[:60], wrong[60:]
        home.learn([each for each, _ in told], [gain for _, gain in told])
        line = home.roi().answered[0].line
        if line.low is not None and line.high is not None:
            assert line.low.micros <= truth * line.matured * 1e6 <= line.high.micros
    home.learn([each for each, _ in wrong], [gain for _, gain in wrong])
    assert home.roi().answered[0].line.matured == 1_200
