"""What goes into a segment comes out again, of every type, in rows one by one or in batches."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.journal import segment
from payoff.journal.decode import Decoder
from payoff.journal.frame import Noted, Stream, block, encode, encode_stream, layout
from payoff.journal.ids import Ids, text
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _value(kind: Type) -> st.SearchStrategy[Any]:
    if kind is Type.TEXT:
        return TEXT
    if kind is Type.BOOL:
        return st.booleans()
    if kind is Type.DATE:
        return st.integers(-40_000, 40_000)
    if kind is Type.TIMESTAMP:
        return st.integers(-(10**15), 4 * 10**15)
    if kind.is_float:
        return st.floats(allow_nan=False, width=32 if kind is Type.FLOAT32 else 64)
    info = np.iinfo(kind.dtype)
    return st.integers(int(info.min), int(info.max))


@st.composite
def _column(draw: st.DrawFn, n: int) -> tuple[Field, Column, list[Any]]:
    """A field, values for n rows, and what a reader should see."""
    kind = draw(st.sampled_from(list(Type)))
    shape = draw(st.sampled_from([(), (), (3,), (2, 2)]))
    size = n * int(np.prod(shape, dtype=int))
    flat = draw(st.lists(_value(kind), min_size=size, max_size=size))
    values = np.array(flat, kind.dtype) if kind.dtype.kind != "M" else np.array(flat, np.int64).view(kind.dtype)
    values = values.reshape(n, *shape)
    valid = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n).map(lambda each: np.array(each, bool)))
    if kind is Type.TEXT and shape:
        valid = None  # a text tensor is a list of nulls where others are null
    seen = values.view(np.int64).tolist() if kind.dtype.kind == "M" else values.tolist()
    seen = [_seen(kind, each) if valid is None or valid[row] else None for row, each in enumerate(seen)]
    return Field("", kind, shape, valid is not None), Column(values, valid), seen


def _seen(kind: Type, value: Any) -> Any:
    if isinstance(value, list):
        return [_seen(kind, each) for each in value]
    if kind is Type.DATE:
        return date(1970, 1, 1) + timedelta(days=value)
    if kind is Type.TIMESTAMP:
        return EPOCH + timedelta(microseconds=value)
    return Decimal(value) if kind is Type.UINT64 else value


@st.composite
def _batches(draw: st.DrawFn) -> tuple[list[list[tuple[Field, Column, list[Any]]]], list[int]]:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    count = draw(st.integers(1, 4))
    return [[draw(_column(n)) for _ in range(count)] for n in sizes], sizes


def _noted(n: int, columns: Sequence[tuple[str, Column]], ids: Ids) -> Noted:
    nothing = np.zeros(n, np.int64)
    broken = [[f"rule {row}", "é"][: row % 3] for row in range(n)]
    key = Column(np.arange(n), np.arange(n) % 2 == 0)
    return Noted(n, *ids.take(n), nothing, nothing, nothing, key, [f"why {row}" for row in range(n)], dict(columns), {},
                 None, broken)  # fmt: skip


def _read(raw: bytes) -> list[dict[str, Any]]:
    found = segment.scan(raw)
    assert found.end == len(raw)
    tables = [table for _, table in Decoder().tables(raw, found.bodies)]
    return sorted((row for table in tables for row in table.to_pylist()), key=lambda row: str(row["id"]))


@settings(max_examples=150, deadline=None)
@given(_batches())
def test_what_is_noted_is_read_again(drawn: tuple[list[list[tuple[Field, Column, list[Any]]]], list[int]]) -> None:
    batches, sizes = drawn
    ids, raw, expected, names = Ids(), b"", [], []
    for number, (columns, n) in enumerate(zip(batches, sizes, strict=True)):
        fields = tuple(("inputs", Field(f"c {i}", f.type, f.shape, f.nullable)) for i, (f, _, _) in enumerate(columns))
        stream = Stream("predictions", "e", number, "a", "m", None, True, columns=fields)
        batch = _noted(n, [(f"c {i}", column) for i, (_, column, _) in enumerate(columns)], ids)
        frames = [encode_stream(number, stream), *encode(number, layout(stream), batch)]
        raw += block(frames, int(batch.id_hi[-1]))
        names += text(batch.id_hi, batch.id_lo)
        expected += [{f"c {i}": seen[row] for i, (_, _, seen) in enumerate(columns)} for row in range(n)]
    rows = _read(raw)
    assert [row["id"] for row in rows] == names
    assert [row["inputs"] for row in rows] == expected
    assert [row["why"] for row in rows] == [f"why {row}" for n in sizes for row in range(n)]
    assert [row["key"] for row in rows] == [None if row % 2 else str(row) for n in sizes for row in range(n)]
    assert [row["violations"] or [] for row in rows] == [[f"rule {r}", "é"][: r % 3] for n in sizes for r in range(n)]


def test_nan_not_a_time_and_half_a_surrogate_do_no_harm() -> None:
    fields = (Field("f", Type.FLOAT64), Field("d", Type.DATE), Field("t", Type.TIMESTAMP), Field("s", Type.TEXT))
    stream = Stream("predictions", "e", columns=tuple(("inputs", field) for field in fields))
    columns = {
        "f": Column(np.array([np.nan, np.inf])),
        "d": Column(np.array(["NaT", "2008-05-05"], "datetime64[D]")),
        "t": Column(np.array(["2008-05-05T01:02:03", "NaT"], "datetime64[us]")),
        "s": Column(np.array(["\ud800", None], object)),
    }
    batch = _noted(2, list(columns.items()), Ids())
    first, second = _read(block([encode_stream(0, stream), *encode(0, layout(stream), batch)], 1))
    assert np.isnan(first["inputs"]["f"])
    assert (first["inputs"]["d"], second["inputs"]["d"]) == (None, date(2008, 5, 5))
    assert (first["inputs"]["t"], second["inputs"]["t"]) == (datetime(2008, 5, 5, 1, 2, 3, tzinfo=UTC), None)
    assert (first["inputs"]["s"], second["inputs"]["s"]) == ("\\ud800", None)


def test_scattered_memory_and_narrower_types_are_written_as_declared() -> None:
    wide = np.arange(12, dtype=np.float32).reshape(3, 4)
    fields = (("inputs", Field("x", Type.FLOAT64)), ("inputs", Field("y", Type.INT8)))
    stream = Stream("predictions", "e", columns=fields)
    batch = _noted(3, [("x", Column(wide[:, 1])), ("y", Column(np.arange(6, dtype=np.int8)[::2]))], Ids())
    rows = _read(block([encode_stream(0, stream), *encode(0, layout(stream), batch)], 1))
    assert [row["inputs"] for row in rows] == [{"x": 1.0, "y": 0}, {"x": 5.0, "y": 2}, {"x": 9.0, "y": 4}]


def test_a_column_of_the_wrong_size_is_named() -> None:
    stream = Stream("predictions", "e", columns=(("inputs", Field("x", Type.FLOAT64, (3,))),))
    batch = _noted(2, [("x", Column(np.zeros((2, 4))))], Ids())
    with pytest.raises(ValueError, match=r"inputs.x has shape \(2, 4\); the stream says \(2, 3\)"):
        encode(0, layout(stream), batch)


def test_streams_are_equal_when_they_describe_the_same() -> None:
    one, same = (Stream("predictions", "e", columns=(("inputs", Field("x", Type.INT8)),)) for _ in range(2))
    other = Stream("predictions", "e", columns=(("inputs", Field("x", Type.INT16)),))
    assert one == same == Stream.read(one.descriptor)
    assert hash(one) == hash(same)
    assert one != other


def test_names_that_differ_only_in_case_stay_two_columns() -> None:
    stream = Stream("predictions", "e", columns=tuple(("inputs", Field(name, Type.INT8)) for name in ("Age", "age")))
    columns = [("Age", Column(np.array([1], np.int8))), ("age", Column(np.array([2], np.int8)))]
    (row,) = _read(block([encode_stream(0, stream), *encode(0, layout(stream), _noted(1, columns, Ids()))], 1))
    assert row["inputs"] == {"Age": 1, "age_": 2}


def test_workers_stay_light() -> None:
    program = "import sys, payoff.journal.writer, payoff.journal.ids; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "duckdb", "deltalake", "pandas", "sqlalchemy"} & set(loaded)


def test_a_batch_longer_than_a_frame_is_split(tmp_path: Path) -> None:
    from payoff.journal.writer import Writer

    writer = Writer(tmp_path, "w")
    n = 150_000
    stream = Stream("predictions", "e", columns=(("inputs", Field("x", Type.INT64)), ("inputs", Field("s", Type.TEXT))))
    words = np.array(["a", "bb", "ccc"] * (n // 3), object)
    writer.note(stream, _noted(n, [("x", Column(np.arange(n))), ("s", Column(words))], Ids()))
    writer.close()
    (found,) = segment.segments(tmp_path)
    raw = segment.read(found.path)
    tables = [table for _, table in Decoder().tables(raw, segment.scan(raw).bodies)]
    whole = pa.concat_tables(tables).sort_by("id").flatten()
    assert whole["inputs.x"].to_pylist() == list(range(n))
    assert whole["inputs.s"].to_pylist() == words.tolist()
