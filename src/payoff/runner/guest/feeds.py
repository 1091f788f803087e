"""Columns in the forms that code written by people takes: arrays with gaps, lists, one dictionary per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .frames import Pair


def length(columns: Mapping[str, Pair]) -> int:
    """How many rows there are."""
    for values, _ in columns.values():
        return len(values)
    return 0


def array(values: Any, valid: Any) -> Any:
    """One array, a gap being what NumPy has for it: NaN in numbers, NaT in dates, None in text and yes-or-no."""
    if valid is None or valid.all():
        return values
    kind = values.dtype.kind
    filled = values.astype(np.float64 if kind in "iu" else object if kind == "b" else values.dtype)
    filled[~valid] = np.nan if kind in "iuf" else np.datetime64("NaT") if kind == "M" else None
    return filled


def arrays(columns: Mapping[str, Pair]) -> dict[str, Any]:
    """Every column as such an array."""
    return {name: array(values, valid) for name, (values, valid) in columns.items()}


def listed(values: Any, valid: Any) -> list[Any]:
    """Python's own values, None where there is none; a tensor's row stays an array."""
    given = list(values) if values.ndim > 1 else values.tolist()
    if valid is None:
        return given
    return [value if there else None for value, there in zip(given, valid)]


def records(columns: Mapping[str, Pair]) -> list[dict[str, Any]]:
    """One dictionary per row."""
    names = list(columns)
    lists = [listed(values, valid) for values, valid in columns.values()]
    return [dict(zip(names, row)) for row in zip(*lists)]
