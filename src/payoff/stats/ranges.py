"""In which range the next amount will lie, when nobody said: learned from earlier amounts only.

For `bernstein` (stats/bounded), in the manner of the learned cap (stats/caps).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Range:
    """What earlier amounts showed. It only grows; two of them do not merge: the order matters."""

    n: int = 0
    total: float = 0.0
    low: float = 0.0
    high: float = 0.0
    ups: int = 0
    downs: int = 0
    up_sum: float = 0.0
    down_sum: float = 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The range that holds for the next amount; infinite while it is not known."""
        raise NotImplementedError


def ranges(seen: Range, x: Floats) -> tuple[Range, Floats, Floats]:
    """What has been seen after `x`, shape (n,), and the low and the high end for each row, from those before it."""
    raise NotImplementedError
