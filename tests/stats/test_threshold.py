"""The profit curve by hand, and suggestions on simulated loans whose best threshold is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats import curve, suggest

Floats = NDArray[np.float64]
BEST = 0.75  # of the loans below
rows = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-5, 5), st.integers(-5, 5), st.integers(1, 3)), min_size=1, max_size=40
)


def loans(rng: np.random.Generator, n: int) -> tuple[Floats, Floats, Floats]:
    """A score that is the chance of repayment; repaid earns 1, lost costs 3, refused is 0: yes from 0.75 on."""
    scores = rng.random(n)
    return scores, np.where(rng.random(n) < scores, 1.0, -3.0), np.zeros(n)


def worth(threshold: float) -> float:
    """True money per loan at a threshold: the integral of 4 s - 3 from it to 1."""
    return (1 - threshold) * (2 * (1 + threshold) - 3)


def test_a_curve_by_hand() -> None:
    found = curve(np.array([0.2, 0.8, 0.5, 0.8]), np.array([-3.0, 1.0, 1.0, -3.0]), np.array([0.0, 0.0, 0.0, 1.0]))
    assert found.thresholds[:3].tolist() == [0.2, 0.5, 0.8]
    assert found.profit.tolist() == [-1.0, -0.25, -0.5, 0.25]
    assert found.best > 0.8
    assert (found.at(0.5), found.at(0.3), found.at(-9.0), found.at(9.0)) == (-0.25, -0.25, -1.0, 0.25)


@given(rows)
def test_every_point_is_what_deciding_so_would_have_earned(rows: list[tuple[int, int, int, int]]) -> None:
    scores, yes, no, weights = np.array(rows, np.float64).T
    found = curve(scores, yes, no, weights)
    for threshold, profit in zip(found.thresholds, found.profit, strict=True):
        assert profit == pytest.approx(np.average(np.where(scores >= threshold, yes, no), weights=weights), abs=1e-9)
    assert found.profit.max() == pytest.approx(found.at(found.best))


@given(rows)
def test_a_weight_is_so_many_rows(rows: list[tuple[int, int, int, int]]) -> None:
    scores, yes, no, weights = np.array(rows, np.float64).T
    times = weights.astype(int)
    repeated = curve(np.repeat(scores, times), np.repeat(yes, times), np.repeat(no, times))
    assert curve(scores, yes, no, weights).profit == pytest.approx(repeated.profit, abs=1e-9)


def test_many_scores_make_a_curve_of_few_points_that_lies_on_the_full_one() -> None:
    scores, yes, no = loans(np.random.default_rng(1), 20_000)
    full, thin = curve(scores, yes, no, points=10**9), curve(scores, yes, no, points=100)
    assert len(thin.thresholds) == len(thin.profit) == 101
    assert [full.at(threshold) for threshold in thin.thresholds] == pytest.approx(thin.profit)
    assert thin.at(thin.best) == pytest.approx(full.at(full.best), abs=0.005)


def test_a_rare_score_is_a_point_as_long_as_scores_are_few() -> None:
    scores = np.array([0.1] * 5_000 + [0.5] + [0.9] * 5_000)
    assert curve(scores, np.ones(10_001), np.zeros(10_001)).thresholds[:3].tolist() == [0.1, 0.5, 0.9]


@pytest.mark.parametrize(("yes", "no", "best"), [(1.0, 0.0, "all"), (-1.0, 0.0, "none")])
def test_yes_to_all_and_to_none_are_thresholds_too(yes: float, no: float, best: str) -> None:
    scores = np.random.default_rng(2).random(100)
    found = suggest(scores, np.full(100, yes), np.full(100, no), 0.5)
    assert found.best == scores.min() if best == "all" else found.best > scores.max()
    assert found.left == pytest.approx(np.mean(scores < 0.5) if best == "all" else np.mean(scores >= 0.5), abs=0.03)


def test_the_best_threshold_lies_in_its_interval_and_the_gain_is_not_promised_too_high() -> None:
    rng, runs, held, within, promised, sure = np.random.default_rng(3), 50, 0, 0, 0, 0
    gain = worth(BEST) - worth(0.5)
    for seed in range(runs):
        found = suggest(*loans(rng, 1_000), 0.5, seed=seed)
        held += found.best_interval.low <= BEST <= found.best_interval.high
        within += found.left_interval.low <= gain <= found.left_interval.high
        promised += found.left_interval.low > gain
        sure += found.worth_it
    assert sure / runs > 0.9
    assert held / runs >= 0.95
    assert within / runs >= 0.95
    assert promised / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


def test_the_best_threshold_lies_in_its_interval_where_losses_are_rare_and_large() -> None:
    """One bad loan costs 30 good ones: resampling holds the truth in 86 % of samples here."""
    rng, runs, best = np.random.default_rng(9), 50, (30 / 31) ** 10
    held = 0
    for seed in range(runs):
        scores = rng.random(1_000)
        found = suggest(scores, np.where(rng.random(1_000) < scores**0.1, 1.0, -30.0), np.zeros(1_000), 0.5, seed=seed)
        held += found.best_interval.low <= best <= found.best_interval.high
    assert held / runs >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / runs)


def test_at_the_best_threshold_there_is_nothing_to_gain_though_the_curve_says_so() -> None:
    rng, runs, flattered, sure, left = np.random.default_rng(4), 100, 0.0, 0, 0.0
    for seed in range(runs):
        rows = loans(rng, 500)
        found = suggest(*rows, BEST, seed=seed)
        flattered += (curve(*rows).profit.max() - found.present_profit) / runs
        left += found.left / runs
        sure += found.worth_it
    assert flattered > 0.01
    assert left <= 0
    assert sure / runs <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


def test_more_rows_make_narrower_intervals() -> None:
    rng = np.random.default_rng(5)
    few, many = (suggest(*loans(rng, n), 0.5) for n in (200, 50_000))
    for name in ("best_interval", "left_interval"):
        narrow, wide = (getattr(found, name) for found in (many, few))
        assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    assert many.best == pytest.approx(BEST, abs=0.05)


def test_what_stands_for_more_rows_counts_for_more() -> None:
    scores, yes, no = loans(np.random.default_rng(6), 4_000)
    weights = np.where(yes < 0, 1.0, 3.0)
    assert suggest(scores, yes, no, 0.5, weights).best == pytest.approx(0.5, abs=0.1)


def test_the_suggestion_does_not_depend_on_the_order_of_rows_or_on_the_currency() -> None:
    scores, yes, no = loans(np.random.default_rng(7), 2_000)
    euros, cents = suggest(scores, yes, no, 0.6), suggest(scores, 100 * yes, no, 0.6)
    assert (cents.best, cents.best_interval) == (euros.best, euros.best_interval)
    assert cents.left == pytest.approx(100 * euros.left)
    turned = suggest(scores[::-1], yes[::-1], no, 0.6)
    assert turned.best == euros.best
    assert turned.present_profit == pytest.approx(euros.present_profit)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((np.empty(0), np.empty(0), np.empty(0)), "and rows"),
        ((np.ones(3), np.ones(2), np.ones(3)), "one of each per row"),
        ((np.ones(3), np.array([1.0, np.nan, 1.0]), np.ones(3)), "not finite"),
        ((np.ones(3), np.ones(3), np.ones(3), np.array([1.0, -1.0, 1.0])), "none below 0"),
        ((np.ones(3), np.ones(3), np.ones(3), np.zeros(3)), "not all of them 0"),
    ],
)
def test_rows_that_make_no_curve_are_refused(parts: tuple[Floats, ...], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        curve(*parts)  # type: ignore[arg-type]


def test_too_few_rows_and_no_present_threshold_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 20"):
        suggest(*loans(np.random.default_rng(8), 19), 0.5)
    with pytest.raises(BadInput, match="no number"):
        suggest(*loans(np.random.default_rng(8), 20), float("nan"))
