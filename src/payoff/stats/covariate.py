"""Less noise in a comparison of arms, by what was known of each row before the arm acted (CUPED).

What a row earns often follows a number that the arms cannot have moved: last month's amount, an older model's score.
Taking its part out leaves the difference of the arms where it was, with less noise around it.

Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data", eq. 4 and 5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.stats.intervals import Sums

Floats = NDArray[np.float64]


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
        raise NotImplementedError

    @classmethod
    def of(cls, x: Floats, y: Floats) -> "Pair":
        """The sums of rows: both of shape (n,), finite."""
        raise NotImplementedError

    @property
    def raw(self) -> Sums:
        """Of y alone, as if x were not known."""
        raise NotImplementedError


def slope(*arms: Pair) -> float:
    """How much y moves with x over all arms together: covariance by variance; 0 where x never moves."""
    raise NotImplementedError


def adjust(*arms: Pair) -> tuple[Sums, ...]:
    """The sums of y of each arm with the part that follows x taken out: ready for every comparison of means.

    The slope and the mean of x are those of all arms together, so the adjusted means stay in the unit of y.
    """
    raise NotImplementedError


def noise_left(*arms: Pair) -> float:
    """The share of the variance of y that x leaves, from 0 to 1: 0.35 means an interval sqrt(0.35) as wide."""
    raise NotImplementedError
