"""Columns into the tensors a graph takes: decided once when a model is loaded, then done with as little as possible.

Which column goes where follows from the signature alone: several inputs take the columns of their names; a single input
takes the only column there is, or, with more columns than one, all of them side by side in the signature's order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import ModelFailed
from payoff.flavors.port import Port
from payoff.records.columns import Column, Columns
from payoff.records.signature import Field, Type

Feed = dict[str, NDArray[Any]]
Feeder = Callable[[Columns], Feed]


def feeder(ports: Sequence[Port], fields: Sequence[Field]) -> Feeder:
    """How rows of `fields` become tensors for `ports`; ModelFailed if they do not belong together."""
    if len(ports) == 1 and len(fields) > 1:
        return _stacked(ports[0], fields)
    if len(ports) == 1 and len(fields) == 1:
        return _named([(ports[0], fields[0])])
    by_name = {field.name: field for field in fields}
    if set(by_name) != {port.name for port in ports}:
        raise ModelFailed(
            f"the graph takes {', '.join(port.name for port in ports)}, "
            f"and the signature has {', '.join(by_name)}; deploy the model again"
        )
    return _named([(port, by_name[port.name]) for port in ports])


def _named(pairs: Sequence[tuple[Port, Field]]) -> Feeder:
    if len(pairs) == 1:
        port, field = pairs[0]
        name, source, make = port.name, field.name, _maker(port, field)
        return lambda columns: {name: make(columns[source])}
    plan = [(port.name, field.name, _maker(port, field)) for port, field in pairs]
    return lambda columns: {name: make(columns[source]) for name, source, make in plan}


def _maker(port: Port, field: Field) -> Callable[[Column], NDArray[Any]]:
    """One column as one tensor: the cheapest way that this type, shape and nullability allow."""
    tail = tuple(field.shape) if field.shape or not port.dims else (1,) * len(port.dims)
    shape, dtype, cast = (-1, *tail), port.dtype, field.type.dtype != port.dtype
    reshape = tail != tuple(field.shape)

    def plain(column: Column) -> NDArray[Any]:
        return column.values

    def tall(column: Column) -> NDArray[Any]:
        return column.values.reshape(shape)

    def careful(column: Column) -> NDArray[Any]:
        return _filled(column, port).reshape(shape)

    def other(column: Column) -> NDArray[Any]:
        return column.values.astype(dtype).reshape(shape)

    if field.nullable:
        return careful
    return other if cast else tall if reshape else plain


def _stacked(port: Port, fields: Sequence[Field]) -> Feeder:
    name, width, dtype = port.name, len(fields), port.dtype
    places = [(place, field.name) for place, field in enumerate(fields)]
    nulls = any(field.nullable for field in fields)
    first, sources = fields[0].name, [field.name for field in fields]

    def stack(columns: Columns) -> Feed:
        # One row: joined, it is the matrix already. More rows: joined column by column, then turned, which is about
        # twice as fast as filling a matrix place by place.
        joined = np.concatenate([columns[source].values for source in sources])
        matrix = joined.reshape(width, -1).T
        return {name: matrix if matrix.dtype == dtype else matrix.astype(dtype)}

    def careful(columns: Columns) -> Feed:
        matrix = np.empty((len(columns[first].values), width), dtype)
        for place, source in places:
            matrix[:, place] = _filled(columns[source], port)
        return {name: matrix}

    return careful if nulls else stack


def _filled(column: Column, port: Port) -> NDArray[Any]:
    """Values with nulls as the graph can take them: NaN for numbers, an empty text for text."""
    if column.valid is None:
        return column.values if column.values.dtype == port.dtype else column.values.astype(port.dtype)
    if port.type is Type.TEXT:
        return np.where(column.valid, column.values, "")
    values = column.values.astype(port.dtype)  # always a copy
    values[~column.valid] = np.nan
    return values
