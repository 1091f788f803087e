"""The learned range: it never looks ahead, and the streams it was chosen for keep their coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput
from payoff.stats import Learned, Range, learn, ranges
from payoff.stats.ranges import BLOCK, BURN_IN, FACTOR

amounts = st.lists(st.sampled_from([-50.0, -2.0, -1e-6, 0.0, 0.5, 3.0, 60.0]), max_size=300)
FIELDS = [name for name in Range.__slots__ if name != "open"]


@given(amounts, amounts)
def test_batches_teach_the_same_as_one_stream(left: list[float], right: list[float]) -> None:
    whole, means, low, high = ranges(Range(), np.array(left + right, np.float64))
    seen, *first = ranges(Range(), np.array(left, np.float64))
    seen, *second = ranges(seen, np.array(right, np.float64))
    for a, b, both in zip(first, second, (means, low, high), strict=True):
        assert np.concatenate([a, b]) == pytest.approx(both, rel=1e-6, abs=1e-6)
    assert seen.open.rows == whole.open.rows
    for name in FIELDS:
        assert getattr(seen, name) == pytest.approx(getattr(whole, name), rel=1e-6, abs=1e-6)


@given(st.lists(st.sampled_from([-50.0, 0.0, 3.0]), min_size=BLOCK, max_size=300), st.floats(-1e6, 1e6))
def test_a_range_knows_nothing_of_its_own_block(before: list[float], last: float) -> None:
    rows = np.array(before[: len(before) // BLOCK * BLOCK])
    _, _, low, high = ranges(Range(), rows)
    rows[-BLOCK:] = last
    _, _, low_too, high_too = ranges(Range(), rows)
    assert (low_too[-1], high_too[-1]) == (low[-1], high[-1])


def test_the_first_blocks_only_teach() -> None:
    x = np.tile([1.0, -1.0, 5.0], 200)
    _, means, low, high = ranges(Range(), x)
    assert np.isinf(low[:BURN_IN]).all()
    assert np.isfinite(high[BURN_IN:]).all()
    assert (low[BURN_IN:] < means[BURN_IN:]).all()
    assert learn(Learned(), x[: BURN_IN * BLOCK]).interval() is None
    assert learn(Learned(), x[: (BURN_IN + 1) * BLOCK]).interval() is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_amount_that_is_no_number_is_refused_at_once(bad: float) -> None:
    with pytest.raises(BadInput, match="finite"):
        learn(Learned(), np.array([bad]))


def test_amounts_that_are_all_alike_have_no_interval() -> None:
    assert learn(Learned(), np.full(5_000, 3.0)).interval() is None


def test_with_many_blocks_the_extremes_rule() -> None:
    x = np.repeat(np.tile([5.0, -5.0], 500), BLOCK)
    _, _, low, high = ranges(Range(), x)
    assert (low[-1], high[-1]) == pytest.approx((-FACTOR * 5, FACTOR * 5), rel=0.01)


@given(st.floats(1e-3, 1e6), st.floats(-1e4, 1e4))
def test_another_unit_and_another_zero_change_nothing(scale: float, shift: float) -> None:
    x = np.random.default_rng(6).lognormal(0, 1, 600)
    plain, moved = learn(Learned(), x).interval(), learn(Learned(), x * scale + shift).interval()
    assert plain is not None
    assert moved is not None
    ends = (plain.low * scale + shift, plain.high * scale + shift)
    assert (moved.low, moved.high) == pytest.approx(ends, rel=1e-6, abs=1e-6 * (1 + abs(shift) + scale))


def test_at_3_000_rows_it_is_about_as_wide_as_money_needs() -> None:
    rng = np.random.default_rng(7)
    widths = []
    for _ in range(40):
        found = learn(Learned(), rng.standard_normal(3_000)).interval()
        assert found is not None
        widths.append(found.high - found.low)
    assert np.median(widths) < 0.24  # an asymptotic sequence: 0.13, that misses skewed means
