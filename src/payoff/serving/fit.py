"""Between an endpoint's columns and an arm's: narrow for the arm, wide after it, null where only other arms answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from payoff.errors import ModelFailed
from payoff.records import Column, Columns, Field, Signature, Type, length


@dataclass(frozen=True, slots=True)
class Fit:
    """What differs between an arm and its endpoint: types in width, and outputs that the arm does not give."""

    narrow: tuple[Field, ...] = ()
    wide: tuple[Field, ...] = ()
    missing: tuple[Field, ...] = ()

    def asked(self, columns: Columns) -> Columns:
        """The endpoint's columns as the arm takes them."""
        if not self.narrow:
            return columns
        return dict(columns) | {field.name: cast(columns[field.name], field) for field in self.narrow}

    def answered(self, found: dict[str, Column], count: int) -> dict[str, Column]:
        """The arm's answers as the endpoint gives them."""
        if self.wide:
            found = found | {field.name: cast(found[field.name], field) for field in self.wide}
        if self.missing:
            found = found | {field.name: constant(None, field.type, count, field.shape) for field in self.missing}
        return found


def fit(signature: Signature, inputs: Sequence[Field], outputs: Sequence[Field]) -> Fit:
    """How an arm of this signature fits an endpoint of these columns."""
    given = {field.name for field in signature.outputs}
    return Fit(
        narrow=_differing(signature.inputs, inputs),
        wide=_differing(outputs, signature.outputs),
        missing=tuple(field for field in outputs if field.name not in given),
    )


def cast(column: Column, field: Field) -> Column:
    """The same values in the field's type; ModelFailed if one does not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = column.values.astype(field.type.dtype)
    if field.type.is_integer and not np.array_equal(values, column.values):
        row = int(np.flatnonzero(values != column.values)[0])
        raise ModelFailed(f"column {field.name!r}, row {row}: {column.values[row]} does not fit {field.type}")
    return Column(values, column.valid)


def constant(value: Any, kind: Type, rows: int, shape: tuple[int, ...] = ()) -> Column:
    """A column of one value; None gives nulls."""
    if value is None:
        blank = np.full((rows, *shape), "", object) if kind is Type.TEXT else np.zeros((rows, *shape), kind.dtype)
        return Column(blank, np.zeros(rows, bool))
    return Column(np.full((rows, *shape), value, kind.dtype))


def check_length(found: Columns, count: int) -> None:
    """ModelFailed if somebody answered more or fewer rows than were asked."""
    if length(found) != count:
        raise ModelFailed(f"the model was asked {count:,} rows and answered {length(found):,}")


def _differing(targets: Sequence[Field], sources: Sequence[Field]) -> tuple[Field, ...]:
    given = {field.name: field.type for field in sources}
    return tuple(field for field in targets if field.name in given and given[field.name] is not field.type)
