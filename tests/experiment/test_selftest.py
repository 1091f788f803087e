"""The A/A test: guards keep their error where nothing is to be found, and a bad cap is found out."""

import numpy as np
import pytest

from payoff.errors import BadInput
from payoff.experiment.selftest import Found, selftest
from payoff.experiment.verdict import BEATS, LOSES, SAME, Case, Question

RUNS = 60
MONEY = np.random.default_rng(11).normal(3.0, 20.0, 600)
HALVES = (0.5, 0.5)


def case(kind: str, cap: float | None = None, within: float | None = None, randomised: bool = True) -> Case:
    every = 1_000_000 if kind == LOSES else None
    return Case(Question(kind, "m", 1, "other", cap, randomised=randomised, within=within), 0.05, every)


@pytest.mark.parametrize("kind", [LOSES, BEATS])
def test_two_sides_that_are_the_same_are_seldom_told_apart(kind: str) -> None:
    found = selftest(case(kind), MONEY, HALVES, RUNS)
    assert (found.runs, found.rows) == (RUNS, 600)
    assert not found.clearly_more


@pytest.mark.slow
def test_a_version_at_the_margin_is_seldom_said_to_make_no_difference() -> None:
    found = selftest(case(SAME, within=1.0), MONEY, HALVES, RUNS)
    assert not found.clearly_more


def test_recorded_money_that_loses_nothing_on_average_is_seldom_stopped() -> None:
    found = selftest(case(LOSES, cap=200.0, randomised=False), MONEY - 50.0, None, RUNS)
    assert not found.clearly_more


def test_a_cap_that_cuts_gains_is_found_out() -> None:
    found = selftest(case(LOSES, cap=5.0, randomised=False), MONEY, None, RUNS)
    assert found.false > RUNS / 2
    assert found.clearly_more


def test_a_kill_is_also_allowed_the_false_stops_of_its_detector() -> None:
    quick = Case(Question(LOSES, "m", 1, "nothing", 200.0), 0.05, 6_000)
    assert selftest(quick, MONEY, None, 5).allowed == pytest.approx(0.05 + 600 / 6_000)


@pytest.mark.parametrize(("false", "clearly"), [(0, False), (5, False), (7, True), (200, True)])
def test_chance_alone_is_no_failure(false: int, clearly: bool) -> None:
    assert Found(200, 1_000, false, 0.01).clearly_more is clearly


def test_too_few_decisions_are_refused() -> None:
    with pytest.raises(BadInput, match="needs 200"):
        selftest(case(LOSES), MONEY[:150], HALVES, RUNS)
