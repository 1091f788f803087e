"""What another decision threshold would have earned, and how sure that is. It informs; it sets nothing by itself.

A row is decided "yes" when its score reaches the threshold. For every matured row both values are known: what a yes
and what a no earns, so this is for outcomes that do not depend on the decision.

The best threshold of a sample flatters itself: what it would add is therefore measured on rows that did not choose it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.stats.intervals import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Money per decision at each threshold. `thresholds` rise; the first says yes to all rows, the last to none.

    Both of shape (m,), m at most the asked number of points plus 2.
    """

    thresholds: Floats
    profit: Floats
    rows: int

    @property
    def best(self) -> float:
        """The threshold with the most money; the lowest of several."""
        raise NotImplementedError

    def at(self, threshold: float) -> float:
        """Money per decision at any threshold, to the nearest point of the curve that decides alike."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold beside the present one; money per decision in the unit of the values.

    `left` is what is left on the table at present: measured on rows that did not choose the threshold, it may be below
    0, and then there is nothing to gain. `left_interval` and `best_interval` are for a report that is written once.
    """

    rows: int
    present: float
    present_profit: float
    best: float
    best_interval: Interval
    left: float
    left_interval: Interval

    @property
    def worth_it(self) -> bool:
        """Whether moving the threshold would surely have earned more."""
        raise NotImplementedError


def curve(scores: Floats, yes: Floats, no: Floats, weights: Floats | None = None, points: int = 1_000) -> Curve:
    """The profit curve. All of shape (n,): score, money if yes, money if no, and how many rows each row stands for.

    BadInput without rows, for other shapes, and for what is not finite.
    """
    raise NotImplementedError


def suggest(
    scores: Floats,
    yes: Floats,
    no: Floats,
    present: float,
    weights: Floats | None = None,
    error: float = 0.05,
    seed: int = 0,
) -> Suggestion:
    """The best threshold with its interval, and the money left on the table at the `present` one with its own.

    Chosen on one half of the rows and valued on the other, both ways. BadInput as in `curve`, and under 20 rows.
    """
    raise NotImplementedError
