"""Where arms of one endpoint differ in width, int32 here and int64 there: narrow for the arm, wide after it."""

from collections.abc import Sequence

import numpy as np

from payoff.errors import ModelFailed
from payoff.flavors import Run
from payoff.records import Column, Columns, Field, Signature


def fitted(run: Run, signature: Signature, inputs: Sequence[Field], outputs: Sequence[Field]) -> Run:
    """The model as a function of the endpoint's columns; itself where the types are the same."""
    narrow = _differing(signature.inputs, inputs)
    wide = _differing(outputs, signature.outputs)
    if not narrow and not wide:
        return run

    def call(columns: Columns) -> dict[str, Column]:
        asked = dict(columns) | {field.name: cast(columns[field.name], field) for field in narrow}
        found = run(asked)
        return found | {field.name: cast(found[field.name], field) for field in wide}

    return call


def cast(column: Column, field: Field) -> Column:
    """The same values in the field's type; ModelFailed if one does not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = column.values.astype(field.type.dtype)
    if field.type.is_integer and not np.array_equal(values, column.values):
        row = int(np.flatnonzero(values != column.values)[0])
        raise ModelFailed(f"column {field.name!r}, row {row}: {column.values[row]} does not fit {field.type}")
    return Column(values, column.valid)


def _differing(targets: Sequence[Field], sources: Sequence[Field]) -> list[Field]:
    given = {field.name: field.type for field in sources}
    return [field for field in targets if field.name in given and given[field.name] is not field.type]
