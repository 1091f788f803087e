"""Comparing two means from kept sums: at any look, at planned looks, or once; and "not worse by more than a margin".

- `difference`, `noninferior`: at any look, by the asymptotic confidence sequence (Waudby-Smith et al. 2024,
  arXiv:2103.06476, eq. 9). For light tails; it informs and guards, it does not stop a version: see stats/intervals.
- `always_valid`: a p-value for any look (mSPRT; Johari, Pekelis and Walsh 2022, arXiv:1512.04922, eq. 6).
- `boundaries`: for looks planned beforehand (alpha spending; Lan and DeMets 1983). Tighter than any look.
- `welch`, `relative`, `per_unit` with `contrast`: for one look at the end. Read after every hundredth of the rows, they
  see an effect that is not there more than a third of the time.

Effects are b minus a, a being the present one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, isfinite, log, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.chances import normal, student_above, student_quantile
from payoff.stats.covariate import Pair
from payoff.stats.intervals import LEAST, PLANNED, Interval, Sums, radius

GRID = 401  # points on which the walk between planned looks is integrated (Simpson's rule)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimate, its standard error in the same unit, and the degrees of freedom of that: for one look."""

    value: float
    se: float
    freedom: float

    def interval(self, error: float = 0.05) -> Interval:
        """Two-sided."""
        half = student_quantile(1 - error / 2, self.freedom) * self.se
        return Interval(self.value - half, self.value + half)

    def low(self, error: float = 0.05) -> float:
        """One-sided: the truth is below it with a chance of at most `error`."""
        return self.value - student_quantile(1 - error, self.freedom) * self.se

    def p_value(self) -> float:
        """How often an estimate at least this far from 0 turns up where the truth is 0, in one look."""
        if self.se == 0:
            return float(self.value == 0)
        return 2 * student_above(abs(self.value) / self.se, self.freedom)

    def p_above(self, bound: float) -> float:
        """How often one at least this high turns up where the truth is `bound`; bound = -margin: non-inferiority."""
        if self.se == 0:
            return 0.0 if self.value > bound else 1.0
        return student_above((self.value - bound) / self.se, self.freedom)


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """Differences seen, their sum, and the smallest p-value so far."""

    n: int = 0
    total: float = 0.0
    p: float = 1.0


def difference(a: Sums, b: Sums, error: float = 0.05, planned: int = PLANNED) -> Interval | None:
    """Mean of b minus mean of a, at any look; `planned` rows of both: where it is tightest. None below LEAST rows each.

    Two independent samples; the error is kept approximately, for means of enough rows.
    """
    if min(a.n, b.n) < LEAST:
        return None
    half = radius(a.n + b.n, _variance(a, b), error, planned)
    return Interval(b.mean - a.mean - half, b.mean - a.mean + half)


def noninferior(
    candidate: Sums, current: Sums, margin: float, error: float = 0.05, planned: int = PLANNED, less: bool = False
) -> bool | None:
    """Is the candidate not worse than the current one by `margin` or more? Valid at any look.

    True: its mean is above current minus margin; False: it is below; None: not known yet. Each is wrong with a chance
    of about `error`. `margin` >= 0 in the unit of the values; `less`: less is better (latency, cost, errors). BadInput
    for a negative margin.
    """
    if not margin >= 0:
        raise BadInput(f"a margin of {margin}; say how much worse is still put up with, at least 0")
    if min(candidate.n, current.n) < LEAST:
        return None
    better = (current.mean - candidate.mean) if less else (candidate.mean - current.mean)
    half = _one_sided(candidate.n + current.n, _variance(candidate, current), error, planned)
    if better - half > -margin:
        return True
    return False if better + half < -margin else None


def _variance(a: Sums, b: Sums) -> float:
    """Of the difference of means, per row of both."""
    return (a.variance / a.n + b.variance / b.n) * (a.n + b.n)


def _one_sided(n: int, variance: float, error: float, planned: int) -> float:
    """How far below the estimate the truth may be, at all n at once (Waudby-Smith et al. 2024, appendix B.1)."""
    rho2 = (-2 * log(2 * error) + log(-2 * log(2 * error) + 1)) / planned
    grown = n * rho2 + 1
    return sqrt(variance * 2 * grown * log(1 + sqrt(grown) / (2 * error)) / (n * n * rho2))


def welch(a: Sums, b: Sums) -> Effect | None:
    """Mean of b minus mean of a, for one look (Welch 1947); None below two rows each."""
    return contrast(_mean(a), _mean(b)) if min(a.n, b.n) > 1 else None


def relative(a: Sums, b: Sums) -> Effect | None:
    """The same divided by the mean of a, by the delta method; None below two rows each or where the mean of a is 0."""
    if min(a.n, b.n) < 2 or a.mean == 0:
        return None
    one, other = _mean(a), _mean(b)
    se = hypot(other.se / a.mean, one.se * b.mean / a.mean**2)
    return Effect((b.mean - a.mean) / a.mean, se, contrast(one, other).freedom)


def per_unit(pair: Pair) -> Effect | None:
    """Sum of y divided by sum of x (money per euro lent), by the delta method over its rows; None where x sums to 0."""
    if pair.n < 2 or pair.x == 0:
        return None
    ratio = pair.y / pair.x
    squares = max(0.0, pair.yy - 2 * ratio * pair.xy + ratio**2 * pair.xx)
    return Effect(ratio, sqrt(squares / (pair.n - 1) * pair.n) / abs(pair.x), pair.n - 1)


def contrast(a: Effect, b: Effect) -> Effect:
    """b minus a of two independent estimates."""
    se = hypot(a.se, b.se)
    if se == 0:
        return Effect(b.value - a.value, 0.0, a.freedom + b.freedom)
    shares = [(one.se / se) ** 4 / one.freedom for one in (a, b)]
    return Effect(b.value - a.value, se, 1 / sum(shares))


def _mean(sums: Sums) -> Effect:
    return Effect(sums.mean, sqrt(sums.variance / sums.n), sums.n - 1)


def always_valid(seen: AlwaysValid, x: Floats, variance: float, tau2: float) -> tuple[AlwaysValid, Floats]:
    """The p-value for "these differences have a mean of 0" after each of `x`, shape (n,), and the state after all.

    `variance` of one difference, `tau2` the variance of the effects one expects, both in units squared. It never rises,
    and falls to `error` in at most a share `error` of streams without a difference. BadInput unless both are above 0.
    """
    if not (variance > 0 and tau2 > 0):
        raise BadInput(f"a variance of {variance} and tau2 of {tau2}; both must be above 0")
    if not len(x):
        return seen, np.empty(0)
    n, total = seen.n + np.arange(1, len(x) + 1), seen.total + np.cumsum(x)
    spread = variance + n * tau2
    log_p = np.log(spread / variance) / 2 - tau2 * total**2 / (2 * variance * spread)
    p = np.minimum.accumulate(np.minimum(np.exp(np.minimum(log_p, 0.0)), seen.p))
    return AlwaysValid(int(n[-1]), float(total[-1]), float(p[-1])), p


def boundaries(fractions: Sequence[float], error: float = 0.05, power: float = 2.0) -> tuple[float, ...]:
    """For each planned look, the |z| above which it is decided, so that all looks together err with `error`.

    `fractions`: the share of the planned rows seen at each look, rising, above 0, at most 1. By then
    error * fraction ** power has been spent (Kim and DeMets 1987), found by integrating the walk from look to look
    (Armitage, McPherson and Rowe 1969). BadInput for other fractions.
    """
    times = (0.0, *fractions)
    if not all(isfinite(b) and a < b <= 1 for a, b in pairwise(times)):
        raise BadInput(f"looks at {list(fractions)}; say rising shares of the planned rows, above 0 and at most 1")
    places, weights, found = np.zeros(1), np.ones(1), []
    for before, now in pairwise(times):
        step, spend = sqrt(now - before), error * (now**power - before**power)
        bar = _bar(places, weights, step, spend)
        found.append(bar / sqrt(now))
        grid = np.linspace(-bar, bar, GRID)
        density = np.exp(-((grid[:, None] - places) ** 2) / (2 * step**2)) / (step * sqrt(2 * pi)) @ weights
        simpson = np.where(np.arange(GRID) % 2, 4, 2) * (2 * bar / (GRID - 1)) / 3
        simpson[[0, -1]] /= 2
        places, weights = grid, density * simpson
    return tuple(found)


def _bar(places: Floats, weights: Floats, step: float, spend: float) -> float:
    """How far from 0 a walk, now at `places` with chances `weights`, gets in a step with a chance of `spend`."""
    low, high = 0.0, float(np.abs(places).max()) + step * NormalDist().inv_cdf(1 - spend / 4)
    while high - low > 1e-10 * high:
        bar = (low + high) / 2
        beyond = float(weights @ (normal((places - bar) / step) + normal((-places - bar) / step)))
        low, high = (bar, high) if beyond > spend else (low, bar)
    return high
