"""Streams that break even exactly: nobody who watches them should ever be sure that they lose."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
