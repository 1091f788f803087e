"""Which columns of a sample a graph takes, as which fields, and the sample's rows brought to those fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from payoff.codecs.cells import Misfit, scalars
from payoff.errors import BadInput
from payoff.flavors.port import Port
from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column
from payoff.records.signature import Field, Type


@dataclass(frozen=True, slots=True)
class Fit:
    """The input fields of a graph; `ignored` are the sample's columns that it does not take."""

    fields: tuple[Field, ...]
    ignored: tuple[str, ...] = ()


def fit(ports: Sequence[Port], sample: Rows | None) -> Fit:
    """The input fields: from the graph alone where it says all, else with the sample's help.

    BadInput: the graph leaves a shape open that no sample fixes, or the sample's columns are not those of the graph.
    """
    if not ports:
        raise BadInput("the model takes no input at all, so there is nothing to ask it; export it with its inputs")
    if sample is None:
        return Fit(tuple(_alone(port) for port in ports))
    by_name = {field.name: field for field in sample.fields}
    wanted = [port.name for port in ports]
    if set(wanted) <= by_name.keys():
        fields = tuple(_named(port, by_name[port.name]) for port in ports)
        return Fit(fields, tuple(name for name in by_name if name not in wanted))
    if len(ports) == 1:
        return Fit(_only(ports[0], sample.fields))
    missing = [name for name in wanted if name not in by_name]
    raise BadInput(
        f"the model takes the inputs {', '.join(wanted)}; the sample lacks {', '.join(missing)} "
        f"(it has {', '.join(by_name)}); rename its columns to the model's inputs"
    )


def conform(sample: Rows, fields: Sequence[Field]) -> Rows:
    """The sample's rows as these fields; BadInput names the column, the row and the value that do not fit."""
    return Rows(tuple(fields), {field.name: _cast(field, sample.columns[field.name]) for field in fields})


def made_up(fields: Sequence[Field], n: int = 2) -> Rows:
    """Rows of zeros and empty texts, to learn the shapes of the answers where there is no sample."""
    columns = {}
    for field in fields:
        values = np.zeros((n, *field.shape), field.type.dtype)
        columns[field.name] = Column(np.full_like(values, "") if field.type is Type.TEXT else values)
    return Rows(tuple(fields), columns)


def _alone(port: Port) -> Field:
    if None in port.dims:
        raise BadInput(
            f"input {port.name!r} of the model leaves its shape open ({_dims(port)}); give sample rows that fix it: "
            "--sample FILE, with one column per number or a column of lists"
        )
    return Field(port.name, port.type, _shape(port))


def _named(port: Port, column: Field) -> Field:
    """The field of an input that has a column of its name in the sample."""
    shape = column.shape
    scalar = shape == () and all(dim in (None, 1) for dim in port.dims)
    same = len(shape) == len(port.dims) and all(dim in (None, size) for dim, size in zip(port.dims, shape, strict=True))
    if not scalar and not same:
        raise BadInput(
            f"input {port.name!r} of the model takes {_dims(port)} per row, and the sample's column has "
            f"{list(shape) if shape else 'single values'}"
        )
    return Field(column.name, port.type, () if shape == (1,) else shape, _nullable(port, column))


def _only(port: Port, columns: Sequence[Field]) -> tuple[Field, ...]:
    """A single input takes the only column, or all columns of the sample side by side."""
    if len(columns) == 1:
        return (_named(port, columns[0]),)
    names = ", ".join(column.name for column in columns)
    if len(port.dims) != 1:
        raise BadInput(
            f"the model takes one tensor {port.name!r} of {_dims(port)} per row, and the sample has {names}; "
            f"give a sample with one column {port.name!r} of nested lists"
        )
    if port.dims[0] not in (None, len(columns)):
        raise BadInput(
            f"the model takes {port.dims[0]} values per row, and the sample has {len(columns)} columns: {names}; "
            "leave out those that are no features (the outcome, an id)"
        )
    return tuple(_stacked(port, column) for column in columns)


def _stacked(port: Port, column: Field) -> Field:
    if column.shape:
        raise BadInput(f"column {column.name!r} of the sample holds lists; beside other columns only single values go")
    # A yes or no stays one for callers, though the graph takes it as 0 or 1.
    kind = Type.BOOL if column.type is Type.BOOL and port.type.is_number else port.type
    return Field(column.name, kind, (), _nullable(port, column))


def _nullable(port: Port, column: Field) -> bool:
    if column.nullable and not (port.type.is_float or port.type is Type.TEXT):
        raise BadInput(
            f"column {column.name!r} of the sample has nulls, and the model takes {port.type} there, which has none; "
            "leave these rows out"
        )
    return column.nullable


def _cast(field: Field, column: Column) -> Column:
    values = column.values.reshape(len(column), *field.shape)
    if values.dtype == field.type.dtype:
        return Column(values, column.valid)
    if field.type in (Type.DATE, Type.TIMESTAMP):
        return _moments(field, column)
    if not _castable(values.dtype.kind, field.type):
        raise _misfit(field, column, 0)
    with np.errstate(invalid="ignore", over="ignore"):
        cast = values.astype(field.type.dtype)
    if field.type.is_integer:
        off = np.flatnonzero(
            (cast.astype(np.float64) != values.astype(np.float64)).reshape(len(column), -1).any(axis=1)
        )
        if len(off):
            raise _misfit(field, column, int(off[0]))
    elif field.type.is_float:
        off = np.flatnonzero((np.isinf(cast) & np.isfinite(values)).reshape(len(column), -1).any(axis=1))
        if len(off):
            raise _misfit(field, column, int(off[0]))
    return Column(cast, column.valid)


def _moments(field: Field, column: Column) -> Column:
    """Dates as timestamps, and both as text, which is how JSON has them."""
    values = column.values
    if values.dtype.kind == "M" and field.type is Type.TIMESTAMP:
        return Column(values.astype(field.type.dtype), column.valid)
    if values.dtype.kind != "O":
        raise _misfit(field, column, 0)
    made = np.zeros(values.shape, field.type.dtype)
    for row in range(len(column)) if column.valid is None else np.flatnonzero(column.valid):
        try:
            made[row] = scalars(field.type, [values[row]])[0]
        except (Misfit, ValueError, OverflowError) as error:
            raise _misfit(field, column, int(row)) from error
    return Column(made, column.valid)


def _castable(kind: str, to: Type) -> bool:
    """Numbers become other numbers, and a yes or no becomes 1 or 0; text becomes nothing else."""
    return to.is_number and kind in "iufb"


def _misfit(field: Field, column: Column, row: int) -> BadInput:
    value = str(column.values[row])[:60]
    return BadInput(
        f"column {field.name!r} of the sample, row {row}: {value!r} is no {field.type}, which the model takes there"
    )


def _shape(port: Port) -> tuple[int, ...]:
    dims = tuple(dim for dim in port.dims if dim is not None)
    return () if dims == (1,) else dims


def _dims(port: Port) -> str:
    return f"[{', '.join('?' if dim is None else str(dim) for dim in port.dims)}]" if port.dims else "one value"
