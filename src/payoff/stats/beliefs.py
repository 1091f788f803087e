"""What to believe of each arm, and how to share traffic by it: Thompson sampling on rates and on money.

An arm gets traffic in proportion to the chance that it is the best one, but never less than a floor, so that every
arm stays measurable. Means of arms whose shares followed their results are biased: analyse such traffic by the
propensities that were recorded (see `offpolicy`).

Thompson (1933); Russo (2016), "Simple Bayesian algorithms for best arm identification" (top-two), arXiv:1602.08448;
Murphy (2007), "Conjugate Bayesian analysis of the Gaussian distribution", section 6 (normal-inverse-gamma).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.stats.intervals import Sums

Floats = NDArray[np.float64]
Seed = int | np.random.Generator


@dataclass(frozen=True, slots=True)
class Rate:
    """What is believed of a rate: Beta(yes, no), both at least 1. `Rate()` is no knowledge at all."""

    yes: float = 1.0
    no: float = 1.0

    def after(self, yes: int, no: int) -> "Rate":
        """The belief once so many more of each were seen."""
        raise NotImplementedError


def better(new: Rate, old: Rate) -> float:
    """The chance that the rate of `new` is the higher one, to 1e-9."""
    raise NotImplementedError


def regret(chosen: Rate, other: Rate) -> float:
    """How much rate is lost in expectation by choosing `chosen`: E[max(other - chosen, 0)]."""
    raise NotImplementedError


def best_rates(arms: Sequence[Rate]) -> tuple[float, ...]:
    """The chance of each arm to have the highest rate; they sum to 1."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Earnings:
    """What is believed of a mean of money: normal-inverse-gamma.

    `mean` in the unit of the money, worth `rows` rows; the variance of a row is believed to be about scale / shape.
    """

    mean: float
    rows: float
    shape: float
    scale: float

    def after(self, sums: Sums) -> "Earnings":
        """The belief once these rows were seen."""
        raise NotImplementedError

    def draw(self, count: int, seed: Seed) -> Floats:
        """Means that may be true, in proportion to how much each is believed; shape (count,)."""
        raise NotImplementedError


def before(arms: Sequence[Sums]) -> Earnings:
    """What is believed of an arm nobody has seen: like all arms together, and worth one row."""
    raise NotImplementedError


def best_earners(arms: Sequence[Sums], seed: Seed, draws: int = 20_000) -> tuple[float, ...]:
    """The chance of each arm to earn most per decision; they sum to 1 and none is exactly 0.

    By simulation: within about 1 / sqrt(draws). BadInput without arms.
    """
    raise NotImplementedError


def allocation(
    arms: Sequence[Sums], floor: float, seed: Seed, draws: int = 20_000, leader: float = 1.0
) -> tuple[float, ...]:
    """The share of traffic for each arm, in order: at least `floor` each, 1 in all. These are the propensities.

    `arms` are sums of net money per decision. `leader` 1 is Thompson sampling, which earns; 0.5 is top-two, which
    gives half to the best of the others and so learns sooner which is best. BadInput for floors that exceed 1 in all.
    """
    raise NotImplementedError
