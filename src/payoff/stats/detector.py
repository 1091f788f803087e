"""The Shiryaev-Roberts e-detector: has a stream of money that was good begun to lose?

The betting test (stats/betting) looks at everything since launch, so 1,500 good decisions have lost its wealth, and it
stops a version that turns bad far too late. Here a new bet is opened at every decision, and what all of them are worth
together is watched: R = (R + 1) (1 + stake z). As long as the stream does not lose, R grows by at most 1 per decision
in expectation, so a false stop comes after `every` decisions on average or later, whatever the distribution, under any
dependence, as long as gains are bounded. That is a mean, not a chance: watched for ever, it stops everything once.
A decision with nothing at stake (z = 0) changes nothing.

Shin, Ramdas and Rinaldo (2024), "E-detectors: a nonparametric framework for sequential change detection",
arXiv:2203.03532, definition 2.2 and theorem 2.4. The mean over the stakes of stats/betting is an e-detector too.
"""

from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.betting import STAKES, evidence, refuse_unbounded

NOTHING = -1e300  # the log of a sum without terms, finite so that it can be stored anywhere
_CHUNK = 262_144

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detector:
    """The state after a stretch of decisions, for each stake: the log of its product `growth`, the log of R `restarts`.

    Stretches that follow each other compose with `then`, in order, however they were cut.
    """

    n: int = 0
    growth: tuple[float, ...] = (0.0,) * len(STAKES)
    restarts: tuple[float, ...] = (NOTHING,) * len(STAKES)

    def then(self, later: "Detector") -> "Detector":
        """This stretch and the one after it, as one: R = P_later R_this + R_later."""
        growth = tuple(a + b for a, b in zip(self.growth, later.growth, strict=True))
        carried = np.add(self.restarts, later.growth)
        return Detector(self.n + later.n, growth, tuple(np.logaddexp(carried, later.restarts).tolist()))

    @property
    def log_r(self) -> float:
        """The log of the mean of R over the stakes: it cannot overflow. NOTHING before the first amount at stake."""
        top = max(self.restarts)
        return top + log(sum(exp(r - top) for r in self.restarts) / len(self.restarts))

    @property
    def r_value(self) -> float:
        """R itself, at most e ** 700: it takes a stream that does not lose so many decisions on average, or more."""
        return evidence(self.log_r)


@dataclass(frozen=True, slots=True)
class Detected:
    """What a batch did: the state after it, its peak, and the first place in it where the bar was reached, or None."""

    detector: Detector
    log_r_max: float
    first: int | None
    log_r_first: float | None


def detect(detector: Detector, z: Floats, every: float) -> Detected:
    """Watch every loss `z` >= -1 in order (see `losses`), and say where R first reached `every`.

    `z` has shape (n,); `every` is the mean number of decisions to a false stop that is put up with, at least 1.
    Only the first crossing counts as a verdict. ValueError for z < -1 or not a number; BadInput for
    `every` below 1.
    """
    if not every >= 1:
        raise BadInput(f"a false stop every {every} decisions is no run length; say a number of at least 1")
    refuse_unbounded(z)
    bar, peak, first, at_first = log(every), -np.inf, None, None
    for start in range(0, len(z), _CHUNK):
        detector, log_r = _walk(detector, z[start : start + _CHUNK])
        peak = max(peak, float(log_r.max()))
        if first is None and peak >= bar:
            place = int(np.argmax(log_r >= bar))
            first, at_first = start + place, float(log_r[place])
    return Detected(detector, peak, first, at_first)


def _walk(detector: Detector, z: Floats) -> tuple[Detector, Floats]:
    """The state after these decisions, and log R after each of them: shape (n,).

    With C the log growth since the start, R_t = e^C_t (R_0 + the sum over s <= t of e^-C_(s-1)).
    """
    grown = np.zeros((len(z) + 1, len(STAKES)))
    np.cumsum(np.log1p(np.multiply.outer(z, np.array(STAKES))), axis=0, out=grown[1:])
    opened = np.where((z != 0)[:, None], -grown[:-1], NOTHING)
    bets = np.logaddexp.accumulate(np.vstack([detector.restarts, opened]), axis=0)
    restarts = np.where(bets > NOTHING / 2, grown + bets, NOTHING)
    after = Detector(
        detector.n + len(z), tuple(np.add(detector.growth, grown[-1]).tolist()), tuple(restarts[-1].tolist())
    )
    top = restarts[1:].max(axis=1)
    return after, top + np.log(np.exp(restarts[1:] - top[:, None]).mean(axis=1))
