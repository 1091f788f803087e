"""Chances under the normal curve and Student's t, against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from payoff.stats.chances import normal, student_above, student_quantile

freedoms = st.floats(0.5, 1e6)


@given(st.floats(-60, 60), freedoms)
def test_the_tail_of_t(x: float, freedom: float) -> None:
    assert student_above(x, freedom) == pytest.approx(t.sf(x, freedom), rel=1e-6, abs=1e-300)


@given(st.floats(1e-6, 1 - 1e-6), freedoms)
def test_the_quantile_of_t(share: float, freedom: float) -> None:
    assert student_quantile(share, freedom) == pytest.approx(t.ppf(share, freedom), rel=1e-6, abs=1e-8)


def test_beyond_ten_million_degrees_of_freedom_t_is_the_normal_curve() -> None:
    assert student_above(2.0, 2e7) == pytest.approx(t.sf(2.0, 2e7), abs=1e-8)
    assert student_quantile(0.3, 2e7) == pytest.approx(t.ppf(0.3, 2e7), abs=1e-7)


def test_the_normal_curve() -> None:
    x = np.linspace(-9, 9, 101)
    assert normal(x) == pytest.approx(norm.cdf(x), rel=1e-12)
