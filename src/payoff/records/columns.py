"""Rows as columns: how data moves between doors, models and the journal, without a copy where there need be none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)  # not frozen: that would double the time to make one, and a call makes a dozen
class Column:
    """Values of one field over some rows; never changed once made.

    `values` has shape (rows, *field.shape) and the dtype of `Type.dtype`. `valid` is a bool per row, or None
    where every row has a value; what stands in `values` at a null is of the dtype but means nothing.
    """

    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: Any) -> "Column":
        """The rows that an index array, a mask or a slice picks."""
        return Column(self.values[index], None if self.valid is None else self.valid[index])


Columns = Mapping[str, Column]


def length(columns: Columns) -> int:
    """How many rows there are."""
    for column in columns.values():
        return len(column.values)
    return 0


def take(columns: Columns, index: Any) -> dict[str, Column]:
    """The same columns, with the rows that an index array, a mask or a slice picks."""
    return {name: column.take(index) for name, column in columns.items()}


def concat(parts: Sequence[Columns]) -> dict[str, Column]:
    """The rows of all parts, one after the other; every part has the same columns."""
    if len(parts) == 1:
        return dict(parts[0])
    return {name: _concat([part[name] for part in parts]) for name in parts[0]}


def _concat(parts: Sequence[Column]) -> Column:
    values = np.concatenate([part.values for part in parts])
    if all(part.valid is None for part in parts):
        return Column(values)
    return Column(values, np.concatenate([np.ones(len(p), bool) if p.valid is None else p.valid for p in parts]))
