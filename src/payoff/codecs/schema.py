"""A signature in the words of others: JSON Schema for rows (OpenAPI 3.1), and tensor metadata for the Open Inference
Protocol."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from payoff.codecs.tensors import DATATYPES
from payoff.records.signature import Field, Signature, Type

_PLAIN: dict[Type, dict[str, Any]] = {
    Type.TEXT: {"type": "string"},
    Type.BOOL: {"type": "boolean"},
    Type.FLOAT32: {"type": "number", "format": "float"},
    Type.FLOAT64: {"type": "number", "format": "double"},
    Type.DATE: {"type": "string", "format": "date"},
    Type.TIMESTAMP: {"type": "string", "format": "date-time"},
}


def value(field: Field) -> dict[str, Any]:
    """The schema of one value of a field."""
    nullable_elements = bool(field.shape) and field.nullable and field.type.is_float
    said = _or_null(_plain(field.type), nullable_elements)
    for size in reversed(field.shape):
        said = {"type": "array", "items": said, "minItems": size, "maxItems": size}
    return _or_null(said, field.nullable)


def record(fields: Sequence[Field]) -> dict[str, Any]:
    """The schema of one row as a JSON object: nullable fields may be left out, others may not be added."""
    return {
        "type": "object",
        "properties": {field.name: value(field) for field in fields},
        "required": [field.name for field in fields if not field.nullable],
        "additionalProperties": False,
    }


def body(fields: Sequence[Field]) -> dict[str, Any]:
    """The schema of a request body: every form that `payoff.codecs.rows` reads."""
    row, columns = record(fields), _columns(fields)
    rows = {"type": "array", "items": row}
    return {"anyOf": [row, rows, columns, _envelope("rows", rows), _envelope("columns", columns)]}


def tensors(fields: Sequence[Field], plain: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """Inputs or outputs as an Open Inference Protocol server describes them; -1 is the number of rows. `plain` is what
    is said of the row of a field that is no tensor."""
    return [
        {"name": field.name, "datatype": DATATYPES[field.type], "shape": [-1, *(field.shape or plain)]}
        for field in fields
    ]


def metadata(name: str, versions: Sequence[str], signature: Signature) -> dict[str, Any]:
    """The model metadata of the Open Inference Protocol.

    A plain input is told as [-1, 1] and may come as [n] too: tools for load, which send one row after another, take an
    input whose row has no dimension for one of an unknown shape.
    """
    return {
        "name": name,
        "versions": list(versions),
        "platform": "payoff",
        "inputs": tensors(signature.inputs, plain=(1,)),
        "outputs": tensors(signature.outputs),
    }


def _plain(kind: Type) -> dict[str, Any]:
    if not kind.is_integer:
        return dict(_PLAIN[kind])
    span = np.iinfo(kind.dtype)
    return {"type": "integer", "format": kind.value, "minimum": int(span.min), "maximum": int(span.max)}


def _or_null(said: dict[str, Any], nullable: bool) -> dict[str, Any]:
    return said | {"type": [said["type"], "null"]} if nullable else said


def _columns(fields: Sequence[Field]) -> dict[str, Any]:
    lists = {field.name: {"type": "array", "items": value(field)} for field in fields}
    return record(fields) | {"properties": lists}


def _envelope(key: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: inner}, "required": [key], "additionalProperties": False}
