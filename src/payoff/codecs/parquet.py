"""Parquet: a whole file as a body."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from payoff.codecs import pages
from payoff.codecs.answer import Answer
from payoff.codecs.arrow import answer_table, arrow_errors
from payoff.codecs.checks import check_count, check_expanded, check_width
from payoff.codecs.codec import ROWS_MAX, Codec
from payoff.codecs.tables import from_arrow
from payoff.codecs.unpack import plain
from payoff.records.columns import Column
from payoff.records.signature import Field

_WIDTH = 8  # bytes of one value of the widest number, or of where a text begins
_REPEATED_BYTES_MAX = 32 << 20  # texts of a dictionary that take less, written out, are written out


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of a Parquet file. See `payoff.codecs.codec.Decode`."""
    return from_arrow(table(body, rows_max=rows_max), fields, extra_ok=extra_ok)


def table(body: bytes, *, rows_max: int = ROWS_MAX) -> pa.Table:
    """The table in a Parquet file; rows, and what they expand to, are counted before any is read."""
    with arrow_errors("Parquet"):
        about = pq.read_metadata(pa.BufferReader(pages.without_types(memoryview(body))))
        check_count(about.num_rows, rows_max)
        check_width(about.num_columns)
        widths = [about.schema.column(place).length or 0 for place in range(about.num_columns)]
        repeated = check_claims(memoryview(body), max(widths, default=0))
        with pq.ParquetFile(pa.BufferReader(body), metadata=about, read_dictionary=repeated) as file:
            read = file.read(use_threads=False)
        read.validate(full=True)
    return _unshared(read) if repeated else read


def check_claims(body: memoryview, length_max: int) -> list[str]:
    """Raises TooLarge if the pages expand too far; names the columns whose texts may, written out for each row.

    `length_max` is the longest length that the schema gives to texts of fixed length.
    """
    expanded, pages_left = 0, pages.PAGES_MAX
    repeated = set()
    for chunk in pages.chunks(body):
        found = pages.claim(body, chunk, pages_left)
        pages_left -= found.pages
        width = max(_WIDTH, length_max) if chunk.kind == pages.FIXED_LEN_BYTE_ARRAY else _WIDTH
        expanded += max(found.expanded_bytes, found.values * width)
        if chunk.kind == pages.BYTE_ARRAY and found.values * found.dictionary_bytes > _REPEATED_BYTES_MAX:
            if len(chunk.path) > 1:
                check_expanded(found.values * found.dictionary_bytes)
            repeated.add(".".join(part.decode(errors="replace") for part in chunk.path))
        check_expanded(expanded)
    return sorted(repeated)


def _unshared(read: pa.Table) -> pa.Table:
    """The same table with texts for each row, if they do not take too much."""
    for place, field in enumerate(read.schema):
        if pa.types.is_dictionary(field.type):
            read = read.set_column(place, field.name, plain(read[place]))
    return read


def encode(answer: Answer) -> bytes:
    """A Parquet file; endpoint and revision are in the schema's metadata."""
    sink = pa.BufferOutputStream()
    pq.write_table(answer_table(answer), sink)
    return bytes(sink.getvalue().to_pybytes())


CODEC = Codec("parquet", "application/vnd.apache.parquet", decode, encode)
