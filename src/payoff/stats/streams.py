"""Streams that break even exactly: nobody who watches them should ever be sure that they lose.

BREAK_EVEN do as they are; CAPPED, given their past, after gains have been cut at the cap beside them; RUNS only in the
long run: their good and bad rows come in runs.
"""

from collections.abc import Callable
from math import exp, lgamma, log, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from payoff.stats.chances import student_above

Floats = NDArray[np.float64]
Stream = Callable[[np.random.Generator, int], Floats]


def lognormal(sigma: float) -> Stream:
    return lambda rng, n: np.exp(sigma * rng.standard_normal(n)) - np.exp(sigma**2 / 2)


def rare(one_in: int) -> Stream:
    """A loss of 1, and one time in so many a gain that makes up for the others."""
    return lambda rng, n: np.where(rng.random(n) < 1 / one_in, one_in - 1.0, -1.0)


BREAK_EVEN: dict[str, Stream] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "lognormal 1": lognormal(1),
    "lognormal 2": lognormal(2),
    "rare losses": lambda rng, n: -lognormal(2)(rng, n),
    "student t 2.1": lambda rng, n: rng.standard_t(2.1, n),
    "one gain in 30": rare(30),
    "one gain in 100": rare(100),
}


def normal_to(level: float) -> tuple[Stream, float]:
    """Normal amounts less their mean after cutting at `level`, and the cap that cuts them there."""
    bell = NormalDist()
    mean = level * bell.cdf(-level) - bell.pdf(level)
    return (lambda rng, n: rng.standard_normal(n) - mean), level - mean


def lognormal_to(sigma: float, level: float) -> tuple[Stream, float]:
    """The same of lognormal amounts."""
    bell, place = NormalDist(), log(level) / sigma
    mean = exp(sigma**2 / 2) * bell.cdf(place - sigma) + level * bell.cdf(-place)
    return (lambda rng, n: np.exp(sigma * rng.standard_normal(n)) - mean), level - mean


def student_to(freedom: float, level: float) -> tuple[Stream, float]:
    """The same of amounts with Student's t."""
    scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(pi * freedom)
    density = scale * (1 + level**2 / freedom) ** (-(freedom + 1) / 2)
    mean = level * student_above(level, freedom) - density * (freedom + level**2) / (freedom - 1)
    return (lambda rng, n: rng.standard_t(freedom, n) - mean), level - mean


def following(rho: float) -> Stream:
    """Normal amounts of which each is `rho` of the one before, and noise."""

    def stream(rng: np.random.Generator, n: int) -> Floats:
        noise = rng.standard_normal(n)
        noise[0] /= sqrt(1 - rho**2)
        return np.convolve(noise, rho ** np.arange(200))[:n]

    return stream


def times(rows: int, shift: float) -> Stream:
    """Normal amounts around +shift or -shift, drawn anew every `rows` rows."""
    return lambda rng, n: np.repeat(rng.choice([-shift, shift], n // rows + 1), rows)[:n] + rng.standard_normal(n)


def swelling(rng: np.random.Generator, n: int) -> Floats:
    """Amounts that follow each other, up to 10; nine of ten times earned, one time lost ninefold."""
    amounts = np.minimum(np.exp(following(0.95)(rng, n) / 4), 10.0)
    return amounts * np.where(rng.random(n) < 0.9, 1.0, -9.0)


def doubling(rng: np.random.Generator, n: int) -> Floats:
    """A coin for 1, for twice as much after each loss, up to 64: then for 1 again."""
    won = rng.random(n) < 0.5
    since = np.arange(n) - np.maximum.accumulate(np.where(np.append(True, won[:-1]), np.arange(n), 0))
    stakes: Floats = np.ldexp(1.0, since % 7)
    return np.where(won, stakes, -stakes)


CAPPED: dict[str, tuple[Stream, float]] = {
    "normal": normal_to(2.0),
    "lognormal 1": lognormal_to(1.0, 8.0),
    "lognormal 2": lognormal_to(2.0, 30.0),
    "student t 2.1": student_to(2.1, 5.0),
    "amounts that follow each other": (swelling, 10.0),
    "double after a loss": (doubling, 64.0),
}
RUNS: dict[str, Stream] = {
    "autocorrelated, 0.5": following(0.5),
    "good and bad times of 10 rows": times(10, 0.5),
    "good and bad times of 50 rows": times(50, 0.2),
}
