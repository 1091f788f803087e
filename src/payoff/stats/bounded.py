"""Intervals for the mean of bounded amounts that hold at every look, exactly: confidence sequences.

Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", arXiv:2010.09686: the
predictable plug-in empirical Bernstein sequence (theorem 2) is kept as a few sums; the hedged betting sequence
(section 4.3), tighter for low variance, needs the rows and is for reports.

The bounds may differ from row to row if each was fixed before its row. What is covered is the mean of the amounts
after clipping them to their bounds; where a person stated the bounds, that is what is credited.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.stats.intervals import Interval

TUNED = 0.05  # the error for which the stakes are best; the interval is right at any other too
STAKE_MAX = 0.5  # of what the range allows

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bernstein:
    """A few sums over the rows that had a range. States of disjoint streams with the same mean add up.

    `n` rows; `weight` sums the stakes a (1/unit), `weighted` a x, `penalty` what the bets cost; `total` and `deviations`
    (x minus the running mean, squared) choose the next stakes.
    """

    n: int = 0
    weight: float = 0.0
    weighted: float = 0.0
    penalty: float = 0.0
    total: float = 0.0
    deviations: float = 0.0

    def __add__(self, other: "Bernstein") -> "Bernstein":
        return Bernstein(
            self.n + other.n,
            self.weight + other.weight,
            self.weighted + other.weighted,
            self.penalty + other.penalty,
            self.total + other.total,
            self.deviations + other.deviations,
        )

    def interval(self, error: float = 0.05) -> Interval | None:
        """Where the mean lies; wrong at any look with a chance of at most `error`. None before the first row."""
        raise NotImplementedError


def bernstein(state: Bernstein, x: Floats, low: Floats | float, high: Floats | float) -> Bernstein:
    """The state after rows `x`, shape (n,), clipped to [low, high]: numbers or one per row, in the unit of `x`.

    A row whose range is not finite, or empty, is left out. ValueError for x that is not a number.
    """
    raise NotImplementedError


def hedged(x: Floats, error: float = 0.05, low: float = 0.0, high: float = 1.0, breaks: int = 1_000) -> Interval:
    """The hedged betting interval after all of `x`, shape (n,), clipped to [low, high]: intersected over all looks.

    To one part in `breaks` of the range, rounded outwards. It may be read at any row, like the other.
    """
    raise NotImplementedError
