"""What the fields are, judging by sample rows: the signature of a model that does not say it itself."""

import pyarrow as pa

from payoff.codecs.checks import check_unique
from payoff.codecs.unpack import is_list, is_text, plain
from payoff.codecs.untyped import Array, ChunkedArray, pc
from payoff.errors import BadInput
from payoff.records.signature import Field, Type

_KNOWN: dict[pa.DataType, Type] = {
    pa.bool_(): Type.BOOL,
    pa.float16(): Type.FLOAT32,
    pa.date32(): Type.DATE,
    pa.date64(): Type.DATE,
    **{pa.from_numpy_dtype(kind.dtype): kind for kind in Type if kind.is_number},
}


def fields(table: pa.Table) -> tuple[Field, ...]:
    """One field per column, in their order; nullable where the sample has a null or a NaN. BadInput names the others.

    Lists that have the same length in every row are tensors.
    """
    check_unique(table.column_names)
    return tuple(_field(name, table[name]) for name in table.column_names)


def _field(name: str, chunked: ChunkedArray) -> Field:
    array = plain(chunked)
    kind, shape, nullable = array.type, [], array.null_count > 0
    if pa.types.is_null(kind) or (len(array) and array.null_count == len(array)):
        raise BadInput(f"column {name!r} has no value in the sample; give a row that has one, or leave the column out")
    while is_list(kind):
        shape.append(_size(name, array))
        array = pc.list_flatten(array)
        kind = array.type
        nullable = nullable or (array.null_count > 0 and not is_list(kind))
    found = _KNOWN.get(kind) or (
        Type.TEXT if is_text(kind) else Type.TIMESTAMP if pa.types.is_timestamp(kind) else None
    )
    if found is None:
        raise BadInput(f"column {name!r} is of the type {chunked.type}, which no field can be; {_advice(kind)}")
    nullable = nullable or (found.is_float and bool(pc.any(pc.is_nan(array)).as_py()))
    return Field(name, found, tuple(shape), nullable)


def _size(name: str, lists: Array) -> int:
    if pa.types.is_fixed_size_list(lists.type):
        return int(lists.type.list_size)
    lengths = pc.unique(pc.list_value_length(lists).drop_null()).to_pylist()
    if len(lengths) != 1:
        raise BadInput(
            f"column {name!r} has lists of {len(lengths)} different lengths; a tensor needs one length in every row"
        )
    return int(lengths[0])


def _advice(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return "turn it into float64"
    if pa.types.is_struct(kind):
        return "make each of its parts a column"
    return "use numbers, true and false, text, dates, timestamps, or lists of them"
