"""Comparing two means: peers' numbers to the last digits, and error rates by simulation."""

import json
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats import (
    AlwaysValid,
    Pair,
    Sums,
    always_valid,
    boundaries,
    contrast,
    difference,
    noninferior,
    per_unit,
    relative,
    welch,
)

Floats = NDArray[np.float64]
CASES = Path(__file__).parent / "cases"


def case(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return found


AB = case("C12_ab_test_sufficient_stats")
PEEKING = case("C13_always_valid_p_and_peeking")
LOOKS = case("C15_spotify_confidence")


def share(successes: float, n: int) -> Sums:
    """Sums of a share; the peers divide its variance by n, Sums by n - 1."""
    p = successes / n
    return Sums(n, successes, successes * p + p * (1 - p) * (n - 1))


def arm(given: dict[str, Any]) -> Sums:
    if "sum_squares" in given:
        return Sums(given["n"], given["sum"], given["sum_squares"])
    return share(given["sum"], given["n"])


@pytest.mark.parametrize("metric", AB["input"])
@pytest.mark.parametrize(("kind", "method"), [("ttest_absolute", welch), ("ttest_relative", relative)])
def test_one_look_is_gbstats_0_8_0(metric: str, kind: str, method: Any) -> None:
    expected = AB["expected"][metric][kind]
    found = method(arm(AB["input"][metric]["a"]), arm(AB["input"][metric]["b"]))
    assert found.value == pytest.approx(expected["expected"], abs=1e-9)
    assert (found.interval().low, found.interval().high) == pytest.approx(expected["ci"], abs=1e-9)
    assert found.p_value() == pytest.approx(expected["p_value"], abs=1e-9)


@pytest.mark.parametrize("metric", AB["input"])
@pytest.mark.parametrize("planned", [5_000, 20_000])
def test_any_look_is_gbstats_0_8_0(metric: str, planned: int) -> None:
    found = difference(arm(AB["input"][metric]["a"]), arm(AB["input"][metric]["b"]), 0.05, planned)
    assert found is not None
    expected = AB["expected"][metric][f"sequential_absolute_tuning{planned}"]["ci"]
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_the_always_valid_p_value_by_formula_in_batches() -> None:
    x = np.array(PEEKING["input"]["b"]) - np.array(PEEKING["input"]["a"])
    variance, tau2 = PEEKING["input"]["V"], PEEKING["input"]["tau2"]
    half, early = always_valid(AlwaysValid(), x[:1_234], variance, tau2)
    whole, late = always_valid(half, x[1_234:], variance, tau2)
    p = np.concatenate([early, late])
    for n, expected in PEEKING["expected"]["p_at"].items():
        assert p[int(n) - 1] == pytest.approx(expected, rel=1e-6)
    assert int(np.argmax(p < 0.05)) + 1 == PEEKING["expected"]["first_n_p_below_0.05"]
    assert (whole.n, whole.p) == (3_000, p[-1])
    assert always_valid(whole, np.empty(0), variance, tau2)[0] == whole


def arms_by_day() -> list[tuple[Sums, Sums]]:
    success, total = LOOKS["input"]["success"], LOOKS["input"]["total"]
    return [(share(success[day], total[day]), share(success[day + 4], total[day + 4])) for day in range(4)]


def test_one_look_is_the_z_test_of_spotify_confidence_4_1_0() -> None:
    found, expected = welch(*arms_by_day()[-1]), LOOKS["expected"]["z_test_last_day"]
    assert found is not None
    assert (found.interval().low, found.interval().high) == pytest.approx(
        (expected["ci_lower"], expected["ci_upper"]), abs=1e-6
    )
    assert found.p_value() == pytest.approx(expected["p-value"], abs=1e-6)


def test_planned_looks_are_those_of_spotify_confidence_4_1_0() -> None:
    """More rows came than the 80,000 planned; the peer then counts in shares of those that came."""
    days = arms_by_day()
    came = [a.n + b.n for a, b in days]
    bars = boundaries([n / came[-1] for n in came])
    for (a, b), bar, expected in zip(days, bars, LOOKS["expected"]["group_sequential"], strict=True):
        found = welch(a, b)
        assert found is not None
        assert found.value == pytest.approx(expected["difference"], abs=1e-9)
        ends = (expected["adjusted ci_lower"], expected["adjusted ci_upper"])
        assert (found.value - bar * found.se, found.value + bar * found.se) == pytest.approx(ends, abs=1e-6)
        assert (abs(found.value) > bar * found.se) is expected["is_significant"]


def test_non_inferiority_at_one_look_is_that_of_spotify_confidence_4_1_0() -> None:
    (control, treat), expected = arms_by_day()[-1], LOOKS["expected"]["non_inferiority_5pct"]
    found = welch(control, treat)
    assert found is not None
    assert found.low() == pytest.approx(expected["ci_lower"], abs=1e-6)
    assert found.p_above(-0.05 * control.mean) == pytest.approx(expected["p-value"], abs=1e-6)


def test_non_inferiority_at_any_look() -> None:
    """5 % worse is put up with; 15 % worse is seen; of little nothing is known."""
    rng = np.random.default_rng(5)
    current, alike, worse = (Sums.of(rng.normal(mean, 1.0, 6_000)) for mean in (10.0, 9.9, 8.5))
    assert noninferior(alike, current, 0.5) is True
    assert noninferior(worse, current, 0.5) is False
    assert noninferior(worse, current, 0.5, less=True) is True
    assert noninferior(current, worse, 0.5, less=True) is False
    assert noninferior(Sums.of(rng.normal(10, 1, 20)), current, 0.5) is None
    assert noninferior(Sums.of(rng.normal(10, 1, 3)), current, 0.5) is None


def test_a_candidate_worse_by_the_margin_is_seldom_called_as_good_at_any_look() -> None:
    rng, looks = np.random.default_rng(6), np.arange(100, 4_001, 100)
    wrong = 0
    for _ in range(300):
        a, b = rng.normal(0.0, 1.0, 4_000), rng.normal(-0.2, 1.0, 4_000)
        wrong += any(noninferior(Sums.of(b[:n]), Sums.of(a[:n]), 0.2) for n in looks)
    assert 0 < wrong / 300 <= 0.05


@pytest.mark.parametrize("metric", ["conversion", "profit_small_negative"])
def test_a_handful_of_rows_is_no_comparison(metric: str) -> None:
    a, few = arm(AB["input"][metric]["a"]), Sums.of(np.array([1.0]))
    assert (difference(a, few), welch(a, few), relative(a, few), relative(Sums(9), a)) == (None, None, None, None)


def test_arms_that_never_vary_differ_for_sure_or_not_at_all() -> None:
    ones, twos = Sums.of(np.ones(50)), Sums.of(np.full(50, 2.0))
    sure, same = welch(ones, twos), welch(ones, ones)
    assert sure is not None
    assert same is not None
    assert (sure.value, sure.se, sure.p_value()) == (1.0, 0.0, 0.0)
    assert (same.value, same.p_value()) == (0.0, 1.0)


def test_planned_looks_spend_the_error_exactly() -> None:
    """Walks without an effect, looked at five times: 5 % leave the bars, and the bars of rare early looks are high."""
    fractions = [0.1, 0.3, 0.5, 0.8, 1.0]
    bars = boundaries(fractions, 0.05)
    steps = np.sqrt(np.diff([0.0, *fractions]))
    walks = np.cumsum(np.random.default_rng(9).standard_normal((400_000, 5)) * steps, axis=1)
    outside = (np.abs(walks) / np.sqrt(fractions) > bars).any(axis=1).mean()
    assert outside == pytest.approx(0.05, abs=0.0015)
    assert list(bars) == sorted(bars, reverse=True)
    assert boundaries([1.0], 0.05) == pytest.approx([1.959964], abs=1e-6)


@pytest.mark.parametrize("fractions", [[0.5, 0.5], [0.0, 1.0], [0.5, 1.1], [0.6, 0.4], [float("nan")]])
def test_looks_rise_to_one(fractions: list[float]) -> None:
    with pytest.raises(BadInput, match="rising shares"):
        boundaries(fractions)


def test_a_variance_and_a_margin_have_a_sign() -> None:
    with pytest.raises(BadInput, match="above 0"):
        always_valid(AlwaysValid(), np.ones(2), 0.0, 1.0)
    with pytest.raises(BadInput, match="at least 0"):
        noninferior(Sums(), Sums(), -1.0)


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_money_per_unit_by_the_delta_method_covers_the_ratio(scale: float, ratio: float) -> None:
    """y = ratio x + noise: the standard error is that of the noise, whatever the unit of x."""
    rng = np.random.default_rng(10)
    x = rng.gamma(3, scale, 4_000)
    found = per_unit(Pair.of(x, ratio * x + rng.normal(0, 1, 4_000)))
    assert found is not None
    assert found.se == pytest.approx(1 / (3 * scale * sqrt(4_000)), rel=0.1)
    assert abs(found.value - ratio) < 5 * found.se


def test_two_ratios_compare_like_two_means() -> None:
    rng = np.random.default_rng(11)
    ones = np.ones(500)
    a, b = rng.normal(1, 2, 500), rng.normal(1.3, 1, 500)
    left, right = per_unit(Pair.of(ones, a)), per_unit(Pair.of(ones, b))
    expected = welch(Sums.of(a), Sums.of(b))
    assert left is not None
    assert right is not None
    assert expected is not None
    found = contrast(left, right)
    assert (found.value, found.se, found.freedom) == pytest.approx((expected.value, expected.se, expected.freedom))
    assert per_unit(Pair.of(np.array([1.0, -1.0]), np.ones(2))) is None


def test_peeking_at_a_fixed_test_errs_in_more_than_a_third_of_streams_and_at_these_in_one_in_twenty() -> None:
    """100 looks up to 10,000 pairs without a difference (C13)."""
    rng, looks = np.random.default_rng(31), np.arange(100, 10_001, 100)
    naive = sequence = always = 0
    for _ in range(300):
        a, b = rng.standard_normal((2, 10_000))
        means, p = np.cumsum(b - a)[looks - 1] / looks, always_valid(AlwaysValid(), b - a, 2.0, 0.01)[1]
        naive += bool((np.abs(means) > 1.96 * np.sqrt(2 / looks)).any())
        always += bool(p[-1] <= 0.05)
        found = [difference(Sums.of(a[:n]), Sums.of(b[:n])) for n in looks[::5]]
        sequence += any(one is not None and not one.low <= 0 <= one.high for one in found)
    expected = PEEKING["expected"]["A/A_type1_error_2000_reps_100_looks_up_to_10000"]
    assert naive / 300 == pytest.approx(expected["naive_z_1.96_at_each_look"], abs=0.06)
    assert sequence / 300 <= 0.05
    assert always / 300 <= 0.05
