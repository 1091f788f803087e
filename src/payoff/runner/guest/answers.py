"""What a kind answers, made fit to cross: one of the types there are, one value for every row, nulls as a mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .frames import TYPES, Pair

_ALL = "every row needs an answer"


def tidy(answer: Any, rows: int) -> dict[str, Pair]:
    """The answer as columns; ValueError or TypeError say what is wrong with it."""
    if not isinstance(answer, Mapping):
        raise TypeError(f"the model answered {_a(answer)}; it must answer columns by name")
    if not answer:
        raise ValueError(f"the model answered nothing; {_ALL}")
    columns = {str(name): _pair(str(name), column) for name, column in answer.items()}
    for name, (values, _) in columns.items():
        if values.ndim == 0 or len(values) != rows:
            got = "one value" if values.ndim == 0 else f"{len(values):,} rows"
            raise ValueError(f"the model was asked {rows:,} rows and answered {got} in {name!r}; {_ALL}")
    return columns


def _pair(name: str, column: Any) -> Pair:
    values, valid = column if isinstance(column, tuple) and len(column) == 2 else (column, None)
    values, nulls = plain(name, np.asarray(values))
    if valid is not None:
        valid = np.asarray(valid, bool)
        nulls = ~valid if nulls is None else nulls | ~valid
    return values, None if nulls is None or not nulls.any() else ~nulls


def plain(name: str, values: Any) -> tuple[Any, Any]:
    """Values as one of the types that cross, and where they are null (None: nowhere)."""
    kind = values.dtype.kind
    if kind in "biu":
        return values.astype(values.dtype.newbyteorder("="), copy=False), None
    if kind == "f":
        wide = {2: np.float32, 4: np.float32}.get(values.dtype.itemsize, np.float64)
        return values.astype(wide, copy=False), None
    if kind == "U":
        return values.astype(object), None
    if kind == "M":
        return _times(values)
    if kind == "O":
        return _objects(name, values)
    raise TypeError(f"the model answered NumPy's type {values.dtype} in {name!r}; it must be one of {', '.join(TYPES)}")


def _times(values: Any) -> tuple[Any, Any]:
    nulls = np.isnat(values)
    while nulls.ndim > 1:
        nulls = nulls.any(axis=-1)
    is_date = values.dtype == np.dtype("M8[D]")
    return values.astype(TYPES["date" if is_date else "timestamp"], copy=False), nulls


def _objects(name: str, values: Any) -> tuple[Any, Any]:
    """Objects are text, or numbers that somebody put into a list; None is null."""
    items = values.ravel().tolist()
    missing = [item is None or item != item for item in items]
    there = [item for item, gone in zip(items, missing) if not gone]
    nulls = np.array(missing, bool).reshape(len(values), -1).any(axis=1) if any(missing) else None
    if all(isinstance(item, str) for item in there):
        if nulls is not None:
            values = np.array([item if isinstance(item, str) else "" for item in items], object).reshape(values.shape)
        return values, nulls
    found = np.array(there)
    if found.dtype.kind not in "biuf" or found.ndim != 1:
        raise TypeError(f"the model answered {_a(there[0])} in {name!r}; it must be one of {', '.join(TYPES)}")
    filled = np.zeros(len(items), found.dtype)
    filled[~np.array(missing, bool)] = found
    return plain(name, filled.reshape(values.shape))[0], nulls


def _a(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
