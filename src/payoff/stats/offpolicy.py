"""What a candidate would have earned on recorded traffic, from decisions that another policy took by chance.

Every recorded decision has its propensity: the chance with which it was taken. Rows on which the candidate would have
decided the same are weighted by how much more often it would. Where candidate and record have too little in common
there is no answer, and `Estimate.refusal` says why.

Horvitz and Thompson (1952): "ips"; Swaminathan and Joachims (2015): "snips"; Dudik, Langford and Li (2011): "dr";
Wang, Agarwal and Dudik (2017): "switch-dr"; Maurer and Pontil (2009), theorem 4: the interval of bounded terms.
Cross-fitting: Chernozhukov et al. (2018).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.stats.intervals import Interval

EFFECTIVE_ROWS_MIN = 100.0
WEIGHT_SHARE_MAX = 0.05

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded traffic: n rows, k actions. BadInput where shapes differ, or a chance is not one.

    `actions` (n,) from 0 to k - 1; `rewards` (n,) money that the action earned; `propensities` (n,) the chance with
    which it was taken, above 0; `candidate` (n, k) the chance of each action under the candidate, rows that sum to 1
    (`always` makes it for a model that decides without chance); `predicted` (n, k) what a reward model expects of each
    action, from rows other than its own (`reward_model`), or None.
    """

    actions: Ints
    rewards: Floats
    propensities: Floats
    candidate: Floats
    predicted: Floats | None = None

    @property
    def weights(self) -> Floats:
        """How much more often the candidate takes the action of each row, shape (n,)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bounds:
    """Known beforehand: rewards lie in [low, high], and no action was taken with a chance under `propensity_min`."""

    low: float
    high: float
    propensity_min: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Money per decision under the candidate. When refused, there is neither a value nor an interval.

    `standard_error` in the unit of the rewards; `effective_rows` is how many rows of its own traffic the record is
    worth; `weight_share_max` is the share of the heaviest row in all weights.
    """

    method: str
    rows: int
    effective_rows: float
    weight_share_max: float
    value: float | None = None
    standard_error: float | None = None
    interval: Interval | None = None
    refusal: str | None = None


METHODS: tuple[str, ...] = ("ips", "clipped", "snips", "dm", "dr", "sndr", "switch-dr")


def estimate(
    recorded: Recorded, method: str = "dr", error: float = 0.05, clip: float = 10.0, bounds: Bounds | None = None
) -> Estimate:
    """What the candidate would have earned per decision, by one of METHODS.

    "dm", "dr", "sndr" and "switch-dr" need a reward model. `clip` is the largest weight of "clipped", and the weight
    above which "switch-dr" trusts the model alone. The interval is for a report that is written once: normal, or, for
    "ips" and "clipped" with `bounds`, by empirical Bernstein, which needs no large sample. NotFound for other methods.
    """
    raise NotImplementedError


def uplift(recorded: Recorded, method: str = "dr", error: float = 0.05, clip: float = 10.0) -> Estimate:
    """The same, less what the recorded decisions did earn: row by row, so that what they share drops out."""
    raise NotImplementedError


def terms(recorded: Recorded, method: str, clip: float = 10.0) -> Floats:
    """One number per row, shape (n,): their mean is the estimate, their spread its standard error."""
    raise NotImplementedError


def always(actions: Ints, count: int) -> Floats:
    """The chances of a candidate that takes `actions` (n,) for certain: shape (n, count)."""
    raise NotImplementedError


def design(columns: Mapping[str, NDArray[np.generic]], values_max: int = 20) -> Floats:
    """Input columns (n,) each as numbers: shape (n, d), mean 0 and spread 1.

    Numbers are standardised, with missing ones at the mean and marked; others become one column for each of the
    `values_max` commonest values.
    """
    raise NotImplementedError


def reward_model(
    features: Floats, actions: Ints, rewards: Floats, count: int, folds: int = 5, penalty: float = 1.0, seed: int = 0
) -> Floats:
    """What each of `count` actions is expected to earn on each row, shape (n, count): cross-fitted ridge regression.

    `features` as from `design`. No row is predicted by a model that saw it.
    """
    raise NotImplementedError
