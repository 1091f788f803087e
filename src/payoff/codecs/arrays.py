"""NumPy arrays of one number type to another, strictly: nothing is rounded to a whole number, nothing wraps around."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.cells import FIRST_US, FLOAT32_END, LAST_US
from payoff.records.signature import Type

DAY_US = 86_400_000_000


def misfits(values: NDArray[Any], kind: Type) -> NDArray[np.bool_]:
    """Which elements of an array of numbers, days or times a column of this type cannot hold; same shape."""
    if kind is Type.DATE:
        return _outside(values.astype(np.int64), FIRST_US // DAY_US, LAST_US // DAY_US)
    if kind is Type.TIMESTAMP:
        return _outside(values.astype(np.int64), FIRST_US, LAST_US)
    if kind.is_integer:
        return _not_whole(values, kind) if values.dtype.kind == "f" else _outside(values, *_span(kind))
    if kind is Type.FLOAT32 and values.dtype == np.float64:
        with np.errstate(invalid="ignore"):
            beyond: NDArray[np.bool_] = np.isfinite(values) & (np.abs(values) >= FLOAT32_END)
        return beyond
    return np.zeros(values.shape, bool)


def _span(kind: Type) -> tuple[int, int]:
    span = np.iinfo(kind.dtype)
    return int(span.min), int(span.max)


def _outside(values: NDArray[Any], low: int, high: int) -> NDArray[np.bool_]:
    outside: NDArray[np.bool_] = (values < low) | (values > high)
    return outside


def _not_whole(values: NDArray[Any], kind: Type) -> NDArray[np.bool_]:
    low, high = _span(kind)
    wide = values.astype(np.float64)  # where both ends of every integer type have an exact neighbour: low, high + 1
    with np.errstate(invalid="ignore"):
        whole: NDArray[np.bool_] = (wide >= float(low)) & (wide < float(high + 1)) & (np.floor(wide) == wide)
    return ~whole
