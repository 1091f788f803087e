"""Comparing two means from kept sums: at any look, at planned looks, or once; and "not worse by more than a margin".

- `difference`, `noninferior`: at any look, by the asymptotic confidence sequence (Waudby-Smith et al. 2024,
  arXiv:2103.06476, eq. 9). For light tails; it informs and guards, it does not stop a version: see stats/intervals.
- `always_valid`: a p-value for any look (mSPRT; Johari, Pekelis and Walsh 2022, arXiv:1512.04922, eq. 6).
- `boundaries`: for looks planned beforehand (alpha spending; Lan and DeMets 1983). Tighter than any look.
- `welch`, `relative`: for one look at the end. Read again and again, they are wrong more than a third of the time.

Effects are b minus a, a being the present one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.stats.intervals import PLANNED, Interval, Sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimated effect, its standard error, and the degrees of freedom of that: for one look."""

    value: float
    se: float
    freedom: float

    def interval(self, error: float = 0.05) -> Interval:
        """Two-sided."""
        raise NotImplementedError

    def low(self, error: float = 0.05) -> float:
        """One-sided: the effect is below it with a chance of at most `error`."""
        raise NotImplementedError

    def p_value(self) -> float:
        """How often an effect of at least this size turns up where there is none, in one look."""
        raise NotImplementedError

    def p_above(self, bound: float) -> float:
        """How often at least this effect turns up where the true one is `bound`; bound = -margin: non-inferiority."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """Differences seen, their sum, and the smallest p-value so far."""

    n: int = 0
    total: float = 0.0
    p: float = 1.0


def difference(a: Sums, b: Sums, error: float = 0.05, planned: int = PLANNED) -> Interval | None:
    """Mean of b minus mean of a, at any look; `planned` rows of both: where it is tightest. None below LEAST rows each.

    Two independent samples; the error is kept approximately, for means of enough rows.
    """
    raise NotImplementedError


def noninferior(
    candidate: Sums, current: Sums, margin: float, error: float = 0.05, planned: int = PLANNED, less: bool = False
) -> bool | None:
    """Is the candidate not worse than the current one by `margin` or more? Valid at any look.

    True: its mean is above current minus margin; False: it is below; None: not known yet. Each is wrong with a chance of
    about `error`. `margin` >= 0 in the unit of the values; `less`: less is better (latency, cost, errors).
    """
    raise NotImplementedError


def welch(a: Sums, b: Sums) -> Effect | None:
    """Mean of b minus mean of a, for one look (Welch 1947); None below two rows each."""
    raise NotImplementedError


def relative(a: Sums, b: Sums) -> Effect | None:
    """The same divided by the mean of a, by the delta method; None below two rows each or where the mean of a is 0."""
    raise NotImplementedError


def always_valid(seen: AlwaysValid, x: Floats, variance: float, tau2: float) -> tuple[AlwaysValid, Floats]:
    """The p-value for "these differences have a mean of 0" after each of `x`, shape (n,), and the state after all.

    `variance` of one difference, `tau2` the variance of the effects one expects, both in units squared. It never rises,
    and falls to `error` in at most a share `error` of streams without a difference. ValueError unless both are above 0.
    """
    raise NotImplementedError


def boundaries(fractions: Sequence[float], error: float = 0.05, power: float = 2.0) -> tuple[float, ...]:
    """For each planned look, the |z| above which it is decided, so that all looks together err with `error`.

    `fractions`: the share of the planned rows seen at each look, rising, above 0, at most 1. By then error * fraction **
    power has been spent (Kim and DeMets 1987). ValueError otherwise.
    """
    raise NotImplementedError
