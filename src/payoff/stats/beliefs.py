"""What to believe of each arm, and how to share traffic by it: Thompson sampling on rates and on money.

An arm gets traffic in proportion to the chance that it is the best one, but never less than a floor, so that every
arm stays measurable. Means of arms whose shares followed their results are biased: analyse such traffic by the
propensities that were recorded (see `offpolicy`).

Thompson (1933); Russo (2016), "Simple Bayesian algorithms for best arm identification" (top-two), arXiv:1602.08448;
Murphy (2007), "Conjugate Bayesian analysis of the Gaussian distribution", section 6 (normal-inverse-gamma).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import sqrt
from operator import add

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.intervals import Sums

Floats = NDArray[np.float64]

_FAR = np.sinh(np.linspace(-16.0, 16.0, 129))  # borders of the panels, in standard deviations: far, and fine inside
_NEAR = _FAR[np.abs(_FAR) < 60]
_NODES = 12  # of each panel
_NO_SPREAD = 1e-12  # of the mean: as small as this, a spread is what adding floats leaves behind


@dataclass(frozen=True, slots=True)
class Rate:
    """What is believed of a rate: Beta(yes, no), both at least 1. `Rate()` is no knowledge at all."""

    yes: float = 1.0
    no: float = 1.0

    def __post_init__(self) -> None:
        if not (1 <= self.yes < np.inf and 1 <= self.no < np.inf):
            raise BadInput(f"a belief of Beta({self.yes}, {self.no}) is none; both are counts plus 1, so at least 1")

    def after(self, yes: int, no: int) -> "Rate":
        """The belief once so many more of each were seen."""
        return Rate(self.yes + yes, self.no + no)

    @property
    def spread(self) -> float:
        """The standard deviation."""
        return sqrt(self.yes * self.no / (self.yes + self.no + 1)) / (self.yes + self.no)

    def edges(self, reach: Floats) -> Floats:
        """Where its density may be integrated piece by piece, so many spreads from its mean: from 0 to 1."""
        mean = self.yes / (self.yes + self.no)
        return np.concatenate([[0.0], np.clip(mean + self.spread * reach, 0.0, 1.0), [1.0]])

    def log_density(self, x: Floats) -> Floats:
        """Of the rate at x inside (0, 1), up to a constant."""
        logs: Floats = (self.yes - 1) * np.log(x) + (self.no - 1) * np.log1p(-x)
        return logs


@dataclass(frozen=True, slots=True)
class Earnings:
    """What is believed of a mean of money: normal-inverse-gamma.

    `mean` in the unit of the money, worth `rows` rows; the variance of a row is believed to be about scale / shape.
    """

    mean: float
    rows: float
    shape: float
    scale: float

    def after(self, sums: Sums) -> "Earnings":
        """The belief once these rows were seen."""
        rows, off = self.rows + sums.n, sums.mean - self.mean
        spread = sums.variance * max(0, sums.n - 1) + self.rows * sums.n / rows * off * off
        mean = self.mean + sums.n / rows * off
        return Earnings(mean, rows, self.shape + sums.n / 2, self.scale + spread / 2)

    @property
    def spread(self) -> float:
        """The scale of Student's t, with 2 * shape degrees of freedom, that is believed of the mean."""
        return sqrt(self.scale / (self.shape * self.rows))

    def edges(self, reach: Floats) -> Floats:
        """Where its density may be integrated piece by piece, so many spreads from its mean."""
        edges: Floats = self.mean + self.spread * reach
        return edges

    def log_density(self, x: Floats) -> Floats:
        """Of the mean at x, up to a constant."""
        logs: Floats = -(self.shape + 0.5) * np.log1p(np.square((x - self.mean) / self.spread) / (2 * self.shape))
        return logs


Belief = Rate | Earnings


def better(new: Belief, old: Belief) -> float:
    """The chance that `new` is the higher one, to 1e-9."""
    return best([old, new])[1]


def regret(chosen: Belief, other: Belief) -> float:
    """How much is lost in expectation by choosing `chosen`: E[max(other - chosen, 0)]."""
    steps, _, below = _curves([chosen, other])
    return float(np.sum(steps * below[0] * (1 - below[1])))


def best(arms: Sequence[Belief]) -> tuple[float, ...]:
    """The chance of each arm to be the highest; they sum to 1. BadInput without arms."""
    _some(arms)
    steps, density, below = _curves(arms)
    logs = np.log(np.maximum(below, 1e-300))
    chances = np.sum(steps * density * np.exp(logs.sum(axis=0) - logs), axis=1)
    return tuple((chances / chances.sum()).tolist())


def earnings(arms: Sequence[Sums]) -> tuple[Earnings, ...]:
    """What is believed of each arm by its sums of money per decision.

    Before its own rows, an arm is believed to be like all of them together, and that is worth one row: so an arm that
    nobody has seen is tried. BadInput where a sum is not finite.
    """
    if not np.isfinite([(arm.total, arm.squares) for arm in arms]).all():
        raise BadInput("the money of an arm is not a finite sum; leave out what has no value before summing")
    pool = reduce(add, arms, Sums())
    return tuple(Earnings(pool.mean, 1.0, 1.0, pool.variance).after(arm) for arm in arms)


def allocation(arms: Sequence[Sums], floor: float, leader: float = 1.0) -> tuple[float, ...]:
    """The share of traffic for each arm, in order: at least `floor` each, 1 in all. These are the propensities.

    `arms` are sums of net money per decision. `leader` 1 is Thompson sampling, which earns; 0.5 is top-two, which
    gives half to the best of the others and so learns sooner which is best. The shares are integrals, not draws: the
    same sums give the same shares. BadInput for floors that exceed 1 in all.
    """
    _some(arms)
    if not 0 <= floor * len(arms) <= 1:
        raise BadInput(f"a floor of {floor} for {len(arms)} arms is not possible; say at most {1 / len(arms):.4g}")
    if not 0 < leader <= 1:
        raise BadInput(f"a leader's share of {leader} is none; say 1 to earn, 0.5 to learn which is best")
    believed = earnings(arms)
    if len(arms) == 1 or any(arm.spread <= _NO_SPREAD * abs(arm.mean) for arm in believed):
        return (1 / len(arms),) * len(arms)
    first = np.array(best(believed))
    shares = floor + (1 - floor * len(arms)) * (leader * first + (1 - leader) * _second(first))
    return tuple((shares / shares.sum()).tolist())


def _second(first: Floats) -> Floats:
    """The chance of each arm to be best once the leader, taken by its own chance, is not."""
    others = np.array([np.delete(first, arm).sum() for arm in range(len(first))])
    odds = first / np.maximum(others, 1e-300)
    second: Floats = np.array([first[arm] * np.delete(odds, arm).sum() for arm in range(len(first))])
    return second


def _curves(arms: Sequence[Belief]) -> tuple[Floats, Floats, Floats]:
    """Quadrature weights (m,), and the density and the distribution of each arm at its points, (k, m) both.

    Gauss and Legendre on panels between the edges of all arms; the widest reaches out for all of them.
    """
    widest = max(arms, key=lambda arm: arm.spread)
    edges = np.unique(np.concatenate([widest.edges(_FAR), *(arm.edges(_NEAR) for arm in arms)]))
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges)[:, None] / 2
    x, steps = edges[:-1, None] + half * (points + 1), half * weights
    density = np.stack([_density(arm, x, steps) for arm in arms])
    within = half * (density @ _running(points, weights).T)
    whole = np.sum(density * steps, axis=2)
    below = within + (np.cumsum(whole, axis=1) - whole)[:, :, None]
    return steps.ravel(), density.reshape(len(arms), -1), below.reshape(len(arms), -1)


def _density(arm: Belief, x: Floats, steps: Floats) -> Floats:
    logs = arm.log_density(x)
    shape: Floats = np.exp(logs - logs.max())
    return shape / np.sum(shape * steps)


def _running(points: Floats, weights: Floats) -> Floats:
    """The matrix that takes values at the points of [-1, 1] to their integrals up to each point."""
    legendre = np.polynomial.legendre.legvander(points, _NODES)
    rises = np.column_stack([points + 1, legendre[:, 2:] - legendre[:, :-2]]) / 2
    matrix: Floats = rises @ (legendre[:, :-1].T * weights)
    return matrix


def _some(arms: Sequence[object]) -> None:
    if not arms:
        raise BadInput("there is no arm to choose from; name at least one")
