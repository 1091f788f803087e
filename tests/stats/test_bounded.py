"""Confidence sequences for bounded amounts: a peer's numbers, merging, ranges that change, coverage at every look."""

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
from payoff.stats import Bernstein, bernstein, hedged, looks
from payoff.stats.bounded import drifting, stitched
from payoff.stats.streams import Stream, lognormal_to

Floats = NDArray[np.float64]
CASE: dict[str, Any] = json.loads((Path(__file__).parent / "cases/C11_confidence_sequences_bounded.json").read_text())
STREAMS = {name: np.array(values, np.float64) for name, values in CASE["input"]["streams"].items()}
MEANS = {"beta": 2 / 7, "bernoulli": 0.3, "lowvar": 0.52}
CREDITED, CAP = lognormal_to(2.0, 30.0)
DRAWS: dict[str, Stream] = {
    "one in 20": lambda rng, n: np.where(rng.random(n) < 0.05, 1.0, 0.0),
    "clipped lognormal": lambda rng, n: (np.minimum(CREDITED(rng, n), CAP) - CAP) / 30 + 1,
    "uniform": lambda rng, n: rng.random(n),
}
amounts = st.lists(st.floats(-50, 50), max_size=40).map(lambda x: np.array(x, np.float64))


def expected(stream: str, kind: str) -> list[tuple[int, float, float]]:
    found = CASE["expected"]["cs"][stream][kind]
    return list(zip(found["t"], found["lower"], found["upper"], strict=True))


@pytest.mark.parametrize("stream", STREAMS)
def test_the_bernstein_sequence_is_confseq_0_0_11(stream: str) -> None:
    for t, low, high in expected(stream, "predmix_empbern"):
        found = bernstein(Bernstein(), STREAMS[stream][:t], 0.0, 1.0).interval(0.05)
        assert found is not None
        assert (max(found.low, 0), min(found.high, 1)) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("stream", STREAMS)
def test_the_hedged_sequence_is_confseq_0_0_11(stream: str) -> None:
    for t, low, high in expected(stream, "hedged_betting_running_intersection"):
        found = hedged(STREAMS[stream][:t], 0.05)
        assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3)


@pytest.mark.parametrize("stream", STREAMS)
def test_both_hold_the_mean_at_every_row(stream: str) -> None:
    low, high = looks(STREAMS[stream], 0.0, 1.0)
    assert ((low <= MEANS[stream]) & (MEANS[stream] <= high)).all()
    found = hedged(STREAMS[stream])
    assert found.low <= MEANS[stream] <= found.high


@given(amounts, amounts)
def test_batches_walk_as_one_stream(left: Floats, right: Floats) -> None:
    whole = bernstein(Bernstein(), np.concatenate([left, right]), -20.0, 30.0)
    in_turn = bernstein(bernstein(Bernstein(), left, -20.0, 30.0), right, -20.0, 30.0)
    assert in_turn.n == whole.n
    for name in Bernstein.__slots__:
        assert getattr(in_turn, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(-20, 30), min_size=1, max_size=40), st.floats(1e-3, 1e6), st.floats(-1e3, 1e3))
def test_another_unit_gives_the_same_interval_in_it(x: list[float], scale: float, shift: float) -> None:
    plain = bernstein(Bernstein(), np.array(x), -20.0, 30.0).interval()
    moved = bernstein(Bernstein(), np.array(x) * scale + shift, -20 * scale + shift, 30 * scale + shift).interval()
    assert plain is not None
    assert moved is not None
    ends = (plain.low * scale + shift, plain.high * scale + shift)
    assert (moved.low, moved.high) == pytest.approx(ends, rel=1e-6, abs=1e-6 * (1 + abs(shift) + scale))


def test_shards_add_up_to_one_interval() -> None:
    """Two workers bet apart on streams of one mean; together they know nearly as much as one that saw both."""
    rng = np.random.default_rng(2)
    x = rng.beta(2, 5, 4_000)
    together = (bernstein(Bernstein(), x[::2], 0.0, 1.0) + bernstein(Bernstein(), x[1::2], 0.0, 1.0)).interval()
    one = bernstein(Bernstein(), x, 0.0, 1.0).interval()
    assert one is not None
    assert together is not None
    assert together.low <= 2 / 7 <= together.high
    assert together.high - together.low < 1.3 * (one.high - one.low)


def test_a_range_may_change_from_row_to_row_and_a_row_without_one_is_left_out() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, 3_000)
    high = np.repeat([np.inf, 1.0, 40.0], 1_000)
    found = bernstein(Bernstein(), x, -high, high)
    narrow = bernstein(Bernstein(), x[1_000:2_000], -1.0, 1.0)
    assert found.n == 2_000
    assert bernstein(narrow, x[2_000:], -40.0, 40.0).weight == pytest.approx(found.weight)
    interval = found.interval()
    assert interval is not None
    assert interval.low < 0 < interval.high < 0.3


def test_no_rows_no_interval() -> None:
    assert Bernstein().interval() is None
    assert bernstein(Bernstein(), np.ones(3), 0.0, np.inf) == Bernstein()
    assert (hedged(np.empty(0)).low, hedged(np.empty(0)).high) == (0, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_amount_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(BadInput, match="finite"):
        bernstein(Bernstein(), np.array([1.0, bad]), 0.0, 2.0)
    with pytest.raises(BadInput, match="finite"):
        hedged(np.array([1.0, bad]), low=0.0, high=2.0)


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(BadInput, match="low end first"):
        hedged(np.ones(2), low=1.0, high=0.0)


@pytest.mark.parametrize("name", DRAWS)
def test_the_truth_stays_inside_at_every_look(name: str) -> None:
    """250 streams of 1,500 rows at 5 %; the hedged interval is the intersection of all its looks."""
    rng, missed, hedged_missed = np.random.default_rng(4), 0, 0
    mean = {"one in 20": 0.05, "uniform": 0.5, "clipped lognormal": 1 - CAP / 30}[name]
    for _ in range(250):
        x = DRAWS[name](rng, 1_500)
        low, high = looks(x, 0.0, 1.0)
        missed += bool(((low > mean) | (high < mean)).any())
        found = hedged(x)
        hedged_missed += not found.low <= mean <= found.high
    most = 0.05 + 3 * sqrt(0.05 * 0.95 / 250)  # and three standard errors of the simulation
    assert missed / 250 <= most
    assert hedged_missed / 250 <= most


def test_the_stitched_boundary_is_that_of_confseq() -> None:
    told = CASE["expected"]["boundaries"]["poly_stitching_bound(v,alpha=.05,v_min=1,c=0,s=1.4,eta=2)"]
    assert [stitched(v, 0.05, 1, 0) for v in (1, 10, 100, 1_000)] == pytest.approx(told, rel=1e-6)


def test_where_the_world_changes_the_interval_holds_what_the_rows_could_be_expected_to_come_to() -> None:
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(200):
        means = np.concatenate([np.full(300, 0.2), np.linspace(0.2, 0.8, 300), np.full(400, 0.7)])
        x = (rng.random(1_000) < means).astype(float)
        wrong += any(_misses(x[:n], means[:n]) for n in range(20, 1_001, 20))
    assert wrong <= 200 * 0.05


def _misses(x: Floats, means: Floats) -> bool:
    """Whether the interval misses what could be expected; what came is always inside."""
    found = drifting(x, 1.0)
    assert found is not None
    assert found.low < x[1:].mean() < found.high
    return not found.low <= means[1:].mean() <= found.high


def test_nothing_is_said_of_one_row_or_of_rows_that_are_all_alike() -> None:
    assert drifting(np.array([1.0]), 1.0) is None
    assert drifting(np.ones(100), 0.0) is None
