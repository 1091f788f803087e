"""Money is whole micros (millionths of a unit) of a currency; floats enter and leave only here."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

MICROS = 1_000_000
MICROS_MAX = 2**53  # beyond it a float no longer names every micro: about nine billion units


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount, exact to the micro. Amounts of different currencies do not add."""

    micros: int
    currency: str = "EUR"

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}; convert first")
        return Money(self.micros + other.micros, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.micros, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def __str__(self) -> str:
        return f"{self.micros / MICROS:,.2f} {self.currency}"


def micros(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Amounts in units to whole micros, half to even. NaN is the caller's to remove first."""
    return np.rint(amounts * MICROS).astype(np.int64)


def price_micros(quantity: int, micros_per: int, per: int) -> int:
    """`quantity` at `micros_per` for every `per` of it, half to even: nanoseconds at a price per core-hour, say."""
    return round(Fraction(quantity * micros_per, per))
