"""How long until a healthy model trips a limit: by the published tables and by simulation."""

import json
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput
from payoff.stats import decisions_to_trip, limit_for, run_length
from payoff.stats.drawdown import OVERSHOOT_SD

CASE: dict[str, Any] = json.loads((Path(__file__).parent / "cases/C20_cusum_arl_and_drawdown.json").read_text())


@pytest.mark.parametrize("found", CASE["expected"]["drawdown"], ids=lambda found: f"limit {found['drawdown_limit']}")
def test_the_drawdown_formula(found: dict[str, float]) -> None:
    mean, sd, limit = found["mean_profit_per_decision"], found["sd"], found["drawdown_limit"]
    expected = found["expected_decisions_discrete_corrected_d_plus_1.166s"]
    assert decisions_to_trip(mean, sd, limit) == pytest.approx(expected, rel=1e-9)
    brownian = found["expected_decisions_to_trip_brownian"]
    assert decisions_to_trip(mean, sd, limit - OVERSHOOT_SD * sd) == pytest.approx(brownian, rel=1e-9)
    assert expected == pytest.approx(found["simulated_mean"], rel=0.08)
    assert limit_for(mean, sd, expected) == pytest.approx(limit, rel=1e-9)


@pytest.mark.parametrize("mean", [-1.0, 0.0, 1.0])
def test_the_formula_holds_for_models_that_earn_nothing_or_lose(mean: float) -> None:
    rng, limit, trips = np.random.default_rng(1), 60.0, []
    for _ in range(800):
        walk = np.cumsum(rng.normal(mean, 10.0, 4_000))
        fallen = np.maximum.accumulate(np.append(0.0, walk))[1:] - walk >= limit
        assert fallen.any()
        trips.append(int(np.argmax(fallen)) + 1)
    assert decisions_to_trip(mean, 10.0, limit) == pytest.approx(np.mean(trips), rel=0.1)


@given(st.floats(-2, 2), st.floats(0.1, 100), st.floats(2.0, 1e9))
def test_a_limit_for_a_run_length_has_that_run_length(mean: float, sd: float, decisions: float) -> None:
    limit = limit_for(mean, sd, decisions)
    at_once = decisions_to_trip(mean, sd, 0.0)
    assert decisions_to_trip(mean, sd, limit) == pytest.approx(max(decisions, at_once), rel=1e-6)


def test_the_formula_is_smooth_where_the_mean_is_nearly_nothing() -> None:
    tiny = [decisions_to_trip(mean, 1.0, 20.0) for mean in (-1e-5, -1e-7, 0.0, 1e-7, 1e-5)]
    assert tiny == sorted(tiny)
    assert tiny == pytest.approx([21.166**2] * 5, rel=1e-3)


def test_a_limit_that_is_never_tripped_and_one_that_always_is() -> None:
    assert decisions_to_trip(1.0, 0.1, 1e6) == inf
    assert limit_for(0.0, 1.0, 1.0) == 0.0


@pytest.mark.parametrize("h", [4, 5])
def test_run_lengths_are_those_of_montgomery(h: int) -> None:
    for shift, expected in CASE["expected"]["published_two_sided_ARL"][f"h={h}"].items():
        assert run_length(float(shift), h, cells=100) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("found", CASE["expected"]["markov_chain"], ids=lambda m: f"{m['h']} {m['shift_sd']}")
def test_run_lengths_are_those_of_brook_and_evans(found: dict[str, float]) -> None:
    assert run_length(found["shift_sd"], found["h"]) == pytest.approx(found["ARL_two_sided"], rel=2e-4)
    one_sided = run_length(found["shift_sd"], found["h"], two_sided=False)
    assert one_sided == pytest.approx(found["ARL_one_sided"], rel=2e-4)


def test_numbers_that_mean_nothing_are_refused() -> None:
    for mean, sd, limit in [(1.0, 0.0, 5.0), (1.0, 1.0, -1.0), (float("nan"), 1.0, 1.0), (-1.0, 1.0, inf)]:
        with pytest.raises(BadInput, match="the spread above 0"):
            decisions_to_trip(mean, sd, limit)
    with pytest.raises(BadInput, match="above 0"):
        limit_for(1.0, 1.0, 0.0)
    with pytest.raises(BadInput, match="above 0"):
        run_length(0.0, 0.0)
