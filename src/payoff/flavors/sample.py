"""A sample as it comes (an Arrow table of whatever file) into typed columns. Workers never come here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

ROWS_MAX = 1_000
_BYTES_MAX = 64 << 20


def rows_of(table: pa.Table, rows_max: int = ROWS_MAX) -> Rows:
    """The first rows, at most `rows_max`, as columns of our types.

    Whole numbers become int64 and other numbers float64: how narrow a sample was stored says nothing about what may
    come later. A column is nullable where the sample has a null (or NaN) in it.
    BadInput: no rows or columns, a name twice, or a column of a type that no field has.
    """
    if table.num_rows == 0 or table.num_columns == 0:
        raise BadInput("the sample has no rows; give some 100 rows of what the model is asked, features only")
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"the sample has more than one column called {', '.join(map(repr, twice))}")
    fields, columns = [], {}
    for name in names:
        kind, column = _column(name, table[name].slice(0, rows_max))
        nullable = column.valid is not None
        fields.append(Field(name, kind, column.values.shape[1:], nullable))
        columns[name] = column
    return _bounded(Rows(tuple(fields), columns))


def _column(name: str, chunked: Any) -> tuple[Type, Column]:
    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_list(array.type):
        return _tensor(name, array)
    kind, target = _kind(name, array.type)
    try:
        return kind, _values(kind, array.cast(target))
    except pa.ArrowInvalid as error:
        raise BadInput(f"column {name!r} of the sample cannot be read as {kind}: {error}") from error


def _kind(name: str, type_: pa.DataType) -> tuple[Type, pa.DataType]:
    """Our type for an Arrow type, and the Arrow type to read it through."""
    is_ = pa.types
    if is_.is_string(type_) or is_.is_large_string(type_) or is_.is_string_view(type_):
        return Type.TEXT, pa.string()
    if is_.is_boolean(type_):
        return Type.BOOL, pa.bool_()
    if is_.is_uint64(type_):
        return Type.UINT64, pa.uint64()
    if is_.is_integer(type_):
        return Type.INT64, pa.int64()
    if is_.is_floating(type_) or is_.is_decimal(type_):
        return Type.FLOAT64, pa.float64()
    if is_.is_date(type_):
        return Type.DATE, pa.date32()
    if is_.is_timestamp(type_):
        return Type.TIMESTAMP, pa.timestamp("us")
    if is_.is_null(type_):
        raise BadInput(
            f"column {name!r} of the sample has no value in any row; leave it out or give rows that have one"
        )
    raise BadInput(
        f"column {name!r} of the sample is {type_}; expected are text, numbers, booleans, dates, equal lists"
    )


def _values(kind: Type, array: Any) -> Column:
    valid = None if array.null_count == 0 else np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
    if kind is Type.TEXT:
        return Column(np.array(array.fill_null("").to_pylist(), object), valid)
    if kind is Type.DATE:
        return Column(_numbers(array.cast(pa.int32())).astype(np.int64).view("datetime64[D]"), valid)
    if kind is Type.TIMESTAMP:
        return Column(_numbers(array.cast(pa.int64())).view("datetime64[us]"), valid)
    values = _numbers(array)
    if kind is Type.FLOAT64 and np.isnan(values).any():
        valid = ~np.isnan(values) if valid is None else valid & ~np.isnan(values)
    return Column(values, valid)


def _numbers(array: Any) -> NDArray[Any]:
    fill = False if pa.types.is_boolean(array.type) else 0
    return np.array(array.fill_null(fill).to_numpy(zero_copy_only=False))


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)


def _tensor(name: str, array: Any) -> tuple[Type, Column]:
    """Lists of equal length, of lists or numbers, as one array; numbers keep their type here."""
    shape: list[int] = []
    while _is_list(array.type):
        lengths = pc.unique(pc.list_value_length(array))
        if array.null_count or len(lengths) != 1 or not lengths[0].as_py():
            raise BadInput(
                f"column {name!r} of the sample has lists of unequal length, or nulls; a tensor needs one shape"
            )
        shape.append(lengths[0].as_py())
        array = array.flatten()
    if array.null_count or not (
        pa.types.is_integer(array.type)
        or pa.types.is_floating(array.type)
        or pa.types.is_string(array.type)
        or pa.types.is_boolean(array.type)
    ):
        raise BadInput(
            f"column {name!r} of the sample has lists of {array.type} or nulls in them; numbers are expected"
        )
    kind, _ = _kind(name, array.type)
    if kind is Type.TEXT:
        values: NDArray[Any] = np.array(array.to_pylist(), object)
    else:
        values = np.array(array.to_numpy(zero_copy_only=False))
        kind = Type(values.dtype.name) if values.dtype.kind in "iuf" and values.dtype.itemsize > 1 else kind
        values = values.astype(kind.dtype)
    return kind, Column(values.reshape(-1, *shape))


def _bounded(rows: Rows) -> Rows:
    """Fewer rows where they are large, such as images: what is checked at every start must stay small."""
    n = len(rows)
    size = sum(column.values.nbytes for column in rows.columns.values())
    keep = n if size <= _BYTES_MAX else max(1, n * _BYTES_MAX // size)
    if keep == n:
        return rows
    return Rows(rows.fields, {name: column.take(slice(0, keep)) for name, column in rows.columns.items()})
