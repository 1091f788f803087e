"""An interval for a mean that may be read after every row: the asymptotic confidence sequence.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), "Time-uniform central limit theory and asymptotic confidence
sequences", arXiv:2103.06476, eq. 9.

Its limits: it leans on the central limit theorem, so it is for statements that inform, never for a verdict that acts.
On light tails 5 % means 5 % or less over all looks; on money as skewed as a lognormal with sigma 1 about 7 %, with
sigma 2 about 40 % of the intervals miss the truth at some look. Below LEAST rows there is no interval at all.
"""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

LEAST = 10  # rows before the spread of a sample says anything
PLANNED = 5_000  # rows at which the interval is tightest; it holds at every other number too


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows, their sum and their sum of squares. What adds, merges."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Sums":
        """The sums of values of shape (n,)."""
        return cls(len(values), float(values.sum()), float(np.square(values).sum()))

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Of the sample, with n - 1; 0 below two rows."""
        return max(0.0, self.squares - self.total * self.mean) / (self.n - 1) if self.n > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a mean, in the unit of the values."""

    low: float
    high: float


def radius(n: int, variance: float, error: float = 0.05, planned: int = PLANNED) -> float:
    """Half the width of the interval for the mean of `n` rows of this variance, at all `n` at once."""
    rho2 = (-2 * log(error) + log(-2 * log(error) + 1)) / planned
    grown = n * rho2 + 1
    return sqrt(variance * 2 * grown * log(sqrt(grown) / error) / (n * n * rho2))


def interval(sums: Sums, error: float = 0.05, planned: int = PLANNED) -> Interval | None:
    """Where the mean lies, except with a chance of about `error` over all looks; None for fewer than LEAST rows."""
    if sums.n < LEAST:
        return None
    half = radius(sums.n, sums.variance, error, planned)
    return Interval(sums.mean - half, sums.mean + half)
