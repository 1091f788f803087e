"""Columns as JSON Schema (2020-12): what callers may send to an endpoint, for documents and code generators."""

from collections.abc import Sequence
from typing import Any

from payoff.records import Field, Type

_PLAIN: dict[Type, dict[str, Any]] = {
    Type.TEXT: {"type": "string"},
    Type.BOOL: {"type": "boolean"},
    Type.DATE: {"type": "string", "format": "date"},
    Type.TIMESTAMP: {"type": "string", "format": "date-time"},
}


def record_schema(fields: Sequence[Field]) -> dict[str, Any]:
    """One row: a property per column; what is not nullable is required, and nothing else is taken."""
    return {
        "type": "object",
        "properties": {field.name: field_schema(field) for field in fields},
        "required": [field.name for field in fields if not field.nullable],
        "additionalProperties": False,
    }


def field_schema(field: Field) -> dict[str, Any]:
    """One value of a column: the range of an integer type is part of it, a shape makes nested lists."""
    found = dict(_PLAIN.get(field.type) or _number(field.type))
    for size in reversed(field.shape):
        found = {"type": "array", "items": found, "minItems": size, "maxItems": size}
    return {"anyOf": [found, {"type": "null"}]} if field.nullable else found


def _number(kind: Type) -> dict[str, Any]:
    if not kind.is_integer:
        return {"type": "number"}
    bits = kind.dtype.itemsize * 8
    low, high = (0, 2**bits - 1) if kind.dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return {"type": "integer", "minimum": low, "maximum": high}
