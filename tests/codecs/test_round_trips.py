"""What one side writes the other side reads: every codec, every type, nulls, tensors, nothing at all."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs import arrow, csv, ndjson, oip, oip_reply, parquet, rows
from payoff.codecs.cells import listed
from payoff.codecs.tables import from_arrow, to_arrow
from payoff.records import Column, Field, Type
from tests.codecs.frames import Frame, answer, check_same, frames, no_rows, patient


@patient
@given(frames())
def test_records_come_back(frame: Frame) -> None:
    fields, columns, _ = frame
    said = orjson.loads(rows.encode(answer(frame)))
    assert (said["endpoint"], said["revision"]) == ("term-deposit", 3)
    check_same(rows.decode(orjson.dumps(said["predictions"]), fields), columns, fields)
    check_same(rows.decode(orjson.dumps({"rows": said["predictions"]}), fields), columns, fields)


@patient
@given(frames())
def test_columns_come_back(frame: Frame) -> None:
    fields, columns, _ = frame
    said = {field.name: listed(columns[field.name]) for field in fields}
    body = orjson.dumps({"columns": said}, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    check_same(rows.decode(body, fields), columns, fields)


@patient
@given(frames())
def test_one_record_comes_back(frame: Frame) -> None:
    fields, columns, n = frame
    for row in range(n):
        one = {name: column.take(slice(row, row + 1)) for name, column in columns.items()}
        (said,) = orjson.loads(rows.encode(answer((fields, one, 1))))["predictions"]
        check_same(rows.decode(orjson.dumps(said), fields), one, fields)


@patient
@given(frames())
def test_a_record_may_leave_out_its_nulls(frame: Frame) -> None:
    fields, columns, _ = frame
    said = orjson.loads(rows.encode(answer(frame)))["predictions"]
    lean = [{name: value for name, value in record.items() if value is not None} for record in said]
    check_same(rows.decode(orjson.dumps(lean), fields), columns, fields)


@patient
@given(frames())
def test_json_lines_come_back(frame: Frame) -> None:
    fields, columns, _ = frame
    body = ndjson.encode(answer(frame))
    check_same(ndjson.decode(body, fields, extra_ok=frozenset({"endpoint", "revision"})), columns, fields)


@patient
@given(frames(finite=False))
def test_csv_comes_back(frame: Frame) -> None:
    fields, columns, _ = frame
    if any(field.shape and field.type.is_float for field in fields):
        return  # a tensor in a cell is JSON, which has no infinity: the records' round trip covers it
    check_same(csv.decode(csv.encode(answer(frame)), fields), columns, fields)


@patient
@given(frames(finite=False))
def test_arrow_comes_back(frame: Frame) -> None:
    fields, columns, _ = frame
    check_same(arrow.decode(arrow.encode(answer(frame)), fields), columns, fields)


@patient
@given(frames(finite=False))
def test_parquet_comes_back(frame: Frame) -> None:
    fields, columns, _ = frame
    check_same(parquet.decode(parquet.encode(answer(frame)), fields), columns, fields)


@patient
@given(frames(finite=False), st.integers(0, 4), st.integers(0, 4))
def test_any_slice_of_a_table_is_read_as_its_rows(frame: Frame, start: int, rows: int) -> None:
    fields, columns, _ = frame
    table = to_arrow(columns, fields).slice(start, rows)
    part = {name: column.take(slice(start, start + rows)) for name, column in columns.items()}
    check_same(from_arrow(table, fields), part, fields)


@patient
@given(frames())
def test_tensors_in_json_come_back(frame: Frame) -> None:
    fields, columns, _ = frame
    said = orjson.loads(oip_reply.encode("m", "3", "id-1", columns, fields, {"arm": "champion"}))
    assert (said["model_name"], said["model_version"], said["id"]) == ("m", "3", "id-1")
    check_same(oip.decode(orjson.dumps({"inputs": said["outputs"]}), fields).columns, columns, fields)


@patient
@given(frames(finite=False))
def test_tensors_in_raw_bytes_come_back(frame: Frame) -> None:
    fields, columns, _ = frame
    request = oip.Request(None, {}, None, {}, "all")
    body, header_length = oip_reply.reply(request, "m", "3", columns, fields)
    said = orjson.loads(body[:header_length])
    if header_length is None:
        return  # all outputs have nulls that only JSON can say
    head = orjson.dumps({"inputs": said["outputs"]})
    check_tensors(oip.decode(head + body[header_length:], fields, len(head)).columns, columns, frame)


def check_tensors(got: dict[str, Column], expected: dict[str, Column], frame: Frame) -> None:
    """As `check_same`, but raw bytes have no nulls of rows of tensors, only NaN elements."""
    plain = tuple(field for field in frame[0] if not (field.shape and field.nullable))
    check_same({f.name: got[f.name] for f in plain}, {f.name: expected[f.name] for f in plain}, plain)


@pytest.mark.parametrize("kind", list(Type))
@pytest.mark.parametrize("codec", [rows, ndjson, csv, arrow, parquet])
def test_no_rows_are_fine(codec: Any, kind: Type) -> None:
    fields = (Field("a", kind), Field("b", kind, nullable=True), Field("c", kind, (2,)))
    body = b"[]" if codec is rows else codec.encode(answer((fields, no_rows(fields), 0)))
    got = codec.decode(body, fields)
    if codec is not ndjson:
        check_same(got, no_rows(fields), fields)
    assert all(len(column) == 0 for column in got.values())
