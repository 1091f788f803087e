"""One input of the Open Inference Protocol: tensors as they came to a column, one or a whole batch at once."""

from collections.abc import Sequence
from math import prod
from struct import error, pack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.arrays import misfits
from payoff.codecs.cells import TAKES, Misfit, column, flatten, narrow, settle
from payoff.codecs.checks import refuse, shorten
from payoff.codecs.tensors import DATATYPES, DTYPES, unpack
from payoff.errors import BadInput
from payoff.records.columns import Column, concat
from payoff.records.signature import Field, Type

# How the standard library packs these; it refuses what does not fit, and is the fastest way there is.
CODES = {
    Type.INT8: "b", Type.INT16: "h", Type.INT32: "i", Type.INT64: "q", Type.UINT8: "B", Type.UINT16: "H",
    Type.UINT32: "I", Type.UINT64: "Q", Type.FLOAT32: "f", Type.FLOAT64: "d",
}  # fmt: skip


class Said(NamedTuple):
    """A tensor as it came."""

    tensor: dict[str, Any]
    rows: int
    raw: memoryview | None  # its bytes, if they did not come as JSON
    numbers: bool  # there are no booleans in its data, that is known


class Input:
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
        self._datatype = DATATYPES[field.type]
        self._is_float = field.type.is_float
        self._code = CODES.get(field.type, "")

    def rows(self, shape: Any) -> int:
        """n, where the shape is one the field takes."""
        if type(shape) is list and shape and type(shape[0]) is int and shape[0] >= 0:
            rest = shape[1:]
            if rest == self._shape or (not self._shape and rest == [1]):
                return shape[0]
        wanted = ", ".join(map(str, ["n", *self._shape]))
        raise BadInput(f"{self._where} has the shape {shorten(shape)}; expected [{wanted}] for n rows")

    def columns(self, said: Sequence["Said | Column"]) -> Column:
        """The data of one or many tensors, one after the other."""
        values = self._at_once(said) if self._code else None
        if values is not None:
            return Column(values)
        found = [{"": one if isinstance(one, Column) else self._column(one)} for one in said]
        return concat(found)[""]

    def _at_once(self, said: Sequence["Said | Column"]) -> NDArray[Any] | None:
        """Numbers without anything unusual about them, in one go; None if in doubt."""
        parts: list[Any] = []
        rows = 0
        for one in said:
            if isinstance(one, Column) or one.tensor.get("datatype") not in self._takes:
                return None
            if (part := self._part(one)) is None:
                return None
            parts.append(part)
            rows += one.rows
        values: NDArray[Any] = np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), self._dtype)
        if self._is_float and any(type(part) is memoryview for part in parts) and np.isnan(values).any():
            return None
        return values.reshape(rows, *self._shape)

    def _part(self, one: "Said") -> Any:
        """One tensor's elements as they lie in memory; None if in doubt."""
        count = one.rows * self._size
        if one.raw is not None:
            fits = one.tensor["datatype"] == self._datatype and len(one.raw) == count * self._dtype.itemsize
            return one.raw if fits else None
        data = one.tensor.get("data")
        if type(data) is not list or not (one.numbers or self._direct.issuperset(map(type, data))):
            return None
        try:
            return pack(f"={count}{self._code}", *data)
        except (error, OverflowError):
            return None

    def _column(self, said: "Said") -> Column:
        tensor, rows = said.tensor, said.rows
        datatype = tensor.get("datatype")
        if type(datatype) is not str or datatype not in self._takes:
            raise BadInput(
                f"{self._where} has the datatype {shorten(datatype)}; {self.field} takes {', '.join(self._takes)}"
            )
        if said.raw is not None:
            return self._from_raw(said.raw, datatype, rows)
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
