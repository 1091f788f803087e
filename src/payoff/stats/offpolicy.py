"""What a candidate would have earned on recorded traffic, from decisions that another policy took by chance.

Every recorded decision has its propensity: the chance with which it was taken. Rows on which the candidate would have
decided the same are weighted by how much more often it would. Where candidate and record have too little in common
there is no answer, and `Estimate.refusal` says why.

Horvitz and Thompson (1952): "ips"; Swaminathan and Joachims (2015): "snips"; Dudik, Langford and Li (2011),
arXiv:1103.4601: "dm", "dr"; Wang, Agarwal and Dudik (2017), arXiv:1612.01205: "switch-dr"; Maurer and Pontil (2009),
arXiv:0907.3740, theorem 4: the interval of bounded terms. Cross-fitting: Chernozhukov et al. (2018).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput, NotFound
from payoff.stats.intervals import Interval, Sums

EFFECTIVE_ROWS_MIN = 100.0
WEIGHT_SHARE_MAX = 0.05

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
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

    def __post_init__(self) -> None:
        rows, shape = self.actions.shape, self.candidate.shape
        if len(shape) != 2 or not rows == self.rewards.shape == self.propensities.shape == shape[:1]:
            raise BadInput(f"{rows[0]} actions, but the candidate's chances have shape {shape}; send one row for each")
        if self.predicted is not None and self.predicted.shape != shape:
            raise BadInput(f"rewards are predicted for {self.predicted.shape}, expected {shape}, as the candidate's")
        if not bool(np.all((self.actions >= 0) & (self.actions < shape[1]))):
            raise BadInput(f"an action lies outside 0 to {shape[1] - 1}; number the actions as the candidate's columns")
        if not bool(np.all((self.propensities > 0) & (self.propensities <= 1))):
            raise BadInput("a propensity is not above 0 and at most 1; leave out rows whose chance was not recorded")
        if not bool(np.all((self.candidate >= 0) & (np.abs(self.candidate.sum(axis=1) - 1) < 1e-6)[:, None])):
            raise BadInput("the candidate's chances of a row are not chances that sum to 1")
        if not (np.isfinite(self.rewards).all() and (self.predicted is None or np.isfinite(self.predicted).all())):
            raise BadInput("a reward, recorded or predicted, is not finite; leave such rows out")

    @property
    def weights(self) -> Floats:
        """How much more often the candidate takes the action of each row, shape (n,)."""
        taken: Floats = np.take_along_axis(self.candidate, self.actions[:, None], axis=1)[:, 0]
        return taken / self.propensities

    @property
    def expected(self) -> tuple[Floats, Floats]:
        """By the reward model, (n,) both: of the action taken, and under the candidate. BadInput without a model."""
        if self.predicted is None:
            raise BadInput("this method needs predicted rewards; make them with `reward_model`, or use ips or snips")
        taken: Floats = np.take_along_axis(self.predicted, self.actions[:, None], axis=1)[:, 0]
        return taken, np.sum(self.candidate * self.predicted, axis=1)


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


def estimate(
    recorded: Recorded, method: str = "dr", error: float = 0.05, clip: float = 10.0, bounds: Bounds | None = None
) -> Estimate:
    """What the candidate would have earned per decision, by one of METHODS.

    "dm", "dr", "sndr" and "switch-dr" need a reward model. `clip` is the largest weight of "clipped", and the weight
    above which "switch-dr" trusts the model alone. The interval is for a report that is written once: normal, or, for
    "ips" and "clipped" with `bounds`, by empirical Bernstein, which needs no large sample. What clipping takes away and
    what the model of "dm" gets wrong is in no interval. NotFound for other methods.
    """
    found = _value(recorded, terms(recorded, method, clip), method, error)
    if bounds is None or found.value is None:
        return found
    if method not in ("ips", "clipped"):
        raise BadInput(f"bounds make an interval for ips and clipped only; leave them out for {method}")
    return replace(found, interval=_bernstein(recorded, terms(recorded, method, clip), method, error, clip, bounds))


def uplift(recorded: Recorded, method: str = "dr", error: float = 0.05, clip: float = 10.0) -> Estimate:
    """The same, less what the recorded decisions did earn: row by row, so that what they share drops out."""
    return _value(recorded, terms(recorded, method, clip) - recorded.rewards, method, error)


def terms(recorded: Recorded, method: str, clip: float = 10.0) -> Floats:
    """One number per row, shape (n,): their mean is the estimate, their spread its standard error."""
    if method not in METHODS:
        raise NotFound(f"no off-policy method called {method!r}; there are: {', '.join(METHODS)}")
    return METHODS[method](recorded, clip)


def _ips(recorded: Recorded, _: float) -> Floats:
    return recorded.weights * recorded.rewards


def _clipped(recorded: Recorded, clip: float) -> Floats:
    return np.minimum(recorded.weights, clip) * recorded.rewards


def _snips(recorded: Recorded, _: float) -> Floats:
    return weighted(recorded.weights, recorded.rewards)


def _dm(recorded: Recorded, _: float) -> Floats:
    return recorded.expected[1]


def _dr(recorded: Recorded, _: float) -> Floats:
    taken, under = recorded.expected
    return under + recorded.weights * (recorded.rewards - taken)


def _sndr(recorded: Recorded, _: float) -> Floats:
    taken, under = recorded.expected
    return under + weighted(recorded.weights, recorded.rewards - taken)


def _switch(recorded: Recorded, clip: float) -> Floats:
    taken, under = recorded.expected
    weights = recorded.weights
    return under + np.where(weights <= clip, weights, 0.0) * (recorded.rewards - taken)


def weighted(weights: Floats, values: Floats) -> Floats:
    """Terms with the weighted mean as their mean, and the spread of that ratio (delta method)."""
    if not weights.sum():
        return np.zeros_like(values)
    mean = weights @ values / weights.sum()
    terms: Floats = mean + weights * (values - mean) / weights.mean()
    return terms


METHODS: dict[str, Callable[[Recorded, float], Floats]] = {
    "ips": _ips,
    "clipped": _clipped,
    "snips": _snips,
    "dm": _dm,
    "dr": _dr,
    "sndr": _sndr,
    "switch-dr": _switch,
}


def _value(recorded: Recorded, terms: Floats, method: str, error: float) -> Estimate:
    weights, sums = recorded.weights, Sums.of(terms)
    whole = float(weights.sum())
    effective = whole * whole / float(weights @ weights) if whole else 0.0
    share = float(weights.max()) / whole if whole else 0.0
    found = Estimate(method, sums.n, effective, share, refusal=_refusal(sums.n, effective, share))
    if found.refusal:
        return found
    deviation = sqrt(sums.variance / sums.n)
    half = NormalDist().inv_cdf(1 - error / 2) * deviation
    return replace(
        found, value=sums.mean, standard_error=deviation, interval=Interval(sums.mean - half, sums.mean + half)
    )


def _refusal(rows: int, effective: float, share: float) -> str | None:
    if not effective:
        return (
            f"on none of {rows} recorded rows would the candidate decide as was decided: the record says nothing about "
            "it; let some traffic be decided at random, or send it some as a canary"
        )
    if effective < EFFECTIVE_ROWS_MIN:
        return (
            f"{rows} recorded rows are worth {effective:.0f} of the candidate's own, and {EFFECTIVE_ROWS_MIN:.0f} are "
            "the least; record more, or explore more"
        )
    if share > WEIGHT_SHARE_MAX:
        return (
            f"one row carries {share:.0%} of all weight, and {WEIGHT_SHARE_MAX:.0%} is the most: the answer would be "
            "that row's; record more, or explore more"
        )
    return None


def _bernstein(recorded: Recorded, terms: Floats, method: str, error: float, clip: float, bounds: Bounds) -> Interval:
    """Maurer and Pontil (2009), theorem 4, on both sides, scaled to where the terms can lie."""
    inside = (recorded.rewards >= bounds.low) & (recorded.rewards <= bounds.high)
    if not bool(np.all(inside & (recorded.propensities >= bounds.propensity_min))):
        raise BadInput(f"a row lies outside its bounds {bounds}; state bounds that hold for all rows")
    heaviest = 1 / bounds.propensity_min if method == "ips" else min(clip, 1 / bounds.propensity_min)
    width = heaviest * (max(bounds.high, 0.0) - min(bounds.low, 0.0))
    sums, far = Sums.of(terms), log(4 / error)
    half = sqrt(2 * sums.variance * far / sums.n) + 7 * width * far / (3 * (sums.n - 1))
    return Interval(sums.mean - half, sums.mean + half)


def always(actions: Ints, count: int) -> Floats:
    """The chances of a candidate that takes `actions` (n,) for certain: shape (n, count)."""
    chances: Floats = (actions[:, None] == np.arange(count)).astype(np.float64)
    return chances


def design(columns: Mapping[str, NDArray[np.generic]], values_max: int = 20) -> Floats:
    """Input columns (n,) each as numbers: shape (n, d), mean 0 and spread 1.

    Numbers are standardised, with missing ones at the mean and marked; others become one column for each of the
    `values_max` commonest values. What never changes is left out. BadInput without columns.
    """
    if not columns:
        raise BadInput("there is no input column to learn rewards from; name at least one")
    parts = [
        _numbers(c.astype(np.float64)) if c.dtype.kind in "biuf" else _values(c, values_max) for c in columns.values()
    ]
    table = np.column_stack(parts)
    spread = table.std(axis=0)
    moving = spread > 1e-12 * np.abs(table).max(axis=0, initial=0.0)
    scaled: Floats = (table[:, moving] - table[:, moving].mean(axis=0)) / spread[moving]
    return scaled


def _numbers(column: Floats) -> Floats:
    """A column of numbers, and which were missing: shape (n, 2)."""
    there = np.isfinite(column)
    middle = column[there].mean() if there.any() else 0.0
    return np.column_stack([np.where(there, column, middle), ~there])


def _values(column: NDArray[np.generic], values_max: int) -> Floats:
    """One column for each of the commonest values: shape (n, at most values_max)."""
    _, places, counts = np.unique(column.astype(str), return_inverse=True, return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:values_max]
    chosen: Floats = (places[:, None] == commonest).astype(np.float64)
    return chosen


def reward_model(
    features: Floats, actions: Ints, rewards: Floats, count: int, folds: int = 5, penalty: float = 10.0, seed: int = 0
) -> Floats:
    """What each of `count` actions is expected to earn on each row, shape (n, count): cross-fitted ridge regression.

    `features` (n, d) as from `design`. No row is predicted by a model that saw it. One line is fitted to all actions,
    and each action's own departure from it is pulled to 0 with the weight of `penalty` rows, so that an action seldom
    taken is expected to earn what the others do. BadInput for fewer rows than folds.
    """
    if not 2 <= folds <= len(rewards):
        raise BadInput(f"{len(rewards)} rows cannot be cut into {folds} folds; say 2 or more, and send more rows")
    x = np.column_stack([np.ones(len(rewards)), features])
    fold = np.random.default_rng(seed).permutation(len(rewards)) % folds
    squares, products = np.zeros((folds, count, *x.shape[1:] * 2)), np.zeros((folds, count, x.shape[1]))
    for part, action in np.ndindex(folds, count):
        rows = (fold == part) & (actions == action)
        squares[part, action], products[part, action] = x[rows].T @ x[rows], x[rows].T @ rewards[rows]
    predicted = np.empty((len(rewards), count))
    for part in range(folds):
        lines = _lines(squares.sum(axis=0) - squares[part], products.sum(axis=0) - products[part], penalty)
        predicted[fold == part] = x[fold == part] @ lines.T
    return predicted


def _lines(squares: Floats, products: Floats, penalty: float) -> Floats:
    """The coefficients of each action (k, p), from sums of squares (k, p, p) and of products with rewards (k, p)."""
    pull = penalty * np.eye(products.shape[1])
    free = np.diag([1e-9, *np.diag(pull)[1:]])
    shared = np.linalg.solve(squares.sum(axis=0) + free, products.sum(axis=0))
    own = np.linalg.solve(squares + pull, (products - squares @ shared)[:, :, None])[:, :, 0]
    lines: Floats = shared + own
    return lines
