"""Intervals for the mean of bounded amounts that hold at every look, exactly: confidence sequences.

`bernstein` and `hedged` are about one mean that all rows have; `drifting` lets every row have its own.

Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", arXiv:2010.09686: the
predictable plug-in empirical Bernstein sequence (theorem 2) is kept as a few sums; the hedged betting sequence
(section 4.3), tighter for low variance, needs the rows and is for reports.

The bounds may differ from row to row if each was fixed before its row. What is covered is the mean of the amounts
after clipping them to their bounds; where a person stated the bounds, that is what is credited.
"""

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.intervals import Interval

TUNED = 0.05  # the error for which the stakes are best; the interval is right at any other too
STAKE_MAX = 0.5  # of what the range allows
_ZETA = 3.1055472779775806  # Riemann's zeta of 1.4

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bernstein:
    """A few sums over the rows that had a range. States of disjoint streams with the same mean add up.

    `n` rows; `weight` sums the stakes a (1/unit), `weighted` a x; `cost_low` and `cost_high` what the bets on either
    end cost; `total` and `deviations` (x minus the running mean, squared) choose the next stakes.
    """

    n: int = 0
    weight: float = 0.0
    weighted: float = 0.0
    cost_low: float = 0.0
    cost_high: float = 0.0
    total: float = 0.0
    deviations: float = 0.0

    def __add__(self, other: "Bernstein") -> "Bernstein":
        return Bernstein(
            self.n + other.n,
            self.weight + other.weight,
            self.weighted + other.weighted,
            self.cost_low + other.cost_low,
            self.cost_high + other.cost_high,
            self.total + other.total,
            self.deviations + other.deviations,
        )

    def interval(self, error: float = 0.05) -> Interval | None:
        """Where the mean lies; wrong at any look with a chance of at most `error`. None before the first row."""
        if not self.n:
            return None
        centre, least = self.weighted / self.weight, log(2 / error)
        return Interval(centre - (least + self.cost_low) / self.weight, centre + (least + self.cost_high) / self.weight)


def refuse_unknown(x: Floats) -> None:
    """BadInput for amounts that are not finite numbers."""
    if not bool(np.all(np.isfinite(x))):
        raise BadInput("every amount must be a finite number; leave out the rows whose value is not known")


def bernstein(state: Bernstein, x: Floats, low: Floats | float, high: Floats | float) -> Bernstein:
    """The state after rows `x`, shape (n,), clipped to [low, high]: numbers or one per row, in the unit of `x`.

    A row whose range is not finite, or empty, is left out. BadInput for x that is not a number.
    """
    walked = _walk(state, x, low, high)
    return Bernstein(int(walked[-1, 0]), *walked[-1, 1:].tolist()) if len(walked) else state


def looks(x: Floats, low: Floats | float, high: Floats | float, error: float = 0.05) -> tuple[Floats, Floats]:
    """Low and high end of the interval after each row of `x` that has a range, from the first on: for a chart."""
    _, weight, weighted, cost_low, cost_high, *_ = _walk(Bernstein(), x, low, high).T
    return (weighted - log(2 / error) - cost_low) / weight, (weighted + log(2 / error) + cost_high) / weight


def _walk(state: Bernstein, x: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """The fields of the state after each row that has a range: shape (rows, 7). Theorem 2, in the unit of x.

    Every stake, and every guess that keeps its cost low, knows only the rows before its own; the first is the end.
    """
    refuse_unknown(x)
    low, high = np.broadcast_to(low, x.shape), np.broadcast_to(high, x.shape)
    known = np.isfinite(low) & np.isfinite(high) & (high > low)
    low, high = low[known], high[known]
    x, width = np.clip(x[known], low, high), high - low
    t = state.n + np.arange(1, len(x) + 1)
    totals = state.total + np.append(0.0, np.cumsum(x))
    means = ((low + high) / 2 + totals[1:]) / (t + 1)
    deviations = state.deviations + np.append(0.0, np.cumsum((x - means) ** 2))
    stake = _stake(t, 0.25 + deviations[:-1] / width**2, TUNED, STAKE_MAX)
    guess = np.clip(totals[:-1] / np.maximum(t - 1, 1), low, high)
    price = (-np.log1p(-stake) - stake) / width**2
    costs = [price * (x - np.where(t == 1, end, guess)) ** 2 for end in (low, high)]
    steps = np.stack([np.ones(len(x)), stake / width, stake / width * x, *costs], axis=1)
    start = (state.n, state.weight, state.weighted, state.cost_low, state.cost_high)
    return np.column_stack([start + np.cumsum(steps, axis=0), totals[1:], deviations[1:]])


def _stake(t: NDArray[np.integer[Any]], squares: Floats, error: float, most: Floats | float) -> Floats:
    """The predictable plug-in stakes (eq. 15 and 26): `squares` are those before row t, in ranges squared."""
    stake: Floats = np.minimum(most, np.sqrt(2 * log(2 / error) / (squares * np.log1p(t))))
    return stake


def drifting(x: Floats, width: float, error: float = 0.05) -> Interval | None:
    """Where the average of the means of all rows but the first lies, at any look, though every row may have its own.

    `x` has shape (n,), in order and in any unit; no amount is ever further than `width` from another. The world may
    change as it likes: what is covered is what these rows could be expected to come to, and the average of the rows
    themselves always lies inside. None for fewer than two rows.

    Howard, Ramdas, McAuliffe and Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence sequences",
    arXiv:1810.08240: empirical Bernstein (theorem 4) with a polynomial stitched boundary (eq. 10), s = 1.4, eta = 2.
    """
    refuse_unknown(x)
    if len(x) < 2 or not width > 0:
        return None
    guesses = np.cumsum(x)[:-1] / np.arange(1, len(x))
    squares = float(np.square(x[1:] - guesses).sum())
    mean, half = float(x[1:].mean()), stitched(squares, error / 2, width**2, width) / (len(x) - 1)
    return Interval(mean - half, mean + half)


def stitched(v: float, error: float, least: float, scale: float) -> float:
    """The polynomial stitched boundary: a sub-gamma sum of variance `v` and this scale ever crosses it with a chance of
    at most `error`, from v = `least` on (eq. 10 of the same paper)."""
    v = max(v, least)
    k1, k2 = (2**0.25 + 2**-0.25) / sqrt(2), (sqrt(2) + 1) / 2
    told = 1.4 * log(log(v / least) / log(2) + 1) + log(_ZETA / error)
    return sqrt(k1**2 * v * told + (k2 * scale * told) ** 2) + k2 * scale * told


def hedged(x: Floats, error: float = 0.05, low: float = 0.0, high: float = 1.0, breaks: int = 1_000) -> Interval:
    """The hedged betting interval after all of `x`, shape (n,), clipped to [low, high]: intersected over all looks.

    To one part in `breaks` of the range, rounded outwards. It may be read at any row, like the other.
    """
    refuse_unknown(x)
    if not high > low:
        raise BadInput(f"[{low}, {high}] is no range; say one with its low end first")
    share = (np.clip(x, low, high) - low) / (high - low)
    bottom, top = (_first_kept(side, error, breaks) for side in (share, 1 - share))
    return Interval(low + bottom * (high - low), low + (1 - top) * (high - low))


def _first_kept(share: Floats, error: float, breaks: int) -> float:
    """The largest tried mean, of k / breaks, at or below which every mean has been ruled out; 0 if none has.

    The wealth of whoever bets that the mean is higher than m falls in m, at every row, so one search will do.
    """
    t = np.arange(1, len(share) + 1)
    squares = 0.25 + np.cumsum((share - (0.5 + np.cumsum(share)) / (t + 1)) ** 2)
    stakes = _stake(t, np.append(0.25, squares)[: len(share)], error, np.inf)
    ruled_out, kept = 0, breaks
    while kept - ruled_out > 1:
        middle = (ruled_out + kept) // 2
        mean = middle / breaks
        wealth = np.cumsum(np.log1p(np.minimum(stakes, STAKE_MAX / mean) * (share - mean)))
        if len(wealth) and float(wealth.max()) >= log(2 / error):
            ruled_out = middle
        else:
            kept = middle
    return ruled_out / breaks
