"""Parquet: a whole file as a body."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from payoff.codecs.answer import Answer
from payoff.codecs.arrow import answer_table, arrow_errors
from payoff.codecs.checks import check_count
from payoff.codecs.codec import ROWS_MAX, Codec
from payoff.codecs.tables import from_arrow
from payoff.records.columns import Column
from payoff.records.signature import Field


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of a Parquet file. See `payoff.codecs.codec.Decode`."""
    return from_arrow(table(body, rows_max=rows_max), fields, extra_ok=extra_ok)


def table(body: bytes, *, rows_max: int = ROWS_MAX) -> pa.Table:
    """The table in a Parquet file; the rows are counted before any is read."""
    with arrow_errors("Parquet"):
        with pq.ParquetFile(pa.BufferReader(body)) as file:
            check_count(file.metadata.num_rows, rows_max)
            read = file.read(use_threads=False)
        read.validate(full=True)
    return read


def encode(answer: Answer) -> bytes:
    """A Parquet file; endpoint and revision are in the schema's metadata."""
    sink = pa.BufferOutputStream()
    pq.write_table(answer_table(answer), sink)
    return bytes(sink.getvalue().to_pybytes())


CODEC = Codec("parquet", "application/vnd.apache.parquet", decode, encode)
