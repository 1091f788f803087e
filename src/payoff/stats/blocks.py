"""Blocks of rows as one amount each, for streams whose rows depend on each other.

A bet is fair for a stream that does not lose given its past: a stream that breaks even in the long run, but whose bad
and good rows come in runs, is losing for a while again and again, and betting row by row finds that out. Means of
blocks longer than such runs hardly depend on each other, and are judged like rows.

The price: with the same cap a loser is stopped after about seven times as many rows, in blocks of 10. The mean of a
block swings less than a row, so its cap may be stated lower.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Open:
    """The rows and the sum of the block that is not full yet."""

    rows: int = 0
    total: float = 0.0


def blocks(before: Open, x: Floats, size: int) -> tuple[Open, Floats]:
    """The block that stays open after rows `x`, shape (n,), and the mean of each that got full, `size` rows each."""
    ends = np.arange(size - before.rows, len(x) + 1, size)
    totals = np.add.reduceat(np.append(x, 0.0), np.append(0, ends))
    totals[0] += before.total
    return Open((before.rows + len(x)) % size, float(totals[-1])), totals[:-1] / size
