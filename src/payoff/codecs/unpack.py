"""One Arrow array to NumPy values of a field's dtype: what fits is converted, what does not is named."""

from dataclasses import dataclass
from math import prod
from typing import Any, NoReturn

import numpy as np
import pyarrow
from numpy.typing import NDArray

from payoff.codecs.arrays import DAY_US, misfits
from payoff.codecs.cells import FIRST_US, LAST_US, Misfit, scalars
from payoff.codecs.checks import check_expanded, expected, first_bad, refuse
from payoff.codecs.untyped import Array, ChunkedArray, Scalar, pa, pc
from payoff.errors import BadInput
from payoff.records.signature import Field, Type

_MICROS = {"s": 1_000_000, "ms": 1_000}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows being read, and which of them have a value: for the message about a wrong one."""

    array: Array
    present: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.array) if self.present is None else len(self.present)

    def refuse(self, field: Field, place: int) -> NoReturn:
        row = int(place if self.present is None else self.present[place])
        refuse(field, row, _spoken(self.array[row]))


def _spoken(value: Scalar) -> Any:
    """The value as Python has it, or Arrow's own words for a time that Python's calendar does not reach."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return f"{value.type} {value.cast(pa.int32() if pa.types.is_date32(value.type) else pa.int64())}"


def unpack(field: Field, array: Array, rows: Rows) -> NDArray[Any]:
    """Values of the rows that are not null, of shape (those rows, *field.shape); BadInput names the first wrong one."""
    # Lists are flattened, which passes over null rows, and never filtered: take and filter of a slice of nested
    # fixed-size lists read memory outside of it (seen with pyarrow 26.0.1, tests/codecs/test_tables.py).
    flat, shape = array if field.shape else array.drop_null(), (len(rows), *field.shape)
    for axis, size in enumerate(field.shape):
        flat = _flatten(field, flat, size, prod(field.shape[:axis]), rows, nulls_ok=axis == 0)
    if flat.null_count:
        if not (field.nullable and field.type.is_float):
            rows.refuse(field, _first(_numpy(flat.is_null())) // prod(field.shape))
        flat = flat.cast(pa.float64()).fill_null(float("nan"))
    values, bad = _convert(field, flat)
    if bad is not None and bad.any():
        rows.refuse(field, _first(bad) // prod(field.shape))
    return values.astype(field.type.dtype, copy=False).reshape(shape)


def plain(chunked: ChunkedArray) -> Array:
    """One array, without the encodings that only say how the same values lie in memory."""
    array = chunked.chunk(0) if chunked.num_chunks == 1 else _joined(chunked)
    if isinstance(array, pa.ExtensionArray):
        array = _storage(array)
    if pa.types.is_dictionary(array.type):
        values = _unviewed(array.dictionary)
        check_expanded(_repeated_bytes(values, array.indices))
        array = pc.take(values, array.indices)
    if pa.types.is_run_end_encoded(array.type):
        check_expanded(len(array) * _longest_bytes(array.values))
        array = pc.run_end_decode(array)
    return _unviewed(array)


def _unviewed(array: Array) -> Array:
    if not pa.types.is_string_view(array.type):
        return array
    check_expanded(_viewed_bytes(array))
    return array.cast(pa.large_string())


def _repeated_bytes(values: Array, index: Array) -> int:
    """What the values take when each row has its own."""
    if not is_text(values.type):
        return len(index) * _longest_bytes(values)
    return int(pc.sum(pc.take(pc.binary_length(values), index)).as_py() or 0)


def _longest_bytes(values: Array) -> int:
    """At most so many bytes has one of the values."""
    if pa.types.is_nested(values.type) or not len(values):
        return int(values.nbytes)
    if is_text(values.type):
        return int(pc.max(pc.binary_length(values)).as_py() or 0)
    return int(values.nbytes) // len(values) + 1


def _viewed_bytes(views: Array) -> int:
    """What texts take that may all lie in the same place."""
    sizes = np.frombuffer(views.buffers()[1], np.int32)[::4][views.offset : views.offset + len(views)]
    return int(sizes[_numpy(views.is_valid())].sum(dtype=np.int64))


def is_text(kind: pyarrow.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_list(kind: pyarrow.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _joined(chunked: ChunkedArray) -> Array:
    return pa.concat_arrays(chunked.chunks) if chunked.num_chunks else pa.nulls(0, chunked.type)


def _storage(array: Array) -> Array:
    """A fixed-shape tensor as nested lists in row-major order; anything else as what it is stored as."""
    kind, flat = array.type, array.storage
    if not isinstance(kind, pa.FixedShapeTensorType) or len(kind.shape) == 1:
        return flat
    if kind.permutation not in (None, [*range(len(kind.shape))]):
        raise BadInput(f"tensors of the type {kind} are not in row-major order; send them in that order")
    if flat.null_count:
        raise BadInput(f"null rows in the type {kind} cannot be read; send nested lists of fixed size")
    flat = flat.flatten()
    for size in reversed(kind.shape):
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    return flat


def _flatten(field: Field, lists: Array, size: int, per_row: int, rows: Rows, nulls_ok: bool) -> Array:
    if not is_list(lists.type):
        _refuse_type(field, rows.array.type)
    lengths = pc.list_value_length(lists)
    right = _numpy(pc.fill_null(pc.equal(lengths.drop_null() if nulls_ok else lengths, size), False))
    if not right.all():
        rows.refuse(field, _first(~right) // per_row)
    return pc.list_flatten(lists)


def _convert(field: Field, flat: Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The values as NumPy has them, and which of them the field does not take."""
    kind = flat.type
    if (field.type is Type.TEXT and is_text(kind)) or (field.type is Type.BOOL and pa.types.is_boolean(kind)):
        return _numpy(flat), None
    if field.type.is_number and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        values = _numpy(flat)
        bad = misfits(values, field.type)
        return np.where(bad, 0, values) if bad.any() else values, bad
    if field.type in (Type.DATE, Type.TIMESTAMP):
        return _times(field, flat)
    _refuse_type(field, kind)


def _times(field: Field, flat: Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    if is_text(flat.type):
        return _parsed(field, flat.to_pylist())
    if pa.types.is_date32(flat.type):
        days = _numpy(flat.cast(pa.int32())).astype(np.int64)
        bad = misfits(days, Type.DATE)
        micros = np.where(bad, 0, days) * DAY_US
    elif pa.types.is_date64(flat.type) or pa.types.is_timestamp(flat.type):
        micros, bad = _micros(_numpy(flat.cast(pa.int64())), getattr(flat.type, "unit", "ms"))
    else:
        _refuse_type(field, flat.type)
    if field.type is Type.TIMESTAMP:
        return micros.view(Type.TIMESTAMP.dtype), bad
    return (micros // DAY_US).view(Type.DATE.dtype), bad | (micros % DAY_US != 0)


def _micros(raw: NDArray[np.int64], unit: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times in a unit as microseconds, and which of them have no such value in the years 1 to 9999."""
    if unit == "ns":
        return raw // 1_000, raw % 1_000 != 0
    factor = _MICROS.get(unit, 1)
    bad = (raw < FIRST_US // factor) | (raw > LAST_US // factor)
    return np.where(bad, 0, raw) * factor, bad


def _parsed(field: Field, texts: list[str]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    try:
        return scalars(field.type, texts), None
    except (Misfit, ValueError, OverflowError):
        bad = np.zeros(len(texts), bool)
        bad[first_bad(lambda start, stop: _parses(field, texts[start:stop]), len(texts))] = True
        return np.zeros(len(texts), field.type.dtype), bad


def _parses(field: Field, texts: list[str]) -> bool:
    try:
        scalars(field.type, texts)
    except (Misfit, ValueError, OverflowError):
        return False
    return True


def _numpy(array: Array) -> NDArray[Any]:
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _first(bad: NDArray[np.bool_]) -> int:
    return int(np.argmax(bad))


def _refuse_type(field: Field, kind: pyarrow.DataType) -> NoReturn:
    raise BadInput(f"column {field.name!r} is of the Arrow type {kind}; expected {expected(field)}")
