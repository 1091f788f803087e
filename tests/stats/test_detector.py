"""The e-detector by its definition, cut in pieces, and by simulation."""

from math import inf, log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats import STAKES, Bets, Detector, detect, fold, losses
from payoff.stats.detector import NOTHING

Floats = NDArray[np.float64]
worths = st.lists(st.floats(-1, 1e6) | st.just(0.0), max_size=60).map(lambda z: np.array(z, np.float64))


def by_hand(z: Floats) -> list[float]:
    """The mean of R = (R + 1)(1 + stake z) after every loss; a decision without one changes nothing."""
    r, after = np.zeros(len(STAKES)), []
    for one in z:
        r = (r + (one != 0)) * (1 + np.array(STAKES) * one)
        after.append(float(r.mean()))
    return after


def test_three_losses_of_one_cap_by_hand() -> None:
    """R after three is g + g^2 + g^3, with g = 1 + stake."""
    expected = np.mean([sum((1 + stake) ** k for k in (1, 2, 3)) for stake in STAKES])
    assert detect(Detector(), np.ones(3), 100).detector.r_value == pytest.approx(expected)


def test_a_stream_by_the_definition() -> None:
    z = losses(np.random.default_rng(1).normal(-1, 2, 200), 3.0)
    at = by_hand(z)
    found = detect(Detector(), z, 1_000)
    assert found.detector.r_value == pytest.approx(at[-1])
    assert found.log_r_max == pytest.approx(log(max(at)))
    assert found.first == next(t for t, r in enumerate(at) if r >= 1_000)
    assert found.log_r_first == pytest.approx(log(at[found.first]))
    assert found.detector.growth == pytest.approx(fold(Bets(), z, 0.01).bets.logs)


@given(worths, worths, worths)
def test_stretches_compose_wherever_they_are_cut(a: Floats, b: Floats, c: Floats) -> None:
    whole = detect(Detector(), np.concatenate([a, b, c]), 1e6).detector
    in_turn = detect(detect(Detector(), a, 1e6).detector, np.concatenate([b, c]), 1e6).detector
    one, two, three = (detect(Detector(), z, 1e6).detector for z in (a, b, c))
    for other in (in_turn, one.then(two).then(three), one.then(two.then(three))):
        assert other.n == whole.n
        assert other.growth == pytest.approx(whole.growth, rel=1e-9, abs=1e-9)
        assert other.restarts == pytest.approx(whole.restarts, rel=1e-9, abs=1e-9)


@given(worths)
def test_a_decision_with_nothing_at_stake_changes_nothing(z: Floats) -> None:
    spread = detect(Detector(), np.concatenate([np.zeros(5), z, np.zeros(5)]), 1e6).detector
    plain = detect(Detector(), z, 1e6).detector
    assert spread.restarts == pytest.approx(plain.restarts)
    assert spread.n == plain.n + 10


def test_a_version_that_decides_like_its_fallback_is_never_stopped() -> None:
    found = detect(Detector(), np.zeros(300_000), 1_000)
    assert (found.first, found.detector.r_value) == (None, 0.0)
    assert found.detector.log_r == pytest.approx(NOTHING)


def test_a_long_batch_has_no_seam() -> None:
    z = np.full(600_000, -0.01)
    z[400_000:] = 0.5
    found = detect(Detector(), z, 1e6)
    assert found.first is not None
    rest = detect(detect(Detector(), z[:400_000], 1e6).detector, z[400_000:], 1e6)
    assert found.first == 400_000 + (rest.first or 0)
    assert found.detector.restarts == pytest.approx(rest.detector.restarts)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_it_never_overflows(money: list[float]) -> None:
    found = detect(Detector(), losses(np.array(money), 1e-300), 1e6).detector
    assert np.isfinite([*found.growth, *found.restarts, found.log_r, found.r_value]).all()


def test_nothing_watched_is_no_evidence() -> None:
    found = detect(Detector(), np.empty(0), 10)
    assert (found.detector, found.first, found.log_r_max) == (Detector(), None, -inf)


@pytest.mark.parametrize("z", [-1.01, nan, -inf])
def test_an_unbounded_gain_is_refused(z: float) -> None:
    with pytest.raises(ValueError, match="cap the gains"):
        detect(Detector(), np.array([z]), 100)


@pytest.mark.parametrize("every", [0.5, 0.0, -3.0, nan])
def test_a_run_length_below_one_is_refused(every: float) -> None:
    with pytest.raises(BadInput, match="at least 1"):
        detect(Detector(), np.zeros(1), every)
