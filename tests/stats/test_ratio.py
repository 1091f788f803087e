"""The sample ratio check by formula, over a ramp, and by simulation at every look."""

from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from payoff.errors import BadInput
from payoff.stats import SampleRatio, sample_ratio

counts = st.lists(st.integers(0, 5_000), min_size=3, max_size=3)
RAMP = [(0.5, 0.3, 0.2), (0.0, 0.9, 0.1), (0.98, 0.01, 0.01)]


def test_two_arms_by_the_formula() -> None:
    expected = betaln(70 + 640, 30 + 360) - betaln(70, 30) - 640 * log(0.7) - 360 * log(0.3)
    assert sample_ratio([640, 360], [0.7, 0.3]) == pytest.approx(expected, abs=1e-9)


def test_one_call_says_nothing() -> None:
    assert sample_ratio([0, 1, 0], [0.2, 0.5, 0.3]) == pytest.approx(0, abs=1e-9)
    assert sample_ratio([0, 0], [0.5, 0.5]) == 0


@given(counts, counts)
def test_counts_of_workers_add_up_within_a_stretch(a: list[int], b: list[int]) -> None:
    start = SampleRatio.of(RAMP[0])
    assert start.after(a).after(b) == start.after([x + y for x, y in zip(a, b, strict=True)])


@given(counts, counts)
def test_a_ramp_keeps_what_was_known_before_it(a: list[int], b: list[int]) -> None:
    ramped = SampleRatio.of(RAMP[0]).after(a).ramp(RAMP[2]).after(b)
    assert ramped.log_e == pytest.approx(sample_ratio(a, RAMP[0]) + sample_ratio(b, RAMP[2]))


def test_a_call_to_an_arm_without_a_share_is_proof() -> None:
    assert SampleRatio.of([1.0, 0.0]).after([10, 0]).mismatch() is False
    assert sample_ratio([10, 1], [1.0, 0.0]) == inf
    assert SampleRatio.of([1.0, 0.0]).after([10, 1]).mismatch(1e-9)


def test_shares_that_are_kept_are_seldom_called_broken_at_any_of_390_looks() -> None:
    rng, alarms = np.random.default_rng(3), 0
    for _ in range(120):
        ratio = SampleRatio.of(RAMP[0])
        for shares in RAMP:
            ratio = ratio.ramp(shares)
            for calls in rng.multinomial(10, shares, size=130):
                ratio = ratio.after(calls.tolist())
                if ratio.mismatch(0.05):
                    alarms += 1
                    break
            else:
                continue
            break
    assert 0 < alarms / 120 <= 0.05 + 3 * sqrt(0.05 * 0.95 / 120)  # and three standard errors of the simulation


def test_an_arm_that_loses_one_call_in_ten_is_found() -> None:
    """At an error of 1 in 1,000, 20,000 calls suffice in nine of ten."""
    rng, found = np.random.default_rng(4), []
    for _ in range(100):
        kept = np.cumsum(rng.multinomial(100, [0.525, 0.475], size=300), axis=0)
        bad = [t for t, n in enumerate(kept) if sample_ratio(n.tolist(), [0.5, 0.5]) >= log(1_000)]
        found.append(100 * (bad[0] + 1) if bad else inf)
    assert np.quantile(found, 0.9) < 20_000


@pytest.mark.parametrize("shares", [[0.5, 0.4], [1.5, -0.5], [float("nan"), 1.0], []])
def test_shares_sum_to_one(shares: list[float]) -> None:
    with pytest.raises(BadInput, match="sum to 1"):
        SampleRatio.of(shares)


def test_counts_are_not_negative_and_arms_do_not_vanish() -> None:
    with pytest.raises(BadInput, match="at least 0"):
        sample_ratio([-1, 2], [0.5, 0.5])
    with pytest.raises(BadInput, match="for 2 arms"):
        SampleRatio.of([0.5, 0.5]).after([1, 2, 3])
    with pytest.raises(BadInput, match="2 shares for 3 arms"):
        SampleRatio.of(RAMP[0]).ramp([0.5, 0.5])
