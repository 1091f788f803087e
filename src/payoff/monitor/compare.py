"""What decisions earned per decision, and how much more than others', with intervals that hold at every look.

Every interval here is made of matured rows in the order of the decisions, anew at each look, so that corrections are in
it. Its range is learned from earlier rows (stats/ranges). Nothing is compared without saying with what:

- the same rows, as the fallback would have decided them: paired, where the outcome does not depend on the decision;
- other rows, drawn at random to the other side: the hold-out, the champion. A row counts by the chance that it had of
  coming to its side, so shares may change in between. The mean of all rows before is taken off first; with a covariate,
  the part of the money that follows it as well (CUPED: Deng et al. 2013, eq. 4, with a slope learned from earlier rows
  only). Both are fixed before a row is drawn, so the mean stays what it was, and most of the noise goes;
- earlier rows, of whoever answered then: that is not causal, and is said so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from payoff.monitor.docket import Shares
from payoff.monitor.matured import HOLDOUT, Flags, Matured
from payoff.stats.bounded import Bernstein, bernstein, drifting
from payoff.stats.covariate import Pair, noise_left
from payoff.stats.intervals import Interval
from payoff.stats.ranges import BLOCK, BURN_IN, Range, ranges

ERROR = 0.05
_ROWS_BEFORE = 10  # rows of an arm before its mean says more than that of all

Floats = NDArray[np.float64]


class Baseline(StrEnum):
    """Compared with what; the best that there is comes first."""

    HOLDOUT = "holdout"
    FALLBACK = "fallback"
    CHAMPION = "champion"
    BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Mean:
    """Money per decision over `n` rows in units, and where its mean lies, except with a chance of the error asked for.

    `interval` is None while too few rows are there to learn a range from.
    """

    n: int
    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Effect:
    """How much more per decision `mine` rows earned than `others` did, in units. `kind` says how they compare.

    `noise_left` is the share of the variance that the covariate left, None without one.
    """

    kind: Baseline
    baseline: str
    mine: int
    others: int
    mean: Mean
    others_cost: float = 0.0  # computing and fees of one of the others' decisions
    noise_left: float | None = None

    @property
    def causal(self) -> bool:
        """Whether the decision is all that differs between both sides."""
        return self.kind is not Baseline.BEFORE


def mean(x: Floats, error: float = ERROR, cap: float | None = None) -> Mean:
    """The mean of amounts in order, shape (n,), finite; `cap` is a bound from above that was stated beforehand.

    A cap that an amount exceeded was none: it is left out, and the learned range is used alone. The interval takes all
    rows to have one mean; where they came to something outside of it, it is stretched to there.
    """
    if not len(x):
        return Mean(0, 0.0, None)
    _, blocks, low, high = ranges(Range(), x)
    top = high if cap is None or float(x.max()) > cap else np.minimum(high, cap)
    found, came = bernstein(Bernstein(), blocks, low, top).interval(error), float(x.mean())
    return Mean(len(x), came, found and Interval(min(found.low, came), max(found.high, came)))


def expected(x: Floats, error: float = ERROR) -> Mean:
    """The same, with an interval about what these rows could be expected to come to: no row need be like another."""
    _, blocks, low, high = ranges(Range(), x)
    if not len(blocks) or not np.isfinite(high[-1]):
        return Mean(len(x), float(x.mean()) if len(x) else 0.0, None)
    width = max(float(high[-1] - low[-1]), float(np.ptp(blocks)))
    return Mean(len(x), float(x.mean()), drifting(blocks, width, error))


def paired(rows: Matured, side: str, shadow: bool = False, error: float = ERROR, cap: float | None = None) -> Effect:
    """A version against the fallback's decision on the same rows: those it answered, or those it watched."""
    own = (rows.arm == side) & (rows.shadow == shadow)
    gains = (rows.worth - rows.fallback)[own]
    gains = gains[np.isfinite(gains)]
    return Effect(Baseline.FALLBACK, "the fallback on the same rows", len(gains), len(gains), mean(gains, error, cap))


def randomised(
    rows: Matured,
    side: str,
    other: str,
    shares: Mapping[int, Shares],
    error: float = ERROR,
    covariate: Floats | None = None,
    net: bool = False,
) -> Effect | None:
    """A version against the rows that were drawn to another side at the same time; None where either has none.

    `net` takes computing and fees off each decision. `covariate` has shape (n,), in any unit, NaN where not known.
    """
    both, own, chance, x = _drawn(rows, side, other, shares, covariate)
    if not own.any() or own.all():
        return None
    money, left = (both.worth - both.cost if net else both.worth), None
    if x is not None and bool(np.isfinite(x).any()):
        money, left = _adjusted(money, x, own)
    weight = np.where(own, 1 / chance, -1 / (1 - chance))
    kind = Baseline.HOLDOUT if other == HOLDOUT else Baseline.CHAMPION
    share = shares[int(both.revision[-1])].sides[other]
    name = f"the {100 * share:.4g}% hold-out" if other == HOLDOUT else other or "the fallback"
    told = mean(weight * (money - _centre(money)), error)
    return Effect(kind, name, int(own.sum()), int((~own).sum()), told, float(both.cost[~own].mean()), left)


def beside(rows: Matured, side: str, other: str, error: float = ERROR) -> Effect | None:
    """Two versions on the rows that both were asked about, whoever answered; None where there are none."""
    one, two = (rows.take((rows.arm == name) & np.isfinite(rows.worth)) for name in (side, other))
    _, mine, theirs = np.intersect1d(one.ids, two.ids, assume_unique=True, return_indices=True)
    if not len(mine):
        return None
    told = mean(one.worth[mine] - two.worth[theirs], error)
    cost = float(two.cost[theirs].mean())
    return Effect(Baseline.CHAMPION, f"{other} on the same rows", len(mine), len(mine), told, cost)


def before(rows: Matured, side: str, error: float = ERROR) -> Effect | None:
    """A version against whoever answered before its first decision. Not causal: the times differ too."""
    answered = rows.take(~rows.shadow & np.isfinite(rows.worth))
    mine = np.flatnonzero(answered.side == side)
    if not len(mine) or not mine[0]:
        return None
    earlier = answered.take(slice(0, int(mine[0])))
    one, other = mean(answered.worth[mine], error / 2), mean(earlier.worth, error / 2)
    between = None
    if one.interval is not None and other.interval is not None:
        between = Interval(one.interval.low - other.interval.high, one.interval.high - other.interval.low)
    told = Mean(one.n, one.value - other.value, between)
    return Effect(Baseline.BEFORE, "what answered before it", one.n, other.n, told, float(earlier.cost.mean()))


def how(n: int) -> str:
    """What the interval rests on, or why there is none yet."""
    if n < BLOCK * (BURN_IN + 1):
        told = f"{n:,} decisions have matured with none before them missing"
        return f"{told}, and the first {BLOCK * BURN_IN} only teach how far amounts range"
    return "the range of amounts is learned from earlier decisions"


def _drawn(
    rows: Matured, side: str, other: str, shares: Mapping[int, Shares], covariate: Floats | None
) -> tuple[Matured, Flags, Floats, Floats | None]:
    """The rows of both sides from revisions in which both had a share: which are the first's, and their chance to be.

    What was decided at random was decided by neither.
    """
    numbers, place = np.unique(rows.revision, return_inverse=True)
    own = [shares.get(int(number), Shares({})) for number in numbers]
    p, q = (np.array([each.own(name) for each in own])[place] for name in (side, other))
    known = np.isfinite(rows.worth) & ~rows.shadow & ~rows.explored
    both = known & (p > 0) & (q > 0) & ((rows.side == side) | (rows.side == other))
    found = rows.take(both)
    return found, found.side == side, p[both] / (p + q)[both], None if covariate is None else covariate[both]


def _adjusted(money: Floats, x: Floats, own: Flags) -> tuple[Floats, float]:
    """Money without the part that follows the covariate, by what rows before showed; and the noise that this leaves."""
    known = np.isfinite(x)
    pairs = [Pair.of(x[known & mine], money[known & mine]) for mine in (own, ~own)]
    x = np.where(known, x - x[known][0], 0.0)
    n = np.cumsum(known) - known
    away = np.where(known, x - _mean(n, _earlier(x)), 0.0)
    return money - _slopes(n, x, np.where(known, money, 0.0)) * away, noise_left(*pairs)


def _slopes(n: NDArray[np.int64], x: Floats, y: Floats) -> Floats:
    """How much y moves with x over all rows before each row, of which `n` count; 0 while there are few."""
    x_sum, y_sum = _earlier(x), _earlier(y)
    spread = _earlier(x * x) - x_sum * _mean(n, x_sum)
    together = _earlier(x * y) - x_sum * _mean(n, y_sum)
    told = (n >= _ROWS_BEFORE) & (spread > 1e-12 * np.maximum(1.0, _earlier(x * x)))
    return np.divide(together, spread, out=np.zeros(len(x)), where=told)


def _centre(x: Floats) -> Floats:
    """The mean of all rows before each row; 0 at the first."""
    return _mean(np.arange(len(x)), _earlier(x))


def _earlier(x: Floats) -> Floats:
    """The sum of all rows before each row."""
    return np.concatenate([[0.0], np.cumsum(x)[:-1]])


def _mean(n: NDArray[np.int64], total: Floats) -> Floats:
    return np.divide(total, n, out=np.zeros(len(total)), where=n > 0)
