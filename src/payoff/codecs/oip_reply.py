"""Open Inference Protocol v2 over HTTP: columns to an inference response, JSON or raw bytes."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.cells import listed
from payoff.codecs.checks import refuse_unknown
from payoff.codecs.oip import Request
from payoff.codecs.rows import dump
from payoff.codecs.tensors import DATATYPES, pack
from payoff.records.columns import Column, Columns
from payoff.records.signature import Field, Type


def pick(request: Request, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The outputs to send, in the order asked; BadInput if there is no such output. Ask before the model runs."""
    if request.outputs is None:
        return tuple(fields)
    by_name = {field.name: field for field in fields}
    for name in request.outputs:
        if name not in by_name:
            refuse_unknown("output", name, [*by_name])
    return tuple(by_name[name] for name in request.outputs)


def reply(
    request: Request,
    name: str,
    version: str,
    outputs: Columns,
    fields: Sequence[Field],
    parameters: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> tuple[bytes, int | None]:
    """The response as the request wants it: the body, and Inference-Header-Content-Length if raw bytes follow the JSON.

    An output with nulls that raw bytes cannot say (any but floats, where NaN says it) comes as JSON all the same,
    which the protocol allows for each output on its own.
    """
    wanted = pick(request, fields)
    raw = [field for field in wanted if _is_raw(request, field, outputs[field.name])]
    if not raw:
        return encode(name, version, id or request.id, outputs, wanted, parameters), None
    parts = {field.name: pack(_raw_values(field, outputs[field.name])) for field in raw}
    tensors = [
        _head(field, outputs[field.name]) | {"parameters": {"binary_data_size": len(parts[field.name])}}
        if field.name in parts
        else _tensor(field, outputs[field.name])
        for field in wanted
    ]
    text = dump(_response(name, version, id or request.id, tensors, parameters))
    return b"".join([text, *parts.values()]), len(text)


def encode(
    name: str,
    version: str,
    id: str | None,
    outputs: Columns,
    fields: Sequence[Field],
    parameters: Mapping[str, Any] | None = None,
) -> bytes:
    """A response in JSON alone: each field as an output of the shape [n, *field.shape], its data flat.

    Nulls, NaN and Infinity are null; dates and times are BYTES with ISO text.
    """
    tensors = [_tensor(field, outputs[field.name]) for field in fields]
    return dump(_response(name, version, id, tensors, parameters))


def _response(
    name: str, version: str, id: str | None, tensors: list[dict[str, Any]], parameters: Mapping[str, Any] | None
) -> dict[str, Any]:
    said: dict[str, Any] = {"model_name": name, "model_version": version}
    if id is not None:
        said["id"] = id
    if parameters:
        said["parameters"] = parameters
    said["outputs"] = tensors
    return said


def _head(field: Field, column: Column) -> dict[str, Any]:
    return {"name": field.name, "datatype": DATATYPES[field.type], "shape": [len(column), *field.shape]}


def _tensor(field: Field, column: Column) -> dict[str, Any]:
    head = _head(field, column)
    valid = None if column.valid is None else column.valid.repeat(prod(field.shape))
    head["data"] = listed(Column(column.values.reshape(-1), valid))
    return head


def _is_raw(request: Request, field: Field, column: Column) -> bool:
    wanted = request.binary == "all" or field.name in request.binary
    return wanted and (field.type.is_float or column.valid is None or bool(column.valid.all()))


def _raw_values(field: Field, column: Column) -> NDArray[Any]:
    if field.type is Type.DATE:
        return np.array([day.isoformat() for day in column.values.reshape(-1).tolist()], object)
    if field.type is Type.TIMESTAMP:
        return np.array([f"{time.isoformat()}Z" for time in column.values.reshape(-1).tolist()], object)
    if column.valid is None or column.valid.all():
        return column.values
    values = column.values.copy()
    values[~column.valid] = np.nan
    return values
