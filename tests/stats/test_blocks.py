"""Means of blocks do not depend on how rows came in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.stats import Open, blocks

rows = st.lists(st.floats(-100, 100), max_size=60)


@given(rows, rows, st.integers(1, 12))
def test_batches_fill_the_same_blocks_as_one_stream(left: list[float], right: list[float], size: int) -> None:
    x = np.array(left + right)
    open_, first = blocks(Open(), np.array(left), size)
    open_, second = blocks(open_, np.array(right), size)
    full = len(x) // size * size
    assert np.concatenate([first, second]) == pytest.approx(x[:full].reshape(-1, size).mean(axis=1), abs=1e-9)
    assert open_.rows == len(x) - full
    assert open_.total == pytest.approx(x[full:].sum(), abs=1e-9)
