"""The learned cap: it never looks ahead, and the streams it was chosen for keep their bar."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.stats import Bets, Seen, caps, fold, losses
from payoff.stats.caps import BURN_IN, FACTOR, RATIO
from payoff.stats.streams import BREAK_EVEN

amounts = st.lists(st.sampled_from([-50.0, -2.0, -1e-6, 0.0, 0.5, 3.0, 60.0]), max_size=120)


@given(amounts, amounts)
def test_batches_teach_the_same_as_one_stream(left: list[float], right: list[float]) -> None:
    whole, in_one = caps(Seen(), np.array(left + right, np.float64))
    seen, first = caps(Seen(), np.array(left, np.float64))
    seen, second = caps(seen, np.array(right, np.float64))
    assert np.concatenate([first, second]) == pytest.approx(in_one)
    assert seen.cap == pytest.approx(whole.cap)


@given(amounts, st.floats(-1e6, 1e6))
def test_a_cap_knows_nothing_of_its_own_decision(before: list[float], last: float) -> None:
    assert caps(Seen(), np.array([*before, last]))[1][-1] == caps(Seen(), np.array([*before, 0.0]))[1][-1]


def test_the_first_decisions_are_only_looked_at() -> None:
    _, found = caps(Seen(), np.full(BURN_IN + 5, -1.0))
    assert np.isinf(found[:BURN_IN]).all()
    assert found[BURN_IN:] == pytest.approx(RATIO)


def test_with_many_gains_the_largest_rules() -> None:
    assert caps(Seen(), np.tile([5.0, -5.0], 500))[0].cap == FACTOR * 5


def test_where_nothing_was_at_stake_nothing_is_bet() -> None:
    """A model that decides like its fallback costs a little compute. That alone stops nobody without a stated cap."""
    assert np.isinf(caps(Seen(), np.zeros(5_000))[1]).all()


@pytest.mark.parametrize("name", BREAK_EVEN)
def test_false_alarms_stay_under_the_error_without_a_stated_cap(name: str) -> None:
    rng, streams = np.random.default_rng(11), 300
    peaks = []
    for _ in range(streams):
        money = BREAK_EVEN[name](rng, 3_000)
        peaks.append(fold(Bets(), losses(money, caps(Seen(), money)[1]), 0.01).log_e_max)
    assert np.mean(np.array(peaks) >= np.log(100)) <= 0.01
    assert np.mean(np.array(peaks) >= np.log(20)) <= 0.05


@pytest.mark.parametrize(("name", "stops"), [("always", 700), ("normal", 400)])
def test_a_loser_is_stopped_without_a_stated_cap(name: str, stops: int) -> None:
    rng = np.random.default_rng(12)
    streams = [np.full(2_000, -1.0)] if name == "always" else [rng.normal(-0.3, 1, 2_000) for _ in range(200)]
    firsts = [fold(Bets(), losses(money, caps(Seen(), money)[1]), 0.01).first for money in streams]
    assert np.median([2_000 if first is None else first for first in firsts]) < stops
