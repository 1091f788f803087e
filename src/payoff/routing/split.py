"""Which arm answers a row, and why: a pure choice from the key (or a random number) and the arms' shares.

The same key on the same endpoint always lands on the same point of the unit interval, so raising a challenger's
share from 10 % to 20 % keeps every customer it already had.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

FALLBACK = -1  # the lane that is no model


@dataclass(frozen=True, slots=True)
class Split:
    """The unit interval in pieces: challengers from 0 upwards, then the champion, and the hold-out at the top.

    Where no champion answers, the fallback has all that the challengers do not, and nothing is held out.
    """

    lanes: tuple[int, ...]  # which lane owns each piece
    edges: tuple[float, ...]  # where each piece ends; the last ends at 1
    choices: tuple[str, ...]  # how a row comes to it: "" by its share, "holdout", "killed"
    shares: tuple[float, ...]  # how long it is: the chance that a row falls in it
    whys: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether every row goes the same way, whatever its key."""
        return len(self.lanes) == 1

    def pick(self, points: NDArray[np.float64]) -> NDArray[np.intp]:
        """For each point in [0, 1) the piece it falls in."""
        return np.searchsorted(self.edges[:-1], points, side="right")


def points(salt: str, keys: Sequence[Any]) -> NDArray[np.float64]:
    """A point in [0, 1) for each key, the same for ever; `salt` keeps endpoints independent of each other."""
    secret = salt.encode()[:64]
    digests = b"".join(blake2b(str(key).encode(), digest_size=8, key=secret).digest() for key in keys)
    return (np.frombuffer(digests, np.uint64) >> np.uint64(11)) * np.float64(2.0**-53)
