"""Arrow IPC, stream or file: the first bytes say which. Also the one place where a stranger's Arrow data is checked."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from payoff.codecs import flat
from payoff.codecs.answer import Answer
from payoff.codecs.checks import COLUMNS_MAX, check_count, check_expanded, check_width
from payoff.codecs.codec import ROWS_MAX, Codec
from payoff.codecs.tables import from_arrow, to_arrow
from payoff.errors import BadInput, TooLarge
from payoff.records.columns import Column
from payoff.records.signature import Field

MESSAGES_MAX = 10_000
_FILE_MAGIC, _FILE_START = b"ARROW1", 8
_FILE_END = 10  # the size of the index in four bytes, and the mark


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of an Arrow stream or file. See `payoff.codecs.codec.Decode`."""
    return from_arrow(table(body, rows_max=rows_max), fields, extra_ok=extra_ok)


def table(body: bytes, *, rows_max: int = ROWS_MAX) -> pa.Table:
    """The table in an Arrow stream or file, fully validated: offsets and text that Arrow itself would trust."""
    with arrow_errors("Arrow data"):
        whole, is_file = pa.py_buffer(body), body[:6] == _FILE_MAGIC
        check_claims(_in_file(whole) if is_file else pa.ipc.MessageReader.open_stream(whole), rows_max)
        opener: Any = pa.ipc.open_file if is_file else pa.ipc.open_stream
        with opener(whole) as reader:
            read: pa.Table = reader.read_all()
        read.validate(full=True)
    return read


def _in_file(whole: pa.Buffer) -> Iterator[pa.Message]:
    """The messages that the index of a file names; what else is in the file, nobody reads."""
    held = memoryview(whole).cast("B")
    size = int.from_bytes(held[-_FILE_END : -len(_FILE_MAGIC)], "little")
    if bytes(held[-len(_FILE_MAGIC) :]) != _FILE_MAGIC or size > len(held) - _FILE_START - _FILE_END:
        raise BadInput("body is not readable Arrow data: a file that does not end as one; send all of it")
    index = held[len(held) - size - _FILE_END : -_FILE_END]
    check_width(flat.index_columns(index, COLUMNS_MAX))
    for at, length in flat.index_blocks(index):
        yield pa.ipc.read_message(whole.slice(at, length))


def check_claims(messages: Iterable[pa.Message], rows_max: int) -> None:
    """Rows, columns and expanded bytes of messages, counted before anything is made of them; raises TooLarge."""
    rows = expanded = shared = 0
    for count, message in enumerate(messages):
        if count > MESSAGES_MAX:
            raise TooLarge(f"the Arrow data has more than {MESSAGES_MAX:,} batches; write larger ones")
        about = memoryview(message.metadata)
        if message.type == "schema":
            check_width(flat.columns(about, COLUMNS_MAX))
            continue
        content = memoryview(message.body) if message.body is not None else memoryview(b"")
        if message.type == "dictionary":
            size, adds = flat.dictionary_bytes(about, content)
            shared += size
            expanded += shared if adds else size  # Arrow copies all that came before for what is added
        else:
            rows += max(0, flat.batch_rows(about))
            expanded += flat.batch_bytes(about, content)
        check_count(rows, rows_max)
        check_expanded(expanded)


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
        EOFError,
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


def encode_file(answer: Answer) -> bytes:
    """The same as an Arrow file."""
    return write(answer_table(answer), pa.ipc.new_file)


def write(table: pa.Table, opener: Any = pa.ipc.new_stream) -> bytes:
    """A table as an Arrow stream, or as a file."""
    sink = pa.BufferOutputStream()
    with opener(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


FILE = Codec("arrow-file", "application/vnd.apache.arrow.file", decode, encode_file)
CODEC = Codec("arrow", "application/vnd.apache.arrow.stream", decode, encode)
