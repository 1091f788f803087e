"""Open Inference Protocol v2 from the asking side: columns to an inference request, a response to columns.

The other end may be any server, so a response is read with as much suspicion as a request: what does not fit what it
says of itself is BadInput, which the asker turns into words about that server.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from payoff.codecs.arrays import misfits
from payoff.codecs.cells import Misfit, column, flatten
from payoff.codecs.checks import refuse, shorten
from payoff.codecs.oip import split
from payoff.codecs.tensors import BYTES, DATATYPES, DTYPES, bfloat16, pack, unpack
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

TYPES: dict[str, Type] = {name: kind for kind, name in DATATYPES.items() if name != BYTES}
TYPES |= {"FP16": Type.FLOAT32, "BF16": Type.FLOAT32, BYTES: Type.TEXT}
_DIMS_MAX = 8


@dataclass(frozen=True, slots=True)
class Said:
    """A tensor as a server describes it; `shape` has -1 where any size goes."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def described(said: Any, what: str) -> tuple[Said, ...]:
    """The `inputs` or `outputs` of a model's metadata; `what` names them in messages."""
    if said is None:
        return ()
    if type(said) is not list:
        raise BadInput(f"its {what} are {shorten(said)}; expected a list of tensors")
    return tuple(_described(one, what, -1) for one in said)


def _described(one: Any, what: str, least: int) -> Said:
    told: dict[str, Any] = one if type(one) is dict else {}
    name, datatype, shape = told.get("name"), told.get("datatype"), told.get("shape", ())
    if type(name) is not str or type(datatype) is not str or datatype not in TYPES or not _is_shape(shape, least):
        raise BadInput(f"one of its {what} is {shorten(one)}; expected name, shape and one of {', '.join(TYPES)}")
    return Said(name, datatype, tuple(shape))


def _is_shape(shape: Any, least: int) -> bool:
    return type(shape) is list and len(shape) <= _DIMS_MAX and all(type(n) is int and n >= least for n in shape)


def encode(
    tensors: Mapping[str, NDArray[Any]], datatypes: Mapping[str, str], outputs: Sequence[str] | None, binary: bool
) -> tuple[bytes, int | None]:
    """A request of these tensors, and the length of its JSON if raw bytes follow it. `outputs` None: all there are."""
    said: dict[str, Any] = {"inputs": []}
    raw: list[bytes] = []
    for name, values in tensors.items():
        tensor: dict[str, Any] = {"name": name, "shape": values.shape, "datatype": datatypes[name]}
        if binary:
            raw.append(pack(bfloat16(values) if datatypes[name] == "BF16" else values))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = np.ascontiguousarray(values).reshape(-1) if values.dtype != object else [*values.flat]
        said["inputs"].append(tensor)
    if binary:
        said["parameters"] = {"binary_data_output": True}
    if outputs is not None:
        wanted = {"parameters": {"binary_data": True}} if binary else {}
        said["outputs"] = [{"name": name, **wanted} for name in outputs]
    text = orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([text, *raw]), len(text)) if binary else (text, None)


def decode(body: bytes, header_length: int | None, rows: int) -> dict[str, tuple[Field, Column]]:
    """What a response holds, by name: each output as a field and a column of `rows` rows.

    A field is plain for the shapes [n] and [n, 1]. It is nullable where there is a null, or NaN. BadInput if the
    response is not one, or not for so many rows.
    """
    said, raw = _read(body, header_length)
    outputs = said.get("outputs")
    if type(outputs) is not list:
        raise BadInput(f"its outputs are {shorten(outputs)}; expected a list of tensors")
    found: dict[str, tuple[Field, Column]] = {}
    at = 0
    for tensor in outputs:
        one = _described(tensor, "outputs", 0)
        size = _raw_size(tensor)
        if size is None:
            found[one.name] = _told(one, _from_json(one, tensor.get("data")), rows)
            continue
        if raw is None or at + size > len(raw):
            raise BadInput(f"output {one.name!r} ends after the {len(raw or b''):,} bytes of binary data")
        found[one.name] = _told(one, _from_raw(one, raw[at : at + size]), rows)
        at += size
    return found


def _read(body: bytes, header_length: int | None) -> tuple[dict[str, Any], memoryview | None]:
    """As a request is read, but NaN and Infinity may stand there: many servers write them, though they are no JSON."""
    try:
        return split(body, header_length)
    except BadInput:
        text = body[:header_length]
        if b"NaN" not in text and b"Infinity" not in text:
            raise
        try:
            plain = orjson.dumps(json.loads(text))
        except (ValueError, TypeError, RecursionError):
            plain = b""
        if not plain:
            raise
    return split(plain + body[len(text) :], None if header_length is None else len(plain))


def _raw_size(tensor: dict[str, Any]) -> int | None:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if size is not None and (type(size) is not int or size < 0):
        raise BadInput(f"binary_data_size is {shorten(size)}; expected a number of bytes")
    return size


def _from_raw(one: Said, raw: memoryview) -> Column:
    values = unpack(raw, one.datatype, prod(one.shape), f"output {one.name!r}")
    return Column(values.astype(TYPES[one.datatype].dtype, copy=False))


def _from_json(one: Said, data: Any) -> Column:
    if type(data) is not list:
        raise BadInput(f"output {one.name!r} has the data {shorten(data)}; expected a list")
    try:
        flat = flatten(data, one.shape[1:]) if data and type(data[0]) is list else data
    except Misfit:
        raise BadInput(f"the lists of output {one.name!r} are not those of its shape {list(one.shape)}") from None
    if len(flat) != prod(one.shape):
        raise BadInput(f"output {one.name!r} has {len(flat)} elements; its shape is {list(one.shape)}")
    return column(Field(one.name, TYPES[one.datatype], nullable=True), flat)


def _told(one: Said, flat: Column, rows: int) -> tuple[Field, Column]:
    """A row of a tensor is null as soon as one of its elements is, unless NaN can say it."""
    if not one.shape or one.shape[0] != rows:
        raise BadInput(f"output {one.name!r} has the shape {list(one.shape)} in answer to {rows} rows")
    shape = () if one.shape[1:] == (1,) else one.shape[1:]
    kind = TYPES[one.datatype]
    values, valid = flat.values.reshape(rows, *shape), flat.valid
    if kind.is_float and not shape:
        known = ~np.isnan(values) if valid is None else valid & ~np.isnan(values)
    elif kind.is_float or valid is None:
        known = np.ones(rows, bool)
    else:
        known = valid.reshape(rows, -1).all(axis=1)
    nullable = not known.all()
    return Field(one.name, kind, shape, nullable), Column(values, known if nullable else None)


def settle(field: Field, got: Field, column: Column) -> Column:
    """An answer as the field that was agreed on; BadInput for another shape or type, or a null that is not expected."""
    if got.shape != field.shape:
        raise BadInput(f"output {field.name!r} has the shape {list(got.shape)} per row; it had {list(field.shape)}")
    if got.nullable and not field.nullable and not field.type.is_float:
        row = int(np.argmin(column.valid)) if column.valid is not None else 0
        raise BadInput(f"output {field.name!r} is null in row {row}, and it was never null in the sample")
    valid = column.valid if field.nullable else None  # a float stays NaN
    if got.type is field.type:
        return Column(column.values, valid)
    if not (got.type.is_number and field.type.is_number):
        raise BadInput(f"output {field.name!r} is {got.type}; it was {field.type}")
    bad = misfits(column.values, field.type)
    if bad.any():
        at = int(np.argmax(bad))
        refuse(field, at // prod(field.shape), column.values.reshape(-1)[at].item())
    return Column(column.values.astype(field.type.dtype), valid)


def as_text(values: NDArray[Any], kind: Type) -> NDArray[Any]:
    """Dates and times as the ISO text in which they travel."""
    end = "Z" if kind is Type.TIMESTAMP else ""
    texts = np.array([f"{one.isoformat()}{end}" for one in values.reshape(-1).tolist()], object)
    return texts.reshape(values.shape)


assert set(DTYPES) <= set(TYPES)  # noqa: S101
