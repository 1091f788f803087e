"""Open Inference Protocol v2 over HTTP: an inference request to columns, with or without binary tensor data.

One input per field. A plain field takes the shape [n] or [n, 1], a tensor field [n, *shape]; n is the same in every
input. Data is flat or nested. Every number datatype may go to every number field whose values it fits; dates and
times are BYTES with ISO text. A nullable input may be missing; null in JSON data is a null, and so is NaN in raw
bytes. Shared memory and the classification extension are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from payoff.codecs.arrays import misfits
from payoff.codecs.cells import TAKES, Misfit, column, flatten, narrow, nulls, settle
from payoff.codecs.checks import check_count, check_unique, expected, refuse, refuse_unknown, shorten
from payoff.codecs.codec import ROWS_MAX, prepared
from payoff.codecs.jsontext import parse
from payoff.codecs.tensors import DATATYPES, DTYPES, unpack
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field, Type


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks: `outputs` None means all of them; `binary` are the outputs wanted as raw bytes."""

    id: str | None
    columns: dict[str, Column]
    outputs: tuple[str, ...] | None
    parameters: dict[str, Any]
    binary: frozenset[str] | Literal["all"]


def decode(
    body: bytes, fields: Sequence[Field], header_length: int | None = None, *, rows_max: int = ROWS_MAX
) -> Request:
    """A request; `header_length` is the header Inference-Header-Content-Length, if it came. Raises as Decode."""
    return prepared(Oip, tuple(fields), rows_max)(body, header_length)


class Oip:
    """A decoder for one list of fields: what can be worked out from the fields alone is worked out here, once."""

    def __init__(self, fields: tuple[Field, ...], rows_max: int = ROWS_MAX) -> None:
        self._inputs = {field.name: _Input(field) for field in fields}
        self._rows_max = rows_max

    def __call__(self, body: bytes, header_length: int | None = None) -> Request:
        said, raw = split(body, header_length)
        inputs = said.get("inputs")
        if type(inputs) is not list:
            raise BadInput(f"inputs is {shorten(inputs)}; expected a list of tensors: name, shape, datatype, data")
        columns = self._columns(inputs, raw)
        parameters = _parameters(said)
        outputs, binary = _outputs(said.get("outputs"), parameters)
        return Request(_id(said), columns, outputs, parameters, binary)

    def _columns(self, tensors: list[Any], raw: memoryview | None) -> dict[str, Column]:
        found: dict[str, Column] = {}
        rest = _Raw(raw)
        rows = None
        for tensor in tensors:
            held, name = self._input(tensor)
            n = held.rows(tensor.get("shape"))
            if rows is None:
                check_count(n, self._rows_max)
                rows, first = n, name
            if n != rows:
                raise BadInput(f"input {first!r} has {rows} rows and input {name!r} has {n}; expected as many in each")
            if name in found:
                raise BadInput(f"input {name!r} comes twice; send it once")
            found[name] = held.column(tensor, n, rest)
        rest.check_empty()
        return {name: found[name] if name in found else self._missing(name, rows or 0) for name in self._inputs}

    def _input(self, tensor: Any) -> tuple["_Input", str]:
        name = tensor.get("name") if type(tensor) is dict else None
        if type(name) is not str:
            raise BadInput(f"an input is {shorten(tensor)}; expected an object with name, shape, datatype and data")
        held = self._inputs.get(name)
        if held is None:
            refuse_unknown("input", name, [*self._inputs])
        return held, name

    def _missing(self, name: str, rows: int) -> Column:
        field = self._inputs[name].field
        if not field.nullable:
            raise BadInput(f"missing input {name!r}; expected {expected(field)}")
        return nulls(field, rows)


class _Raw:
    """The bytes behind the JSON, handed out in the order of the inputs."""

    def __init__(self, raw: memoryview | None) -> None:
        self._raw, self._at = raw, 0

    def take(self, size: Any, where: str) -> memoryview:
        if type(size) is not int or size < 0:
            raise BadInput(f"{where}: binary_data_size is {shorten(size)}; expected a number of bytes")
        if self._raw is None:
            raise BadInput(f"{where} has binary_data_size but the header Inference-Header-Content-Length is missing")
        if self._at + size > len(self._raw):
            raise BadInput(f"{where} ends after byte {self._at + size} of the binary data; it has {len(self._raw)}")
        self._at += size
        return self._raw[self._at - size : self._at]

    def check_empty(self) -> None:
        if self._raw is not None and self._at != len(self._raw):
            raise BadInput(f"the inputs use {self._at} bytes of binary data; the body has {len(self._raw)}")


class _Input:
    """One field as an input tensor."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._takes = takes(field.type)
        self._where = f"input {field.name!r}"
        self._shape = list(field.shape)
        self._size = prod(field.shape)
        # Flat data of these exact Python types goes to NumPy as it is.
        self._direct = TAKES[field.type] if field.type.is_number or field.type is Type.BOOL else frozenset()
        self._dtype = field.type.dtype

    def rows(self, shape: Any) -> int:
        """n, where the shape is one the field takes."""
        if type(shape) is list and shape and type(shape[0]) is int and shape[0] >= 0:
            rest = shape[1:]
            if rest == self._shape or (not self._shape and rest == [1]):
                return shape[0]
        wanted = ", ".join(map(str, ["n", *self._shape]))
        raise BadInput(f"{self._where} has the shape {shorten(shape)}; expected [{wanted}] for n rows")

    def column(self, tensor: dict[str, Any], rows: int, raw: _Raw) -> Column:
        """The tensor's data, from the JSON or from the raw bytes."""
        datatype = tensor.get("datatype")
        if type(datatype) is not str or datatype not in self._takes:
            raise BadInput(
                f"{self._where} has the datatype {shorten(datatype)}; {self.field} takes {', '.join(self._takes)}"
            )
        parameters = tensor.get("parameters")
        if parameters:
            if type(parameters) is not dict or "shared_memory_region" in parameters:
                raise BadInput(f"{self._where}: shared memory is not supported; send the data in the body")
            if "binary_data_size" in parameters:
                return self._from_raw(raw.take(parameters["binary_data_size"], self._where), datatype, rows)
        data = tensor.get("data")
        if type(data) is not list:
            raise BadInput(f"{self._where} has the data {shorten(data)}; expected a list, flat or nested as its shape")
        return self._from_json(data, rows)

    def _from_json(self, data: list[Any], rows: int) -> Column:
        if data and (type(data[0]) is list or (self._shape and len(data) == rows != rows * self._size)):
            return self._from_nested(data, rows)
        self._check_size(len(data), rows * self._size)
        try:
            if self._direct.issuperset(map(type, data)) and (self.field.type is not Type.FLOAT32 or narrow(data)):
                return Column(np.array(data, self._dtype).reshape(rows, *self._shape))
        except OverflowError:
            pass  # the careful way names the element
        return column(self.field, self._nest(data, rows))

    def _nest(self, flat: list[Any], rows: int) -> list[Any]:
        """Row-major elements as one nested list per row; a row of nothing but nulls is a null row."""
        size = self._size
        if not self._shape:
            return flat
        parts = [flat[start : start + size] for start in range(0, rows * size, size)] if size else [[]] * rows
        return [None if size and part.count(None) == size else _nested(part, self.field.shape) for part in parts]

    def _from_nested(self, data: list[Any], rows: int) -> Column:
        self._check_size(len(data), rows)
        if self._shape:
            return column(self.field, data)
        try:
            return column(self.field, flatten(data, (1,)))
        except Misfit:
            raise BadInput(f"{self._where} has the shape [n, 1]; expected a list of one value for each row") from None

    def _check_size(self, got: int, needed: int) -> None:
        if got != needed:
            raise BadInput(f"{self._where} has {got} elements; its shape needs {needed}")

    def _from_raw(self, raw: memoryview, datatype: str, rows: int) -> Column:
        values = unpack(raw, datatype, rows * self._size, self._where)
        if self.field.type in (Type.DATE, Type.TIMESTAMP):
            return column(self.field, self._nest(values.tolist(), rows))
        if values.dtype != self._dtype:
            bad = misfits(values, self.field.type)
            if bad.any():
                at = int(np.argmax(bad))
                refuse(self.field, at // self._size, values[at].item())
        return settle(self.field, Column(values.astype(self._dtype, copy=False).reshape(rows, *self._shape)))


def takes(kind: Type) -> tuple[str, ...]:
    """The datatypes that a field of this type takes."""
    if kind.is_number:
        return tuple(name for name in DTYPES if name != "BOOL")
    return (DATATYPES[kind],)


def _nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """One row's elements in lists of lists."""
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else [[]] * shape[0]
    return flat


def split(body: bytes, header_length: int | None) -> tuple[dict[str, Any], memoryview | None]:
    """The JSON object, and the bytes behind it if a header length says where they begin."""
    raw = None
    text: bytes | memoryview = body
    if header_length is not None:
        if not 0 <= header_length <= len(body):
            raise BadInput(f"Inference-Header-Content-Length is {header_length}; the body has {len(body)} bytes")
        text, raw = memoryview(body)[:header_length], memoryview(body)[header_length:]
    said = parse(text)
    if type(said) is not dict:
        raise BadInput(f"body is {shorten(said)}; expected an object with inputs")
    return said, raw


def _id(said: dict[str, Any]) -> str | None:
    given = said.get("id")
    if given is not None and type(given) is not str:
        raise BadInput(f"id is {shorten(given)}; expected text")
    return given


def _parameters(said: dict[str, Any]) -> dict[str, Any]:
    given = said.get("parameters")
    if given is None:
        return {}
    if type(given) is not dict:
        raise BadInput(f"parameters is {shorten(given)}; expected an object")
    return given


def _outputs(said: Any, parameters: dict[str, Any]) -> tuple[tuple[str, ...] | None, frozenset[str] | Literal["all"]]:
    """The outputs asked for, and those of them wanted as raw bytes: by their own word, or by the request's."""
    by_default = parameters.get("binary_data_output") is True
    if said is None or said == []:
        return None, "all" if by_default else frozenset()
    if type(said) is not list:
        raise BadInput(f"outputs is {shorten(said)}; expected a list of objects with a name")
    names, binary = [], set()
    for output in said:
        name = output.get("name") if type(output) is dict else None
        about = output.get("parameters") or {} if type(output) is dict else {}
        if type(name) is not str or type(about) is not dict:
            raise BadInput(f"an output is {shorten(output)}; expected an object with a name")
        for extension in ("classification", "shared_memory_region"):
            if extension in about:
                raise BadInput(f"output {shorten(name)}: {extension} is not supported; ask for the output itself")
        names.append(name)
        if about.get("binary_data", by_default) is True:
            binary.add(name)
    check_unique(names)
    return tuple(names), frozenset(binary)
