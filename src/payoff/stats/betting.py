"""The capped betting e-process: evidence that a stream of money has a mean below zero, valid at every look.

Someone who believes the stream loses bets on it, starting with 1. If the stream does not lose, no way of betting makes
the wealth grow in expectation, so it ever reaches 1/error with a chance of at most `error` (Ville's inequality): at
any looking schedule, under any dependence, for any distribution whose gains are bounded. Losses need no bound.

"Does not lose" is said of every decision, given those before it. Where bad and good rows come in runs that only cancel
in the long run, the stream does lose while a bad run lasts, and is stopped for it more often: see stats/blocks.

Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", arXiv:2010.09686. The five
stakes are a mixture, so nobody has to know beforehand how bad the stream is.
"""

from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

STAKES = (0.025, 0.05, 0.1, 0.2, 0.4)  # shares of the wealth put at risk on every decision
LOG_E_MAX = 700.0  # e ** 700 still is a float
_LOSS_MAX = 1e300  # a loss counts at most this many caps: log1p of it is finite, and less evidence is always allowed
_CHUNK = 262_144

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bets:
    """The state: decisions seen, and the log of the wealth of each stake.

    States of disjoint decisions add up if they bet against the same cap: shards, days and nodes may be folded apart.
    """

    n: int = 0
    logs: tuple[float, ...] = (0.0,) * len(STAKES)

    def __add__(self, other: "Bets") -> "Bets":
        return Bets(self.n + other.n, tuple(a + b for a, b in zip(self.logs, other.logs, strict=True)))

    @property
    def log_e(self) -> float:
        """The log of the mean wealth over the stakes: it cannot overflow."""
        top = max(self.logs)
        return top + log(sum(exp(wealth - top) for wealth in self.logs) / len(self.logs))

    @property
    def e_value(self) -> float:
        """Evidence against "does not lose"; at most e ** 700, where a float ends."""
        return evidence(self.log_e)


@dataclass(frozen=True, slots=True)
class Fold:
    """What a batch did: the state after it, its peak, and the first place in it where the bar was reached, or None."""

    bets: Bets
    log_e_max: float
    first: int | None
    log_e_first: float | None


def evidence(log_e: float) -> float:
    """An e-value from its log."""
    return exp(min(log_e, LOG_E_MAX))


def losses(money: Floats, cap: Floats | float) -> Floats:
    """Every amount as a loss in caps: -1 for a gain of the cap or more, above 0 for a loss.

    `money` has shape (n,), in any unit; `cap` is the most that a decision is credited with, in the same unit, above 0:
    one number, or one per decision that was fixed before that decision was known. An infinite cap is no bet.
    """
    with np.errstate(over="ignore"):
        return np.minimum(-np.minimum(money, cap) / cap, _LOSS_MAX)


def refuse_unbounded(z: Floats) -> None:
    """ValueError for a loss below -1 caps, or that is not a number."""
    if not bool(np.all(z >= -1)):
        raise ValueError("every loss must be a number of at least -1 caps; cap the gains with `losses` first")


def fold(bets: Bets, z: Floats, error: float) -> Fold:
    """Bet on every loss `z` >= -1 in order (see `losses`), and say where 1/`error` was first reached.

    Only the first crossing counts as a verdict: wealth that reached the bar may be lost again. ValueError for z < -1 or
    not a number: such a row was never bounded by the cap, so nothing would be guaranteed.
    """
    if not 0 < error < 1:
        raise ValueError(f"an error of {error} is no chance; say one above 0 and below 1")
    refuse_unbounded(z)
    bar, place = -log(error), 0
    peak, first, at_first = -np.inf, None, None
    for start in range(0, len(z), _CHUNK):
        wealth = _walk(bets, z[start : start + _CHUNK])
        log_e = _mixture(wealth)
        peak = max(peak, float(log_e.max()))
        if first is None and peak >= bar:
            place = int(np.argmax(log_e >= bar))
            first, at_first = start + place, float(log_e[place])
        bets = Bets(bets.n + len(log_e), tuple(wealth[-1].tolist()))
    return Fold(bets, peak, first, at_first)


def _walk(bets: Bets, z: Floats) -> Floats:
    """Log wealth after each decision and for each stake: shape (n, stakes)."""
    steps: NDArray[Any] = np.log1p(np.multiply.outer(z, np.array(STAKES)))
    steps[0] += bets.logs
    walked: Floats = np.cumsum(steps, axis=0)
    return walked


def _mixture(wealth: Floats) -> Floats:
    top = wealth.max(axis=1)
    mixed: Floats = top + np.log(np.exp(wealth - top[:, None]).mean(axis=1))
    return mixed
