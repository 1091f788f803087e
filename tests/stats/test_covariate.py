"""What was known before, taken out of a comparison: a peer's numbers, sums that add, and the error it must keep."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats import Pair, Sums, adjust
from payoff.stats.covariate import noise_left, slope

Floats = NDArray[np.float64]
CASE = json.loads((Path(__file__).parent / "cases" / "C16_cuped.json").read_text())
rows = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), max_size=40)


def pair(rows: list[tuple[float, float]]) -> Pair:
    table = np.array(rows, np.float64).reshape(-1, 2)
    return Pair.of(table[:, 0], table[:, 1])


def of_case() -> tuple[Pair, Pair]:
    x, y, group = (np.array(CASE["input"][name]) for name in ("pre", "post", "group"))
    control = group == sorted(set(group.tolist()))[0]
    return Pair.of(x[control], y[control]), Pair.of(x[~control], y[~control])


def half_width(control: Sums, treated: Sums) -> float:
    """Of a 95 % interval of the difference; with 2,000 rows Student's t is 0.1 % wider than 1.96."""
    return 1.9611497 * float(np.sqrt(control.variance / control.n + treated.variance / treated.n))


def test_the_difference_is_gbstats_0_8_0() -> None:
    expected, arms = CASE["expected"], of_case()
    assert slope(*arms) == pytest.approx(expected["theta"], abs=1e-7)
    raw, adjusted = [arm.raw for arm in arms], adjust(*arms)
    for (control, treated), name in ((raw, "unadjusted"), (adjusted, "adjusted")):
        low, high = expected[name]["ci"]
        assert treated.mean - control.mean == pytest.approx(expected[name]["expected"], abs=1e-7)
        assert half_width(control, treated) == pytest.approx((high - low) / 2, abs=1e-5)
    assert noise_left(*arms) == pytest.approx(expected["one_minus_rho2"], abs=1e-7)
    ratio = (half_width(*adjusted) / half_width(raw[0], raw[1])) ** 2
    assert ratio == pytest.approx(expected["variance_ratio"], abs=1e-7)


@given(rows, rows)
@settings(max_examples=50)
def test_sums_add_up_and_are_those_of_the_adjusted_rows(
    left: list[tuple[float, float]], right: list[tuple[float, float]]
) -> None:
    arms = pair(left), pair(right)
    whole, added = pair(left + right), arms[0] + arms[1]
    assert added.n == whole.n
    assert [added.x, added.y, added.xx, added.yy, added.xy] == pytest.approx(
        [whole.x, whole.y, whole.xx, whole.yy, whole.xy], rel=1e-9, abs=1e-6
    )
    table = np.array(left + right, np.float64).reshape(-1, 2)
    flat = table[:, 1] - slope(*arms) * (table[:, 0] - (table[:, 0].mean() if len(table) else 0))
    for found, values in zip(adjust(*arms), (flat[: len(left)], flat[len(left) :]), strict=True):
        assert found.n == len(values)
        assert found.total == pytest.approx(values.sum(), abs=1e-5)
        assert found.variance == pytest.approx(Sums.of(values).variance, rel=1e-6, abs=1e-3)


@given(rows)
@settings(max_examples=50)
def test_there_is_never_more_noise_left_than_there_was(rows: list[tuple[float, float]]) -> None:
    assert 0 <= noise_left(pair(rows)) <= 1


@pytest.mark.parametrize("x", [np.full(50, 7.1), np.full(50, -1e6), np.zeros(50)])
def test_what_never_moves_explains_nothing(x: Floats) -> None:
    arm = Pair.of(x, np.arange(50.0))
    assert slope(arm) == 0
    assert adjust(arm) == (arm.raw,)


def test_what_follows_exactly_leaves_no_noise() -> None:
    x = np.random.default_rng(1).normal(5, 2, 500)
    assert noise_left(Pair.of(x, 3 * x - 1)) == pytest.approx(0, abs=1e-9)


def test_the_adjusted_interval_holds_the_truth_as_often_as_the_raw_one_and_is_narrower() -> None:
    rng, held, narrower, runs = np.random.default_rng(2), 0, 0, 800
    for _ in range(runs):
        x = rng.exponential(10, 400)
        y = 0.8 * x + rng.normal(0, 4, 400) + np.where(np.arange(400) < 200, 0.0, 1.0)
        arms = Pair.of(x[:200], y[:200]), Pair.of(x[200:], y[200:])
        control, treated = adjust(*arms)
        half = half_width(control, treated)
        held += abs(treated.mean - control.mean - 1.0) <= half
        narrower += half < half_width(arms[0].raw, arms[1].raw)
    assert 0.935 <= held / runs <= 0.965
    assert narrower == runs


@pytest.mark.parametrize(
    ("x", "y", "told"), [(np.zeros(2), np.zeros(3), "one of each"), (np.zeros(1), np.array([np.nan]), "not finite")]
)
def test_rows_that_do_not_pair_are_refused(x: Floats, y: Floats, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        Pair.of(x, y)
