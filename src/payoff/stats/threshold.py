"""What another decision threshold would have earned, and how sure that is. It informs; it sets nothing by itself.

A row is decided "yes" when its score reaches the threshold. For every matured row both values are known: what a yes
and what a no earns, so this is for outcomes that do not depend on the decision.

The best threshold of a sample flatters itself: what it would add is therefore measured on rows that did not choose it.
Where the best one lies is told by a test, not by resampling: the place of a maximum moves with the cube root of the
rows, and the bootstrap does not know (Kim and Pollard 1990; Abrevaya and Huang 2005). On 1,000 simulated loans, 200
times over, at 95 %: this interval holds the best threshold in 95 to 100 %, a bootstrap one in 86 to 97 %, fewest where
losses are rare and large. The price is that it is nearly twice as wide.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.intervals import Interval, Sums
from payoff.stats.offpolicy import weighted

ROWS_MIN = 20
FOLDS = 5
_PLACES = 200  # thresholds that are tested for being the best one
_WALKS = 500  # simulated, for the critical value of each

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Money per decision at each threshold. `thresholds` rise; the first says yes to all rows, the last to none.

    Both of shape (m,), m at most the asked number of points plus 1.
    """

    thresholds: Floats
    profit: Floats
    rows: int

    @property
    def best(self) -> float:
        """The threshold with the most money; the lowest of several."""
        return float(self.thresholds[np.argmax(self.profit)])

    def at(self, threshold: float) -> float:
        """Money per decision at any threshold: that of the next point of the curve."""
        place = min(int(np.searchsorted(self.thresholds, threshold)), len(self.profit) - 1)
        return float(self.profit[place])


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold beside the present one; money per decision in the unit of the values.

    `left` is what is left on the table at present: measured on rows that did not choose the threshold, it may be below
    0, and then there is nothing to gain. `left_interval` is for the gain of the best threshold of all, `best_interval`
    for that threshold; both are for a report that is written once.
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
        return self.left_interval.low > 0


def curve(scores: Floats, yes: Floats, no: Floats, weights: Floats | None = None, points: int = 1_000) -> Curve:
    """The profit curve. All of shape (n,): score, money if yes, money if no, and how many rows each row stands for.

    With more distinct scores than `points`, about as many rows lie between each two of them. BadInput without rows, for
    other shapes, and for what is not finite.
    """
    return _curve(_Rows.of(scores, yes, no, weights), points)


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

    Chosen on four fifths of the rows and valued on the fifth, five times. BadInput as in `curve`, and under ROWS_MIN
    rows.
    """
    rows = _Rows.of(scores, yes, no, weights)
    if len(scores) < ROWS_MIN:
        raise BadInput(f"{len(scores)} rows suggest no threshold; wait for at least {ROWS_MIN} matured ones")
    if np.isnan(present) or not 0 < error < 1:
        raise BadInput(f"a present threshold of {present} or an error of {error} is no number that can be used")
    rng = np.random.default_rng(seed)
    left, left_interval = _left(rows, present, error, rng)
    return Suggestion(
        rows=len(scores),
        present=present,
        present_profit=float(rows.weights @ np.where(rows.scores >= present, rows.no + rows.gain, rows.no)),
        best=_curve(rows, 1_000).best,
        best_interval=_best(rows, error, rng),
        left=left,
        left_interval=left_interval,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows by rising score: money if no, what a yes adds to it, and weights that sum to 1. All of shape (n,)."""

    scores: Floats
    no: Floats
    gain: Floats
    weights: Floats

    @classmethod
    def of(cls, scores: Floats, yes: Floats, no: Floats, weights: Floats | None) -> "_Rows":
        weights = np.ones(len(scores)) if weights is None else weights
        if not (scores.ndim == 1 and scores.shape == yes.shape == no.shape == weights.shape and len(scores)):
            raise BadInput(f"{len(scores)} scores, {len(yes)} and {len(no)} values: send one of each per row, and rows")
        if not all(np.isfinite(part).all() for part in (scores, yes, no, weights)):
            raise BadInput("a score, value or weight is not finite; leave out rows without a value")
        if weights.min() < 0 or not weights.sum() > 0:
            raise BadInput("weights are how many rows a row stands for: none below 0, and not all of them 0")
        order = np.argsort(scores, kind="stable")
        return cls(scores[order], no[order], (yes - no)[order], weights[order] / weights.sum())

    def where(self, chosen: NDArray[np.bool_]) -> "_Rows":
        """Some of them; their weights then sum to less than 1."""
        return _Rows(self.scores[chosen], self.no[chosen], self.gain[chosen], self.weights[chosen])

    def starts(self, points: int) -> NDArray[np.intp]:
        """The first row of each piece of the curve: of every score, or of `points` that share the rows alike."""
        starts = np.concatenate([[0], np.flatnonzero(np.diff(self.scores)) + 1])
        if len(starts) > points:
            even = self.scores[np.arange(points) * len(self.scores) // points]
            starts = np.unique(np.searchsorted(self.scores, even))
        return starts

    def thresholds(self, starts: NDArray[np.intp]) -> Floats:
        """One at each start, and one above all scores."""
        return np.append(self.scores[starts], np.nextafter(self.scores[-1], np.inf))


def _curve(rows: _Rows, points: int) -> Curve:
    starts = rows.starts(points)
    gains = np.add.reduceat(rows.weights * rows.gain, starts)
    above = np.append(np.cumsum(gains[::-1])[::-1], 0.0)
    return Curve(rows.thresholds(starts), rows.weights @ rows.no + above, len(rows.scores))


def _left(rows: _Rows, present: float, error: float, rng: np.random.Generator) -> tuple[float, Interval]:
    """What each fold would have earned more at the threshold that the others chose, and an interval for the best one.

    Low: the best one earns at least as much as the chosen ones do. High: the best one is some threshold, so the highest
    of the upper bounds of all thresholds holds for it.
    """
    fold, more = rng.permutation(len(rows.scores)) % FOLDS, np.empty(len(rows.scores))
    for part in range(FOLDS):
        here = fold == part
        best = _curve(rows.where(~here), 1_000).best
        moved = (rows.scores >= best).astype(np.float64) - (rows.scores >= present)
        more[here] = (rows.gain * moved)[here]
    sums, reach = Sums.of(weighted(rows.weights, more)), NormalDist().inv_cdf(1 - error / 2)
    walk, clock = _walk(rows, np.arange(len(rows.scores)))
    here = int(np.searchsorted(rows.scores, present))
    high = np.max(walk[here] - walk + reach * np.sqrt(np.abs(clock - clock[here])))
    return sums.mean, Interval(sums.mean - reach * sqrt(sums.variance / sums.n), float(high))


def _best(rows: _Rows, error: float, rng: np.random.Generator) -> Interval:
    """From the first to the last threshold that no other one beats for certain, and one more on each side.

    A threshold is beaten when another one's lead over it, in standard errors, is more than the largest lead that a walk
    without drift has in all but `error` of cases.
    """
    starts = rows.starts(_PLACES)
    walk, clock = _walk(rows, starts)
    noise = np.zeros((_WALKS, len(walk)))
    np.cumsum(np.sqrt(np.diff(clock)) * rng.standard_normal((_WALKS, len(starts))), axis=1, out=noise[:, 1:])
    one, all_of_them = (NormalDist().inv_cdf(1 - error / count) for count in (1, len(walk)))

    def stands(place: int) -> bool:
        lead = float(_leads(walk[None], clock, place)[0])
        if not one < lead <= all_of_them:  # what a walk has lies between the two: no need to look
            return lead <= one
        return lead <= float(np.quantile(_leads(noise, clock, place), 1 - error))

    first = next(place for place in range(len(walk)) if stands(place))
    last = next(place for place in reversed(range(len(walk))) if stands(place))
    thresholds = rows.thresholds(starts)
    return Interval(float(thresholds[max(first - 1, 0)]), float(thresholds[min(last + 1, len(starts))]))


def _walk(rows: _Rows, starts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """What is lost by saying no to the rows before each start, and to all: its sum, and its variance; (m + 1,) both.

    Between two thresholds lie the rows on which they differ, so this is a walk with independent steps.
    """
    steps = rows.weights * rows.gain
    walk, clock = (np.cumsum(np.add.reduceat(part, starts)) for part in (steps, np.square(steps)))
    return np.append(0.0, walk), np.append(0.0, clock)


def _leads(walks: Floats, clock: Floats, place: int) -> Floats:
    """The largest lead of any threshold over the one at `place`, in standard errors: shape (walks,)."""
    apart = np.sqrt(np.abs(clock - clock[place]))
    lead = walks[:, place : place + 1] - walks
    scaled: Floats = np.divide(lead, apart, out=np.zeros_like(lead), where=apart > 0)
    largest: Floats = scaled.max(axis=1)
    return largest
