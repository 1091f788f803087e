"""Less noise in a comparison of arms, by what was known of each row before the arm acted (CUPED).

What a row earns often follows a number that the arms cannot have moved: last month's amount, an older model's score.
Taking its part out leaves the difference of the arms where it was, with less noise around it.

Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data", eq. 4 and 5.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.intervals import Sums

Floats = NDArray[np.float64]
_ROUNDING = 1e-12  # below this share of its squares, the spread of x is rounding


@dataclass(frozen=True, slots=True)
class Pair:
    """Sums over the rows of an arm of x, which was known before, and y, which is compared. What adds, merges."""

    n: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def __add__(self, other: "Pair") -> "Pair":
        return Pair(
            self.n + other.n,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.yy + other.yy,
            self.xy + other.xy,
        )

    @classmethod
    def of(cls, x: Floats, y: Floats) -> "Pair":
        """The sums of rows: both of shape (n,). BadInput where they differ in length, or are not finite."""
        if x.shape != y.shape or x.ndim != 1:
            raise BadInput(f"x has shape {x.shape} and y {y.shape}; send one of each per row")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise BadInput("x or y holds a number that is not finite; leave such rows out, or say what they are worth")
        return cls(len(x), float(x.sum()), float(y.sum()), float(x @ x), float(y @ y), float(x @ y))

    @property
    def raw(self) -> Sums:
        """Of y alone, as if x were not known."""
        return Sums(self.n, self.y, self.yy)


def slope(*arms: Pair) -> float:
    """How much y moves with x over all arms together: covariance by variance; 0 where x never moves."""
    pool = _pool(arms)
    moves = pool.n * pool.xx - pool.x * pool.x
    return (pool.n * pool.xy - pool.x * pool.y) / moves if moves > _ROUNDING * pool.n * pool.xx else 0.0


def adjust(*arms: Pair) -> tuple[Sums, ...]:
    """The sums of y of each arm with the part that follows x taken out: ready for every comparison of means.

    The slope and the mean of x are those of all arms together, so the adjusted means stay in the unit of y.
    """
    pool, by = _pool(arms), slope(*arms)
    mean = pool.x / pool.n if pool.n else 0.0
    return tuple(
        Sums(
            arm.n,
            arm.y - by * (arm.x - arm.n * mean),
            arm.yy - 2 * by * (arm.xy - mean * arm.y) + by * by * (arm.xx - 2 * mean * arm.x + arm.n * mean * mean),
        )
        for arm in arms
    )


def noise_left(*arms: Pair) -> float:
    """The share of the variance of y that x leaves, from 0 to 1: 0.35 means an interval sqrt(0.35) as wide."""
    before, (after,) = _pool(arms).raw.variance, adjust(_pool(arms))
    return min(1.0, after.variance / before) if before else 1.0


def _pool(arms: tuple[Pair, ...]) -> Pair:
    return reduce(add, arms, Pair())
