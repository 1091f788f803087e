"""Which rows are decided at random, and how likely each decision was: what lets another policy be judged on them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OWN = -1  # the row keeps its own decision


def draw(share: float, among: int, points: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each point in [0, 1) which of `among` decisions is drawn, all equally likely, or OWN.

    A `share` of the interval draws; one number per row says both whether and what.
    """
    drawn = np.full(len(points), OWN, np.intp)
    low = points < share
    drawn[low] = np.minimum(points[low] / share * among, among - 1)
    return drawn


def propensity(share: float, own: NDArray[np.bool_], among: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """How likely the decision of each row was, in (0, 1].

    `own` and each of `among` say, per row, whether the row would have been decided as it was, had it kept its own
    decision, or had this one been drawn. Several may be true: a rule may turn different decisions into one.
    """
    drawn = np.sum(among, axis=0, dtype=np.float64) * (share / len(among))
    return np.minimum(1.0, np.where(own, 1.0 - share, 0.0) + drawn)
