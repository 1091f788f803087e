"""Answers in a file or on stdout, in any format, written as they come: there may be more of them than memory holds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from payoff.errors import Conflict, PayoffError

if TYPE_CHECKING:
    import pyarrow

Put = Callable[["pyarrow.Table"], None]


def write(answers: Iterator["pyarrow.Table"], suffix: str, output: str) -> None:
    """Tables of answers in the format of a suffix.

    What was answered is written even if the rest cannot be: it is in the journal, and its caller should know it.
    """
    first, rows = next(answers), 0
    with _opened(output) as sink, WRITERS[suffix](sink, first) as put:
        try:
            for table in chain([first], answers):
                put(_like(first, table))
                rows += table.num_rows
        except PayoffError as error:
            told = f"the first {rows:,} rows were answered and written; of those after them, {error}"
            raise type(error)(told) from error


def _opened(output: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdout.buffer) if output == "-" else Path(output).open("wb")


def _like(first: "pyarrow.Table", table: "pyarrow.Table") -> "pyarrow.Table":
    """With the columns of the first one."""
    if table.schema.equals(first.schema):
        return table
    try:
        return table.select(first.column_names).cast(first.schema)
    except (KeyError, ValueError) as error:
        raise Conflict("another revision with other columns went live meanwhile; ask them again") from error


@contextmanager
def _csv(sink: Any, first: "pyarrow.Table") -> Iterator[Put]:
    from pyarrow import csv

    with csv.CSVWriter(sink, _flat(first).schema) as writer:
        yield lambda table: writer.write_table(_flat(table))


@contextmanager
def _parquet(sink: Any, first: "pyarrow.Table") -> Iterator[Put]:
    from pyarrow import parquet

    with parquet.ParquetWriter(sink, first.schema) as writer:
        yield writer.write_table


@contextmanager
def _arrow(sink: Any, first: "pyarrow.Table") -> Iterator[Put]:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, first.schema) as writer:
        yield writer.write_table


@contextmanager
def _lines(sink: IO[bytes], first: "pyarrow.Table") -> Iterator[Put]:
    import orjson

    def put(table: "pyarrow.Table") -> None:
        for row in table.to_pylist():
            sink.write(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE))

    yield put


@contextmanager
def _json(sink: IO[bytes], first: "pyarrow.Table") -> Iterator[Put]:
    """One list of records, a record per line."""
    import orjson

    before = [b"[\n"]

    def put(table: "pyarrow.Table") -> None:
        for row in table.to_pylist():
            sink.write(before[-1] + orjson.dumps(row, default=str))
            before[:] = [b",\n"]

    yield put
    sink.write(b"\n]\n" if before == [b",\n"] else b"[]\n")


WRITERS: dict[str, Callable[[Any, Any], AbstractContextManager[Put]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
}


def _flat(table: "pyarrow.Table") -> "pyarrow.Table":
    """CSV has no lists: they are written as JSON."""
    import json

    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if one is None else json.dumps(one, default=str) for one in table[i].to_pylist()]
            table = table.set_column(i, field.name, pa.array(texts, pa.string()))
    return table
