"""The A/A test: on recorded decisions with nothing to be found, how often would a guard find something?

Two sides that are the same: every row goes to one of them by a fresh draw. Where a guard judges row by row, against the
fallback or nothing, there are no sides; then the recorded amounts are moved so that on average nothing is lost, and
drawn again in blocks of neighbouring rows, so that good and bad days stay together.
"""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.experiment.verdict import LOSES, SAME, Case, Rows, judge
from payoff.stats.chances import binomial_at_least

ROWS_MIN = 200
RUNS = 200
CLEARLY = 0.01  # a count of false verdicts with a smaller chance than that, were the error kept, is clearly too many

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """Of `runs` runs over `rows` decisions each, `false` ended with a verdict; `allowed` is the most that may, 0 to 1.

    `allowed` is the guard's error and, for a kill, the false stops of its detector in so many decisions.
    """

    runs: int
    rows: int
    false: int
    allowed: float

    @property
    def clearly_more(self) -> bool:
        """More false verdicts than chance brings where the error is kept."""
        return binomial_at_least(self.false, self.runs, self.allowed) < CLEARLY


def selftest(
    case: Case, money: Floats, sides: tuple[float, float] | None = None, runs: int = RUNS, seed: int = 1
) -> Found:
    """How often this case, none of whose rows is judged yet, comes to a verdict that is false.

    `money` (n,) are recorded amounts in order: each side's own, if `sides` says which part of the traffic goes to the
    version and which to the other, else differences. For "makes no difference" the version is moved to the margin,
    where that verdict is just false. BadInput under ROWS_MIN amounts.
    """
    known = money[np.isfinite(money)]
    if len(known) < ROWS_MIN:
        raise BadInput(
            f"{len(known)} decisions have a known value, and a self-test needs {ROWS_MIN}; send outcomes, and wait"
        )
    rng = np.random.default_rng(seed)
    moved = (case.question.within or 0.0) if case.question.kind == SAME else 0.0
    drawn = (_blocks(known, moved, rng) if sides is None else _halves(known, moved, sides, rng) for _ in range(runs))
    false = sum(judge(case, rows).reached for rows in drawn)
    more = len(known) / case.every if case.question.kind == LOSES and case.every else 0.0
    return Found(runs, len(known), false, min(1.0, case.error + more))


def _blocks(money: Floats, mean: float, rng: np.random.Generator) -> Rows:
    """As many amounts again, in blocks of neighbours, moved to a mean."""
    n = len(money)
    size = ceil(sqrt(n))
    starts = rng.integers(0, n, ceil(n / size))
    places = ((starts[:, None] + np.arange(size)) % n).ravel()[:n]
    drawn = money[places] - money.mean() + mean
    return Rows(np.arange(n), drawn, drawn)


def _halves(money: Floats, more: float, sides: tuple[float, float], rng: np.random.Generator) -> Rows:
    """The same amounts in their order, each row's side drawn anew; the version earns `more`."""
    p, q = sides
    mine = rng.random(len(money)) < p / (p + q)
    own = money + np.where(mine, more, 0.0)
    weight = np.where(mine, (p + q) / p, -(p + q) / q)
    return Rows(np.arange(len(money)), own, own, weight, np.full(len(money), (p + q) / min(p, q)))
