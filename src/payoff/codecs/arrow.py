"""Arrow IPC, stream or file: the first bytes say which. Also the one place where a stranger's Arrow data is checked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from payoff.codecs.answer import Answer
from payoff.codecs.checks import check_count
from payoff.codecs.codec import ROWS_MAX, Codec
from payoff.codecs.tables import from_arrow, to_arrow
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field

_FILE_MAGIC = b"ARROW1"


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of an Arrow stream or file. See `payoff.codecs.codec.Decode`."""
    return from_arrow(table(body, rows_max=rows_max), fields, extra_ok=extra_ok)


def table(body: bytes, *, rows_max: int = ROWS_MAX) -> pa.Table:
    """The table in an Arrow stream or file, fully validated: offsets and text that Arrow itself would trust."""
    with arrow_errors("Arrow data"):
        opener = pa.ipc.open_file if body[:6] == _FILE_MAGIC else pa.ipc.open_stream
        with opener(pa.BufferReader(body)) as reader:
            batches = _batches(reader, rows_max)
            read = pa.Table.from_batches(batches, reader.schema)
        read.validate(full=True)
    return read


def _batches(reader: pa.RecordBatchReader | pa.RecordBatchFileReader, rows_max: int) -> list[pa.RecordBatch]:
    batches, rows = [], 0
    if isinstance(reader, pa.RecordBatchFileReader):
        stream: Iterator[pa.RecordBatch] = (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        stream = iter(reader)
    for batch in stream:
        rows += batch.num_rows
        check_count(rows, rows_max)
        batches.append(batch)
    return batches


@contextmanager
def arrow_errors(what: str) -> Iterator[None]:
    """What Arrow says about bytes it cannot read is about the caller's bytes, whatever type the exception has."""
    try:
        yield
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        OverflowError,
        MemoryError,
    ) as error:
        first_line = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BadInput(f"body is not readable {what}: {first_line}") from error


def encode(answer: Answer) -> bytes:
    """An Arrow stream; endpoint and revision are in the schema's metadata."""
    return write(answer_table(answer))


def answer_table(answer: Answer) -> pa.Table:
    """The answer as a table."""
    about = {"endpoint": answer.endpoint, "revision": str(answer.revision)}
    return to_arrow(answer.columns, answer.fields).replace_schema_metadata(about)


def write(table: pa.Table) -> bytes:
    """A table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


CODEC = Codec("arrow", "application/vnd.apache.arrow.stream", decode, encode)
