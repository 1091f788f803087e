"""What goes into a model and what comes out: named, typed columns with a shape per row."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class Type(StrEnum):
    """The type of one value in a column. Tensors are a type plus a shape."""

    TEXT = "text"
    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DATE = "date"
    TIMESTAMP = "timestamp"

    @property
    def dtype(self) -> np.dtype[Any]:
        """How a column of this type lies in memory: text as objects, dates as days, timestamps as UTC microseconds."""
        return _DTYPES.get(self) or np.dtype(self.value)

    @property
    def is_integer(self) -> bool:
        return self.dtype.kind in "iu"

    @property
    def is_float(self) -> bool:
        return self.dtype.kind == "f"

    @property
    def is_number(self) -> bool:
        return self.dtype.kind in "iuf"


_DTYPES: dict[Type, np.dtype[Any]] = {
    Type.TEXT: np.dtype(object),
    Type.BOOL: np.dtype(bool),
    Type.DATE: np.dtype("datetime64[D]"),
    Type.TIMESTAMP: np.dtype("datetime64[us]"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column: `shape` is the shape of one row's value, `()` for a plain number or text."""

    name: str
    type: Type
    shape: tuple[int, ...] = ()
    nullable: bool = False

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.type}{f'[{shape}]' if shape else ''}{' or null' if self.nullable else ''}"


@dataclass(frozen=True, slots=True)
class Signature:
    """The columns a version takes and the columns it answers with, in order."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
