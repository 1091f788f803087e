"""Columns side by side, as models of tables take them: a matrix, or a DataFrame as pandas would have read it.

A column comes as its values and where there is one (None: everywhere); what is missing becomes NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def frame(columns: dict[str, Any]) -> Any:
    """A DataFrame with a column for each."""
    import pandas as pd

    return pd.DataFrame({name: filled(*column) for name, column in columns.items()}, copy=False)


def matrix(columns: dict[str, Any]) -> Any:
    """One array: of 64-bit numbers where all columns are numbers, else of objects."""
    parts = [filled(*column) for column in columns.values()]
    if any(part.dtype.kind in "OMmSU" for part in parts):
        return np.stack([part.astype(object) for part in parts], axis=1)
    return numbers(columns)


def numbers(columns: dict[str, Any], dtype: Any = np.float64) -> Any:
    """One array of floating numbers; ValueError names a column of another kind."""
    rows = len(next(iter(columns.values()))[0]) if columns else 0
    grid = np.empty((rows, len(columns)), dtype)
    for place, (name, (values, valid)) in enumerate(columns.items()):
        if values.dtype.kind not in "biuf":
            raise ValueError(f"column {name!r} holds {_kind(values)}, and the model takes numbers there")
        grid[:, place] = values
        if valid is not None:
            grid[~valid, place] = np.nan
    return grid


def filled(values: Any, valid: Any) -> Any:
    """The values with NaN (for dates NaT) where there is none."""
    if values.ndim > 1:
        raise ValueError("a column holds lists; the model takes one value per column")
    if valid is None or valid.all():
        return values
    if values.dtype.kind == "M":
        return np.where(valid, values, np.datetime64("NaT"))
    if values.dtype.kind in "OSUb":
        return np.where(valid, values.astype(object), np.nan)
    wide = values.astype(values.dtype if values.dtype.kind == "f" else np.float64)
    wide[~valid] = np.nan
    return wide


def codes(column: Any, places: dict[Any, int]) -> Any:
    """Each value as the place of its category; NaN where there is none, or none that is known."""
    values, valid = column
    found = np.array([places.get(value, np.nan) for value in values.tolist()], np.float64)
    if valid is not None:
        found[~valid] = np.nan
    return found


def _kind(values: Any) -> str:
    return "text" if values.dtype.kind in "OSU" else "dates" if values.dtype.kind == "M" else str(values.dtype)
