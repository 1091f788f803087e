"""The columns of an answer as pieces of bytes, one for each row or call, so that a batch is written in one go.

JSON comes out of one call of orjson over the whole column and is cut at its commas. Numbers are as short as their type
allows (0.1 in float32 is 0.1), NaN and Infinity are null, for JSON has no word for them; times are UTC with a Z.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from payoff.codecs.cells import listed
from payoff.codecs.tensors import pack
from payoff.errors import ModelFailed
from payoff.records.columns import Column
from payoff.records.signature import Field, Type
from payoff.records.texts import Texts

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_UNLIKE_NUMBERS = (Type.TEXT, Type.DATE, Type.TIMESTAMP)


def dump(said: Any) -> bytes:
    """JSON text of plain values; a text that is no Unicode is the model's fault."""
    try:
        return orjson.dumps(said, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError as error:
        raise ModelFailed(f"the answer cannot be written as JSON: {error}") from error


def record(names: Sequence[str], **about: Any) -> bytes:
    """An object with a hole for the value of each name, for bytes' % to fill; `about` comes first, the same in all."""
    filled = [b"%b:%b" % (dump(name), dump(value)) for name, value in about.items()]
    return b"{%b}" % b",".join([*map(escaped, filled), *(b"%b:%%b" % escaped(dump(name)) for name in names)])


def escaped(text: bytes) -> bytes:
    """Text that stays as it is when % fills the holes around it."""
    return text.replace(b"%", b"%%")


def texts(field: Field, column: Column) -> list[bytes]:
    """For each row its value: "0.25", "[[1,2],[3,4]]", "null"."""
    if field.shape and (field.type in _UNLIKE_NUMBERS or 0 in field.shape):
        return [dump(value) for value in listed(column)]
    rows = _rows(field, column)
    if field.shape:
        rows = [_nested(row, field.shape) for row in rows]
    return rows if column.valid is None else _with_nulls(rows, column.valid, b"null")


def flat(field: Field, column: Column, counts: Sequence[int]) -> list[bytes]:
    """For each call the elements of its rows, row-major, as in a JSON list without its brackets."""
    if len(counts) == 1 and column.valid is None and field.type not in _UNLIKE_NUMBERS:
        return [orjson.dumps(np.ascontiguousarray(column.values).reshape(-1), option=_NUMPY)[1:-1]]
    rows = _rows(field, column)
    if column.valid is not None:
        rows = _with_nulls(rows, column.valid, b",".join([b"null"] * prod(field.shape)))
    if _one_each(counts, len(rows)):
        return rows
    if 0 in field.shape:
        return [b""] * len(counts)
    return [b",".join(rows[span]) for span in spans(counts)]


def raw(column: Column, counts: Sequence[int]) -> list[bytes]:
    """For each call the elements of its rows as the binary tensor extension has them. The column has no nulls."""
    if len(counts) == 1:
        return [pack(column.values)]
    if column.values.dtype == object:
        return [pack(column.values[span]) for span in spans(counts)]
    whole = pack(column.values)
    width = len(whole) // max(1, len(column))
    return [whole[span.start * width : span.stop * width] for span in spans(counts)]


def flat_ids(ids: Sequence[str], counts: Sequence[int]) -> list[bytes]:
    """The same of ids, in which nothing needs escaping."""
    if isinstance(ids, Texts):
        return _cut(*ids.framed(b'"', b'",'), counts, 1)
    if _one_each(counts, len(ids)):
        return [b'"%b"' % one.encode() for one in ids]
    return [b'"%b"' % '","'.join(ids[span]).encode() if span.stop > span.start else b"" for span in spans(counts)]


def raw_ids(ids: Sequence[str], counts: Sequence[int]) -> list[bytes]:
    """The same as the binary tensor extension has them; ids are as long as each other, and ASCII."""
    if isinstance(ids, Texts):
        return _cut(*ids.framed(ids.block.shape[1].to_bytes(4, "little"), b""), counts, 0)
    before = len(ids[0]).to_bytes(4, "little") if ids else b""
    return [b"".join([before + one.encode() for one in ids[span]]) for span in spans(counts)]


def _cut(whole: bytes, step: int, counts: Sequence[int], less: int) -> list[bytes]:
    """For each call its part of rows that have `step` bytes each, without the last `less` bytes."""
    if counts.count(1) == len(counts):
        return [whole[at : at + step - less] for at in range(0, len(whole), step)]
    return [whole[span.start * step : max(span.start * step, span.stop * step - less)] for span in spans(counts)]


def _one_each(counts: Sequence[int], rows: int) -> bool:
    """Whether every call has one row."""
    return len(counts) == rows and 0 not in counts


def spans(counts: Sequence[int]) -> list[slice]:
    """Where the rows of each call lie."""
    found, start = [], 0
    for count in counts:
        found.append(slice(start, start + count))
        start += count
    return found


def _rows(field: Field, column: Column) -> list[bytes]:
    """For each row its elements, as in a flat list without its brackets; nulls are whatever stands there."""
    n = len(column)
    if not n or 0 in field.shape:
        return [b""] * n
    if field.type not in _UNLIKE_NUMBERS:
        return orjson.dumps(_matrix(column.values), option=_NUMPY)[2:-2].split(b"],[")
    if field.shape:
        return [dump(row)[1:-1] for row in column.values.reshape(n, -1).tolist()]
    whole = dump(column.values.tolist())
    if field.type is not Type.TEXT or b"\\" not in whole:  # then no comma but those between the texts is in quotes
        return [b'"%b"' % row for row in whole[2:-2].split(b'","')]
    return [dump(value) for value in column.values.tolist()]


def _matrix(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).reshape(len(values), -1)


def _nested(row: bytes, shape: tuple[int, ...]) -> bytes:
    """A row's numbers in lists of lists."""
    if len(shape) == 1:
        return b"[%b]" % row
    parts, size = row.split(b","), prod(shape[1:])
    return b"[%b]" % b",".join(
        _nested(b",".join(parts[at : at + size]), shape[1:]) for at in range(0, len(parts), size)
    )


def _with_nulls(rows: list[bytes], valid: NDArray[np.bool_], null: bytes) -> list[bytes]:
    return [row if there else null for row, there in zip(rows, valid.tolist(), strict=True)]
