"""Columns <-> Arrow tables, by the fields and with the same strictness as every other way in.

What a field takes from Arrow: any integer or float type whose values fit for a number (3.0 is a whole number, 3.5 is
not), any of the text types or a dictionary of them for text, `date32`, a midnight or ISO text for a date, any
timestamp that is whole in microseconds, a date or ISO text for a timestamp, lists (of fixed size or all of the right
length) and fixed-shape tensors for tensors. A null or a NaN needs a nullable field. Infinity is a number here.
"""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow
from numpy.typing import NDArray

from payoff.codecs.cells import nulls, settle, spread
from payoff.codecs.checks import check_names, check_unique, expected, refuse
from payoff.codecs.unpack import Rows, plain, unpack
from payoff.codecs.untyped import Array, ChunkedArray, pa
from payoff.errors import BadInput
from payoff.records.columns import Column, Columns
from payoff.records.signature import Field, Type

# Where pandas keeps the row labels of a frame that has any; nobody meant to send them.
_ROW_LABELS = re.compile(r"__index_level_[0-9]+__")

_ARROW: dict[Type, pyarrow.DataType] = {
    Type.TEXT: pa.string(),
    Type.BOOL: pa.bool_(),
    Type.DATE: pa.date32(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
    **{kind: pa.from_numpy_dtype(kind.dtype) for kind in Type if kind.is_number},
}


def arrow_type(field: Field) -> pyarrow.DataType:
    """The Arrow type of a field; a tensor is fixed-size lists, one level for each of its axes."""
    kind = _ARROW[field.type]
    for size in reversed(field.shape):
        kind = pa.list_(kind, size)
    return kind


def schema(fields: Sequence[Field]) -> pyarrow.Schema:
    """The Arrow schema of a table of these fields."""
    made: pyarrow.Schema = pa.schema(
        [pa.field(field.name, arrow_type(field), nullable=field.nullable) for field in fields]
    )
    return made


def to_arrow(columns: Columns, fields: Sequence[Field]) -> pyarrow.Table:
    """A table with one Arrow column per field, in their order."""
    return pyarrow.Table.from_arrays([_pack(field, columns[field.name]) for field in fields], schema=schema(fields))


def _pack(field: Field, column: Column) -> Array:
    mask = None if column.valid is None else ~column.valid
    if not field.shape:
        return pa.array(column.values, _ARROW[field.type], mask=mask)
    lists = pa.array(column.values.reshape(-1), _ARROW[field.type])
    for axis in reversed(range(len(field.shape))):
        # The mask is of rows, so it belongs to the outermost list, which is made last.
        here = pa.array(mask) if mask is not None and axis == 0 else None
        lists = pa.FixedSizeListArray.from_arrays(lists, type=pa.list_(lists.type, field.shape[axis]), mask=here)
    return lists


def from_arrow(
    table: pyarrow.Table, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset()
) -> dict[str, Column]:
    """One Column per field; raises BadInput. The table must be sound in Arrow's sense: `Table.validate(full=True)`."""
    present = set(table.column_names)
    check_unique(table.column_names)
    check_names([name for name in table.column_names if not _ROW_LABELS.fullmatch(name)], fields, extra_ok)
    return {
        field.name: from_array(field, table[field.name]) if field.name in present else nulls(field, table.num_rows)
        for field in fields
    }


def from_array(field: Field, chunked: ChunkedArray) -> Column:
    """One Arrow column as a Column of this field."""
    try:
        array = plain(chunked)
    except pa.ArrowException as error:
        raise BadInput(
            f"column {field.name!r} is of the Arrow type {chunked.type}, which cannot be read here ({error}); "
            f"expected {expected(field)}"
        ) from error
    if pa.types.is_null(array.type):
        array = pa.nulls(len(array), arrow_type(field))
    if not array.null_count:
        return settle(field, Column(unpack(field, array, Rows(array))))
    valid: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    if not field.nullable:
        refuse(field, int(np.argmin(valid)), None)
    return settle(field, spread(field, unpack(field, array, Rows(array, np.flatnonzero(valid))), valid))
