"""Facts about decisions that are drawn at random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.routing import OWN, draw, propensity

GRID = (np.arange(10_000) + 0.5) / 10_000


@given(st.integers(0, 100), st.integers(2, 8))
def test_a_share_of_the_rows_is_drawn_and_each_decision_equally_often(percent: int, among: int) -> None:
    drawn = draw(percent / 100, among, GRID)
    assert np.count_nonzero(drawn != OWN) == percent * 100
    counts = np.bincount(drawn[drawn != OWN], minlength=among)
    assert len(counts) == among
    assert np.abs(counts - percent * 100 / among).max() <= 1


@given(st.floats(0.0, 1.0), st.integers(2, 64), st.lists(st.floats(0.0, 1.0, exclude_max=True), max_size=50))
def test_a_draw_is_a_decision_or_the_rows_own_whatever_the_share(share: float, among: int, at: list[float]) -> None:
    points = np.array(at)
    drawn = draw(share, among, points)
    assert ((drawn >= OWN) & (drawn < among)).all()
    assert np.array_equal(drawn == OWN, points >= share)


@given(st.integers(1, 100), st.integers(2, 6), st.integers(0, 7))
def test_a_propensity_is_how_often_the_decision_is_made(percent: int, among: int, own: int) -> None:
    """The model's own decision may be one of those drawn from, or not (`own` >= `among`)."""
    share = percent / 100
    drawn = draw(share, among, GRID)
    decided = np.where(drawn == OWN, own, drawn)
    chances = propensity(share, decided == own, [decided == each for each in range(among)])
    for decision in np.unique(decided):
        how_often = np.mean(decided == decision)
        assert np.unique(chances[decided == decision]) == pytest.approx(how_often, abs=2 / len(GRID))


def test_propensities_of_one_in_fifty() -> None:
    own, drawn_true = np.array([True, False]), np.array([True, False])
    found = propensity(0.02, own, [drawn_true, ~drawn_true])
    assert found.tolist() == pytest.approx([0.99, 0.01])


def test_decisions_that_a_rule_turns_into_one_count_together() -> None:
    yes = np.array([True])
    assert propensity(0.3, yes, [yes, yes, yes]).tolist() == [1.0]
