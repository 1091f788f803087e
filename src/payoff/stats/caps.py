"""How much one decision may be credited with, when nobody said: a cap learned from earlier decisions only.

The betting test needs a bound on gains, fixed before each decision is known. A number that a person states beforehand
(a contract, a price list) is best: then the error rate holds exactly for the credited gain, without any assumption.
A stated cap below real gains is legal and harsh: it judges a version by less than it earns.

Without one, the cap of a decision is the larger of

- FACTOR times the largest gain seen before it, and
- RATIO times the mean loss seen before it, divided by (1 + gains seen / PATIENCE) squared: as long as few gains have
  been seen, a gain many times a usual loss may still come; the more have been seen, the less likely.

The first BURN_IN decisions, and all before the first gain or loss, are looked at and not bet on.

What is guaranteed: the cap never looks ahead, so for a stream whose credited gain (the part below the cap) is never
negative in expectation given the past, a false verdict has a chance of at most `error`, exactly. What is only measured:
how often a stream that breaks even thanks to gains above the cap is taken for a loser. `benchmarks/verdicts.py` has the
table: within 1 % at a nominal 1 %, within 5 % at a nominal 5 %, for normal, lognormal (sigma 1 and 2), Student t (2.1)
and two-point (1 in 30, 1 in 100) gains over 3,000 decisions.

What no rule can do: a gain that is rarer than anything seen so far leaves no trace before it comes. A stream that
breaks even on one gain in 300, or that mixes usual small gains with a rare one many times larger, is often stopped
before. For such an endpoint, state a cap.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACTOR = 2.0
RATIO = 40.0
PATIENCE = 10.0
BURN_IN = 30

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """What earlier decisions showed, costs aside. It only grows; two of them do not merge: the order matters."""

    n: int = 0
    gains: int = 0
    gain_max: float = 0.0
    losses: int = 0
    loss_sum: float = 0.0

    @property
    def cap(self) -> float:
        """The cap that holds for the next decision; infinite while nothing is bet."""
        return float(
            _rule(*(np.array([float(x)]) for x in (self.n, self.gains, self.gain_max, self.losses, self.loss_sum)))[0]
        )


def caps(seen: Seen, swings: Floats) -> tuple[Seen, Floats]:
    """The cap of each decision, from those before it, and what has been seen after all of them.

    `swings` has shape (n,): what each decision made or lost before compute, so that a row on which nothing was at
    stake teaches nothing, however small its cost.
    """
    won, lost = np.maximum(swings, 0.0), np.maximum(-swings, 0.0)
    gains = seen.gains + np.cumsum(swings > 0)
    gain_max = np.maximum(seen.gain_max, np.maximum.accumulate(won)) if len(won) else won
    losses = seen.losses + np.cumsum(swings < 0)
    loss_sum = seen.loss_sum + np.cumsum(lost)
    n = seen.n + np.arange(len(swings), dtype=np.float64)
    before = _rule(
        n,
        _before(seen.gains, gains),
        _before(seen.gain_max, gain_max),
        _before(seen.losses, losses),
        _before(seen.loss_sum, loss_sum),
    )
    if not len(swings):
        return seen, before
    after = Seen(seen.n + len(swings), int(gains[-1]), float(gain_max[-1]), int(losses[-1]), float(loss_sum[-1]))
    return after, before


def _before(start: float, after: NDArray[np.generic]) -> Floats:
    """The same running figure, one decision earlier."""
    return np.concatenate([[start], after[:-1]]).astype(np.float64) if len(after) else np.empty(0)


def _rule(n: Floats, gains: Floats, gain_max: Floats, losses: Floats, loss_sum: Floats) -> Floats:
    loss = np.divide(loss_sum, losses, out=np.zeros_like(loss_sum), where=losses > 0)
    cap = np.maximum(FACTOR * gain_max, RATIO * loss / (1 + gains / PATIENCE) ** 2)
    return np.where((n < BURN_IN) | (cap <= 0), np.inf, cap)
