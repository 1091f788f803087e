"""JSON lines: one record per line, for files and for streams."""

from collections.abc import Sequence
from io import BytesIO

from payoff.codecs.answer import Answer
from payoff.codecs.celltext import record, texts
from payoff.codecs.checks import check_count
from payoff.codecs.codec import ROWS_MAX, Codec, prepared
from payoff.codecs.jsontext import parse
from payoff.codecs.rows import Rows
from payoff.records.columns import Column
from payoff.records.signature import Field


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of JSON lines; empty lines are passed over. See `payoff.codecs.codec.Decode`."""
    return Rows(tuple(fields), extra_ok, rows_max).of_records(records(body, rows_max))


def of_lines(lines: Sequence[tuple[int, bytes]], fields: tuple[Field, ...]) -> dict[str, Column]:
    """Columns of lines that are cut already, each with its number."""
    reader: Rows = prepared(Rows, fields, frozenset(), ROWS_MAX)
    return reader.of_records([parse(line, f"line {number}") for number, line in lines])


def records(body: bytes, rows_max: int = ROWS_MAX) -> list[object]:
    """What each line says; the lines are counted before any is read."""
    lines = [(number, line) for number, line in enumerate(BytesIO(body), start=1) if not line.isspace()]
    check_count(len(lines), rows_max)
    return [parse(line, f"line {number}") for number, line in lines]


def encode(answer: Answer) -> bytes:
    """One line per row, the names in each; endpoint and revision are columns of their own, for a line stands alone."""
    cells = [texts(field, answer.columns[field.name]) for field in answer.fields]
    line = record(answer.names, endpoint=answer.endpoint, revision=answer.revision) + b"\n"
    return b"".join([line % row for row in zip(*cells, strict=True)])


CODEC = Codec("ndjson", "application/x-ndjson", decode, encode)
