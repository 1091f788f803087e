"""Before an experiment: how many decisions, and how much money, until a verdict.

By simulating the test as it really runs: the betting test since launch, and the detector of a later change beside it,
looked at after every decision, against a stated cap or the learned one. No formula stands between.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Seed = int | np.random.Generator

SHAPES: tuple[str, ...] = ("normal", "lognormal 1", "lognormal 2", "rare losses", "student t 3", "yes or no")


@dataclass(frozen=True, slots=True)
class Power:
    """What to expect. Decisions count up to and including the verdict; None where fewer runs than that reached one.

    `share` is the share of runs with a verdict within `horizon` decisions. `loss_*` is money lost up to the verdict (or
    the horizon), in the unit of the effect; below 0 if money was made.
    """

    share: float
    median: int | None
    p90: int | None
    loss_median: float
    loss_p90: float
    runs: int
    horizon: int


def power(
    effect: float,
    spread: float,
    *,
    error: float = 0.01,
    every: float | None = None,
    cap: float | None = None,
    shape: str | Floats = "normal",
    verdict: Literal["kill", "promote"] = "kill",
    runs: int = 400,
    horizon: int = 20_000,
    seed: Seed = 1,
) -> Power:
    """Decisions and money until a verdict for a model that earns `effect` per decision on average, below 0 if it loses.

    `spread` is the standard deviation of a decision's money; `cap` the gain a decision is credited with at most (for
    "promote": the loss), None for the learned one; `every` the decisions between two false stops of the detector of
    later changes, None for none (a promotion has none). `shape` is one of SHAPES, or recorded money (n,), of which only
    the shape is used: it is shifted and stretched to effect and spread. BadInput says which of them cannot be used.
    """
    raise NotImplementedError
