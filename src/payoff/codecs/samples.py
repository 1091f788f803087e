"""A file of rows to an Arrow table where no fields say what is what: the types come from the file, or from the text.

In CSV a column is int64, uint64, float64, bool (true and false, in words), date or timestamp if every cell reads as
such, and text otherwise; whole numbers with leading zeros, like postal codes, are text.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pyarrow as pa

from payoff.codecs import arrow, csv, formats, ndjson, parquet
from payoff.codecs.checks import check_count, shorten
from payoff.codecs.codec import ROWS_MAX
from payoff.codecs.jsontext import parse
from payoff.codecs.tables import to_arrow
from payoff.codecs.unpack import plain
from payoff.codecs.untyped import ChunkedArray, pc
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

_GUESSES = [
    (r"^[+-]?(?:0|[1-9][0-9]{0,18})$", Type.INT64),
    (r"^(?:0|[1-9][0-9]{0,19})$", Type.UINT64),
    (r"^(?i:[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|[+-]?inf)$", Type.FLOAT64),
    (r"^(?i:true|false)$", Type.BOOL),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", Type.DATE),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}", Type.TIMESTAMP),
]  # fmt: skip


def table(body: bytes, codec: str, *, rows_max: int = ROWS_MAX) -> pa.Table:
    """The table in a body or file of this codec, as `formats.by_suffix` names it. Raises BadInput, TooLarge."""
    read = formats.CODECS.take(codec).name  # a wrong name is answered with the right ones
    found = _READERS[read](body, rows_max)
    check_count(found.num_rows, rows_max)
    return found


def of_records(records: Iterable[Any]) -> pa.Table:
    """Plain records to a table; a name that a record lacks is null there."""
    rows = list(records)
    for row, record in enumerate(rows):
        if type(record) is not dict:
            raise BadInput(
                f"row {row} (the first is 0): got {shorten(record)}; expected an object with a value per column"
            )
    names = dict.fromkeys(name for record in rows for name in record)
    return of_lists({name: [record.get(name) for record in rows] for name in names})


def of_lists(lists: dict[str, Any]) -> pa.Table:
    """Plain lists, one per column, to a table."""
    arrays = {}
    for name, values in lists.items():
        if type(values) is not list:
            raise BadInput(f"column {name!r} is {shorten(values)}; expected a list with one value per row")
        try:
            arrays[name] = _array(values)
        except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
            raise BadInput(f"column {name!r} has values of more than one type: {error}") from error
    if len({len(values) for values in arrays.values()}) > 1:
        raise BadInput("the columns are not equally long: " + ", ".join(f"{n!r} {len(a)}" for n, a in arrays.items()))
    return pa.table(arrays)


def _array(values: list[Any]) -> Any:
    try:
        return pa.array(values)
    except OverflowError:
        return pa.array(values, pa.uint64())


def _json(body: bytes, rows_max: int) -> pa.Table:
    said = parse(body)
    if type(said) is dict and len(said) == 1:
        ((key, inner),) = said.items()
        if (key, type(inner)) in (("rows", list), ("columns", dict)):
            said = inner
    if type(said) is dict:
        is_columns = said and all(type(values) is list for values in said.values())
        return of_lists(said) if is_columns else of_records([said])
    if type(said) is not list:
        raise BadInput(f"body is {shorten(said)}; expected a JSON list of records, or an object of columns")
    return of_records(said)


def _csv(body: bytes, rows_max: int) -> pa.Table:
    texts = csv.table(body, rows_max=rows_max)
    guessed = {name: _guess(name, texts[name]) for name in texts.column_names}
    columns = {name: column for name, (_, column) in guessed.items()}
    return to_arrow(columns, [field for field, _ in guessed.values()])


def _guess(name: str, texts: ChunkedArray) -> tuple[Field, Column]:
    cells = pc.utf8_trim_whitespace(plain(texts))
    cells = cells.filter(pc.fill_null(pc.not_equal(cells, ""), False))
    for pattern, kind in _GUESSES:
        if len(cells) and pc.all(pc.match_substring_regex(cells, pattern)).as_py():
            field = Field(name, kind, nullable=True)
            with suppress(BadInput):  # a number that int64 does not hold, a date that is none
                return field, csv.read_column(field, texts)
    field = Field(name, Type.TEXT, nullable=True)
    return field, csv.read_column(field, texts)


_READERS: dict[str, Callable[[bytes, int], pa.Table]] = {
    "arrow": lambda body, rows_max: arrow.table(body, rows_max=rows_max),
    "arrow-file": lambda body, rows_max: arrow.table(body, rows_max=rows_max),
    "csv": _csv,
    "json": _json,
    "ndjson": lambda body, rows_max: of_records(ndjson.records(body, rows_max)),
    "parquet": lambda body, rows_max: parquet.table(body, rows_max=rows_max),
}
