"""Columns as a pandas DataFrame, as a model saw them in training; pandas is imported only when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .frames import Pair


def frame(columns: Mapping[str, Pair], names: Sequence[str] | None = None) -> Any:
    """A DataFrame of these columns (of `names`, in that order, if given).

    A null is NaN among floats, None among texts, NaT among dates; integers with nulls become float64 and bools with
    nulls objects, as pandas itself would have read them. A column of tensors holds one array per row.
    """
    import pandas as pd

    chosen = columns if names is None else {name: columns[name] for name in names}
    rows = len(next(iter(columns.values()))[0]) if columns else 0
    made = {name: column(*pair) for name, pair in chosen.items()}
    return pd.DataFrame(made, index=pd.RangeIndex(rows), copy=False)


def column(values: Any, valid: Any) -> Any:
    """One column as an array that pandas takes as it is."""
    if values.ndim > 1:
        cells = np.empty(len(values), object)
        for place, cell in enumerate(values):
            cells[place] = cell
        values = cells
    if values.dtype.kind == "M":
        return _times(values, valid)
    if valid is None or valid.all():
        return values
    if values.dtype.kind in "iu":
        values = values.astype(np.float64)
    elif values.dtype.kind == "f":
        values = values.copy()
    else:
        values = values.astype(object)
    values[~valid] = np.nan if values.dtype.kind == "f" else None
    return values


def _times(values: Any, valid: Any) -> Any:
    """Dates and timestamps as datetime64[us]: a pandas that knows nanoseconds only makes them of it."""
    values = values.astype("M8[us]")
    if valid is not None:
        values[~valid] = np.datetime64("NaT")
    return values


def matrix(columns: Mapping[str, Pair], names: Sequence[str] | None = None, dtype: Any = np.float64) -> Any:
    """All columns side by side as one array of rows; nulls are NaN, tensors are laid out flat."""
    chosen = list(columns if names is None else names)
    parts = []
    for name in chosen:
        values, valid = columns[name]
        if values.dtype.kind not in "biuf":
            raise ValueError(f"column {name!r} is not a number, and this model takes numbers only")
        part = values.reshape(len(values), -1).astype(dtype)
        if valid is not None:
            part[~valid] = np.nan
        parts.append(part)
    return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
