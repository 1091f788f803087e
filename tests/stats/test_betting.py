"""The betting test by formula and by simulation."""

from math import exp, inf, log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.stats import STAKES, Bets, fold, losses

Floats = NDArray[np.float64]
worths = st.lists(st.floats(-1, 1e6), max_size=60).map(lambda z: np.array(z, np.float64))


def by_hand(z: Floats) -> list[float]:
    """The e-value after every loss, as methods.md 4.4 writes it: the mean of products."""
    return [float(np.mean([np.prod(1 + stake * z[: t + 1]) for stake in STAKES])) for t in range(len(z))]


def test_three_losses_of_one_cap_give_the_mean_of_the_cubes() -> None:
    assert fold(Bets(), np.ones(3), 0.01).bets.e_value == pytest.approx(
        (1.025**3 + 1.05**3 + 1.1**3 + 1.2**3 + 1.4**3) / 5
    )


def test_a_stream_by_the_formula() -> None:
    z = losses(np.random.default_rng(1).normal(-1, 2, 80), 3.0)
    at = by_hand(z)
    found = fold(Bets(), z, 0.05)
    assert found.bets.e_value == pytest.approx(at[-1])
    assert found.log_e_max == pytest.approx(log(max(at)))
    assert found.first == next(t for t, e in enumerate(at) if e >= 20)
    assert found.log_e_first == pytest.approx(log(at[found.first]))


@given(worths, worths)
def test_batches_fold_as_one_and_shards_add_up(left: Floats, right: Floats) -> None:
    whole = fold(Bets(), np.concatenate([left, right]), 0.01).bets
    in_turn = fold(fold(Bets(), left, 0.01).bets, right, 0.01).bets
    added = fold(Bets(), left, 0.01).bets + fold(Bets(), right, 0.01).bets
    assert whole.n == in_turn.n == added.n
    assert in_turn.logs == pytest.approx(whole.logs, rel=1e-9, abs=1e-9)
    assert added.logs == pytest.approx(whole.logs, rel=1e-9, abs=1e-9)


def test_a_crossing_counts_even_if_the_wealth_is_lost_again() -> None:
    found = fold(Bets(), np.concatenate([np.ones(30), -np.ones(300)]), 0.01)
    assert found.first is not None
    assert found.bets.e_value < 1


def test_a_long_batch_is_folded_in_pieces_without_a_seam() -> None:
    z = np.zeros(600_000)
    z[400_000:] = 0.01
    found = fold(Bets(), z, 0.01)
    assert found.first is not None
    assert found.first == 400_000 + (fold(Bets(), z[400_000:], 0.01).first or 0)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_it_never_overflows(money: list[float]) -> None:
    found = fold(Bets(), losses(np.array(money), 1e-300), 0.01)
    assert np.isfinite([*found.bets.logs, found.bets.log_e, found.bets.e_value]).all()
    assert fold(Bets((0), (1e5,) * 5), np.ones(1), 0.01).bets.e_value == exp(700)


@given(st.lists(st.floats(-1e9, 1e9), max_size=50), st.floats(1e-3, 1e6))
def test_no_gain_counts_for_more_than_the_cap(money: list[float], cap: float) -> None:
    z = losses(np.array(money, np.float64), cap)
    assert (z >= -1).all()
    assert losses(np.array([cap, 10 * cap, -cap, 0.0]), cap).tolist() == [-1, -1, 1, 0]


@pytest.mark.parametrize("z", [-1.01, nan, -inf])
def test_an_unbounded_gain_is_refused(z: float) -> None:
    with pytest.raises(ValueError, match="cap the gains"):
        fold(Bets(), np.array([z]), 0.01)


@pytest.mark.parametrize("error", [0.0, 1.0, -0.1, nan])
def test_an_error_is_a_chance(error: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        fold(Bets(), np.zeros(1), error)


def test_nothing_folded_is_no_evidence() -> None:
    found = fold(Bets(), np.empty(0), 0.01)
    assert (found.bets, found.first, found.bets.e_value) == (Bets(), None, 1.0)


def test_a_loser_is_stopped_within_150_decisions() -> None:
    """A loss of 0.3 sd per decision, at 1 %, with gains credited up to 1 or 2 sd."""
    rng = np.random.default_rng(8)
    for cap in (1.0, 2.0):
        stops = [fold(Bets(), losses(rng.normal(-0.3, 1, 1_500), cap), 0.01).first for _ in range(300)]
        assert None not in stops
        assert np.median([stop for stop in stops if stop is not None]) < 150
