"""Chances under the normal curve and Student's t, from elementary functions.

The incomplete beta function by its continued fraction (Press et al., Numerical Recipes, 6.4; Lentz's method).
"""

from math import erfc, exp, lgamma, log, log1p, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

FREEDOM_MAX = 1e7  # from here on, t is the normal curve to eight decimals

Floats = NDArray[np.float64]


def normal(x: Floats) -> Floats:
    """The chance of a standard normal number below x, shape (n,)."""
    return np.array([erfc(-one / sqrt(2)) / 2 for one in x.tolist()])


def binomial_at_least(hits: int, n: int, chance: float) -> float:
    """The chance of `hits` or more in n tries, each with `chance`, 0 to 1."""
    if hits <= 0 or chance >= 1:
        return 1.0
    if chance <= 0:
        return 0.0
    logs = [
        lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(chance) + (n - k) * log1p(-chance)
        for k in range(hits, n + 1)
    ]
    return min(1.0, sum(map(exp, logs)))


def student_above(t: float, freedom: float) -> float:
    """The chance of a t above `t`; `freedom` > 0 need not be whole."""
    if freedom > FREEDOM_MAX:
        return erfc(t / sqrt(2)) / 2
    tail = _beta(freedom / (freedom + t * t), t * t / (freedom + t * t), freedom / 2, 0.5) / 2
    return tail if t >= 0 else 1 - tail


def student_quantile(share: float, freedom: float) -> float:
    """The t below which `share` of them lie, 0 < share < 1."""
    if share == 0.5 or freedom > FREEDOM_MAX:
        return NormalDist().inv_cdf(share)
    if share < 0.5:
        return -student_quantile(1 - share, freedom)
    t, scale = NormalDist().inv_cdf(share), lgamma((freedom + 1) / 2) - lgamma(freedom / 2)
    for _ in range(200):  # Newton's steps; the tail is convex, so from below none goes too far
        density = exp(scale - log(pi * freedom) / 2 - (freedom + 1) / 2 * log1p(t * t / freedom))
        step = (student_above(t, freedom) - (1 - share)) / density
        t += step
        if step <= 1e-13 * t:
            break
    return t


def _beta(x: float, rest: float, a: float, b: float) -> float:
    """The regularised incomplete beta function at x in [0, 1]; `rest` is 1 - x, without rounding."""
    if x == 0 or rest == 0:
        return float(x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(rest))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(rest, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d, c = 1 / (1 + part * d), 1 + part / c
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
