"""CSV with a header line, read as the fields say, not as the text looks: "007" stays text where the field is text.

Comma, semicolon or tab: whichever splits the header into most of the fields' names. An empty cell is a null; a
quoted empty cell ("") is an empty text. Booleans are true, false, 1, 0 in any case. Blanks around anything but text
do not matter. A tensor is a JSON list in its cell. UTF-8 only, with or without a byte order mark.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from payoff.codecs.answer import Answer
from payoff.codecs.arrow import arrow_errors
from payoff.codecs.cells import column, listed, nulls, settle
from payoff.codecs.celltext import dump
from payoff.codecs.checks import check_count, check_names, check_unique, check_width, refuse
from payoff.codecs.codec import ROWS_MAX, Codec
from payoff.codecs.jsontext import parse
from payoff.codecs.tables import from_array, to_arrow
from payoff.codecs.unpack import plain
from payoff.codecs.untyped import Array, ChunkedArray, pa_csv, pc
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

SEPARATORS = ",;\t"
BOOLS = {"true": True, "1": True, "false": False, "0": False}

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INFINITE = "^[+-]?[iI][nN][fF]"  # after a successful cast, the rest is right
_BOM = b"\xef\xbb\xbf"
_BLOCK_MAX = 2**31 - 1  # Arrow reads in blocks, and a row has to fit in one: so there is one block


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of a CSV body. See `payoff.codecs.codec.Decode`."""
    # With one column that may be null an empty line is a row; else it is nothing.
    alone = len(fields) == 1 and fields[0].nullable
    texts = table(body, [field.name for field in fields], rows_max=rows_max, empty_lines=alone)
    check_names(texts.column_names, fields, extra_ok)
    present = set(texts.column_names)
    return {
        field.name: read_column(field, texts[field.name]) if field.name in present else nulls(field, texts.num_rows)
        for field in fields
    }


def table(body: bytes, names: Collection[str] = (), *, rows_max: int = ROWS_MAX, empty_lines: bool = False) -> pa.Table:
    """The cells as they are written, all of them text or null."""
    header = first_line(body).decode(errors="replace").strip("\r\n")
    if not header.strip():
        raise BadInput("body is not CSV: the first line is empty; expected a header line with the names of the columns")
    separator = _separator(header, set(names))
    check_width(1 + header.count(separator))
    with arrow_errors("CSV"):
        read = _read(body if b"\n" in body else body + b"\n", separator, empty_lines)
        found = read.column_names  # text only now: the header may be no UTF-8
    check_unique(found)
    check_count(read.num_rows, rows_max)
    return read


def first_line(body: bytes) -> bytes:
    """The header with its line end, which may also stand inside of quotes."""
    at = len(_BOM) if body.startswith(_BOM) else 0
    start, quotes = at, 0
    while at < len(body):
        end = body.find(b"\n", at) + 1 or len(body)
        quotes += body.count(b'"', at, end)
        at = end
        if quotes % 2 == 0:
            break
    return body[start:at]


def _separator(header: str, names: set[str]) -> str:
    """The one that splits the header into most of the names; without names, into most columns."""

    def known(separator: str) -> tuple[int, int]:
        cells = header.split(separator)
        return len(names & {cell.strip('"') for cell in cells}), 0 if names else len(cells)

    return max(SEPARATORS, key=known)


def _read(body: bytes, separator: str, empty_lines: bool) -> pa.Table:
    read: pa.Table = pa_csv.read_csv(
        pa.BufferReader(body),
        # One thread: the calling worker has its own, and only so Arrow names the row of an error.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=min(len(body) + 1, _BLOCK_MAX)),
        parse_options=pa_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, ignore_empty_lines=not empty_lines
        ),
        convert_options=pa_csv.ConvertOptions(
            default_column_type=pa.string(),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return read


def read_column(field: Field, texts: ChunkedArray) -> Column:
    """One column of cells as a Column of this field."""
    if field.shape:
        return column(field, _parsed(field, texts.to_pylist()))
    if field.type is Type.TEXT:
        if texts.null_count and not field.nullable:
            empty = int(np.argmax(plain(texts).is_null().to_numpy(zero_copy_only=False)))
            refuse(field, empty, None, 'an empty cell; an empty text is written ""')
        return from_array(field, texts)
    bare = pc.utf8_trim_whitespace(plain(texts))
    bare = pc.if_else(pc.equal(bare, ""), None, bare)
    if field.type.is_number and (numbers := _cast(field, bare)) is not None:
        return from_array(field, pa.chunked_array([numbers]))
    read: Callable[[str], Any] = _number if field.type.is_number else _bool if field.type is Type.BOOL else str
    return settle(field, column(field, [None if text is None else read(text) for text in bare.to_pylist()]))


def _cast(field: Field, bare: Array) -> Array | None:
    """All of them as numbers in one go, if they are written plainly; otherwise they are read one by one."""
    if field.type.is_integer and not pc.all(pc.match_substring_regex(bare, "^-?[0-9]+$")).as_py():
        return None  # Arrow would take 0x1F, too
    try:
        numbers = bare.cast(pa.from_numpy_dtype(field.type.dtype) if field.type.is_integer else pa.float64())
    except pa.ArrowInvalid:
        return None
    if (
        field.type.is_float
        and pc.any(pc.and_not(pc.is_inf(numbers), pc.match_substring_regex(bare, _INFINITE))).as_py()
    ):
        return None  # finite on paper and infinite here
    return numbers


def _number(text: str) -> Any:
    """A number, or the text if it is not one."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if text.lower().lstrip("+-") == "nan":
        return None
    number = float(text) if _FLOAT.fullmatch(text) else np.inf
    return text if np.isinf(number) else number


def _bool(text: str) -> Any:
    return BOOLS.get(text.lower(), text)


def _parsed(field: Field, texts: Sequence[str | None]) -> list[Any]:
    """What the JSON in each cell says."""

    def said(row: int, text: str) -> Any:
        return parse(text.encode(), f"column {field.name!r}, row {row} (the first is 0): the cell")

    return [said(row, text) if text else None for row, text in enumerate(texts)]


def encode(answer: Answer) -> bytes:
    """CSV of an answer: text in quotes, nulls and NaN as empty cells, tensors as JSON."""
    return write(answer.columns, answer.fields)


def write(columns: Any, fields: Sequence[Field]) -> bytes:
    """Columns as CSV with a header line."""
    flat, kinds = {}, []
    for field in fields:
        flat[field.name], kind = _cell(field, columns[field.name])
        kinds.append(kind)
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(to_arrow(flat, kinds), sink)
    return bytes(sink.getvalue().to_pybytes())


def _cell(field: Field, held: Column) -> tuple[Column, Field]:
    if field.shape:
        texts = [None if value is None else dump(value).decode() for value in listed(held)]
        plain_field = Field(field.name, Type.TEXT, nullable=True)
        return column(plain_field, texts), plain_field
    nullable = Field(field.name, field.type, nullable=True)
    return (settle(nullable, held) if field.type.is_float else held), nullable


CODEC = Codec("csv", "text/csv", decode, encode)
