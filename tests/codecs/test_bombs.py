"""A small body that claims much is refused before it is expanded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from payoff.codecs import arrow, csv, parquet, tables
from payoff.codecs.checks import COLUMNS_MAX
from payoff.codecs.untyped import pa
from payoff.errors import BadInput, TooLarge
from payoff.records import Field, Type

LIMIT = 1 << 20
ROWS = 128
LONG = "x" * (LIMIT // 10)  # in each of the rows it is ten times the limit
ZEROS = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(4 * LIMIT, np.int8)), 4 * LIMIT // ROWS)
SAME = pa.DictionaryArray.from_arrays(pa.array(np.zeros(ROWS, np.int32)), pa.array([LONG]))
FIELDS = (Field("a", Type.TEXT),)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payoff.codecs.checks.EXPANDED_BYTES_MAX", LIMIT)
    monkeypatch.setattr("payoff.codecs.parquet._REPEATED_BYTES_MAX", LIMIT)


def in_arrow(column: Any, **how: Any) -> bytes:
    table, sink = pa.table({"a": column}), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def in_parquet(column: Any, **how: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": column}), sink, **how)
    return bytes(sink.getvalue().to_pybytes())


def views() -> Any:
    """Texts that all lie in the same place."""
    one = pa.array([LONG], pa.string_view())
    return pa.Array.from_buffers(pa.string_view(), ROWS, [None, pa.py_buffer(one.buffers()[1].to_pybytes() * ROWS),
                                                          *one.buffers()[2:]])  # fmt: skip


def deltas() -> bytes:
    """A dictionary that grows by a little many times, and is copied each time."""
    half = "x" * (LIMIT // 20)
    schema = pa.schema([pa.field("a", SAME.type)])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)) as writer:
        for count in range(1, 40):
            texts = pa.array([half + str(i) for i in range(min(count, 5))] + [str(i) for i in range(count)])
            writer.write_batch(pa.record_batch([pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), texts)],
                                               schema=schema))  # fmt: skip
    return bytes(sink.getvalue().to_pybytes())


BOMBS: dict[str, tuple[Callable[..., object], Callable[[], bytes]]] = {
    "arrow, zstd": (arrow.decode, lambda: in_arrow(ZEROS, compression="zstd")),
    "arrow, lz4": (arrow.decode, lambda: in_arrow(ZEROS, compression="lz4")),
    "arrow, one text for all rows": (arrow.decode, lambda: in_arrow(SAME)),
    "arrow, runs of one text": (
        arrow.decode, lambda: in_arrow(pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), [LONG]))
    ),
    "arrow, views of one text": (arrow.decode, lambda: in_arrow(views())),
    "arrow, a dictionary in bits": (arrow.decode, deltas),
    "parquet, zstd": (parquet.decode, lambda: in_parquet(ZEROS, compression="zstd", use_dictionary=False)),
    "parquet, one number for all elements": (parquet.decode, lambda: in_parquet(ZEROS)),
    "parquet, one text for all rows": (parquet.decode, lambda: in_parquet(SAME, compression="zstd")),
    "parquet, prefixes": (
        parquet.decode,
        lambda: in_parquet(SAME.dictionary_decode(), use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"}),
    ),
    "parquet, one text for all elements": (
        parquet.decode, lambda: in_parquet(pa.array([[LONG, LONG]] * ROWS, pa.list_(pa.string())))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_expand_too_far_is_refused(name: str) -> None:
    decode, made = BOMBS[name]
    with pytest.raises(TooLarge, match="send them in parts"):
        decode(made(), FIELDS)


@pytest.mark.parametrize("name", ["arrow, zstd", "arrow, one text for all rows", "parquet, one text for all rows"])
def test_within_the_limit_the_same_kind_of_body_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, made = BOMBS[name]
    monkeypatch.setattr("payoff.codecs.checks.EXPANDED_BYTES_MAX", 100 * LIMIT)
    fields = (Field("a", Type.INT8, (4 * LIMIT // ROWS,)),) if "zstd" in name else FIELDS
    (column,) = decode(made(), fields).values()  # type: ignore[attr-defined]
    assert len(column) == ROWS


def test_the_claims_of_a_file_are_those_of_the_stream_in_it() -> None:
    table, sink = pa.table({"a": SAME}), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    with pytest.raises(TooLarge):
        arrow.decode(body, FIELDS)


def test_of_a_file_only_what_its_index_names_is_read() -> None:
    """Polars writes no schema message that a reader of streams would understand."""
    table, sink = pa.table({"a": ["x", "y"]}), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    body = bytearray(sink.getvalue().to_pybytes())
    body[8:40] = bytes(32)
    column = arrow.decode(bytes(body), FIELDS)["a"]
    assert column.values.tolist() == ["x", "y"]


def test_more_columns_than_anybody_sends_are_refused() -> None:
    names = [f"c{i}" for i in range(COLUMNS_MAX + 1)]
    for read, body in [
        (csv.table, ",".join(names).encode()),
        (csv.table, b'"a\n",' + ",".join(names).encode() + b"\n"),
        (arrow.table, arrow.write(pa.table({name: pa.array([], pa.int8()) for name in names}))),
    ]:
        with pytest.raises(TooLarge, match="20,000"):
            read(body)


def test_more_batches_than_anybody_sends_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payoff.codecs.arrow.MESSAGES_MAX", 3)
    table, sink = pa.table({"a": ["x"]}), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(5):
            writer.write_table(table)
    with pytest.raises(TooLarge, match="more than 3 batches"):
        arrow.decode(sink.getvalue().to_pybytes(), FIELDS)


def test_more_pages_than_anybody_writes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payoff.codecs.pages.PAGES_MAX", 3)
    body = in_parquet(pa.array(range(10_000)), data_page_size=100, use_dictionary=False)
    with pytest.raises(TooLarge, match="more than 3 pages"):
        parquet.decode(body, FIELDS)


def test_a_small_body_of_views_is_read_as_its_texts() -> None:
    few = pa.array(["a", None, "x" * 40], pa.string_view())
    column = tables.from_array(Field("a", Type.TEXT, nullable=True), pa.chunked_array([few.slice(1)]))
    assert column.values[1] == "x" * 40


def test_categories_of_views_as_polars_has_them_are_texts() -> None:
    values = pa.array(["a", "long" * 10], pa.string_view())
    texts = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.uint32()), values)
    column = tables.from_array(Field("a", Type.TEXT, nullable=True), pa.chunked_array([texts]))
    assert [column.values[0], column.values[2]] == ["long" * 10, "a"]
    assert column.valid is not None
    assert column.valid.tolist() == [True, False, True]


def test_an_encoding_that_arrow_cannot_undo_is_refused_by_the_name_of_its_column() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"], pa.string_view()))
    field = Field("a", Type.TEXT)
    with pytest.raises(BadInput, match="column 'a' is of the Arrow type run_end_encoded"):
        tables.from_array(field, pa.chunked_array([runs]))
