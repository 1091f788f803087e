"""What Arrow may bring for each type, what it may not, and that it does not matter how values are laid out."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from payoff.codecs import arrow, parquet
from payoff.codecs.tables import from_arrow, to_arrow
from payoff.codecs.untyped import pc
from payoff.errors import BadInput
from payoff.records import Column, Field, Type

MIDNIGHT = datetime(2008, 5, 5, tzinfo=UTC)


def read(values: Any, kind: Type, shape: tuple[int, ...] = (), nullable: bool = False) -> list[Any]:
    column = from_arrow(pa.table({"x": values}), [Field("x", kind, shape, nullable)])["x"]
    assert column.values.dtype == kind.dtype
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    return [value if there else None for value, there in zip(column.values.tolist(), valid, strict=True)]


TEXTS = pa.array(["a", None, ""])


@pytest.mark.parametrize(
    "array",
    [
        TEXTS,
        TEXTS.cast(pa.large_string()),
        TEXTS.cast(pa.string_view()),
        TEXTS.dictionary_encode(),
        pc.run_end_encode(TEXTS),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 2]), pa.array([None, "a", ""])),
        pa.chunked_array([TEXTS.slice(0, 1), TEXTS.slice(1, 0), TEXTS.slice(1)]),
    ],
)
def test_text_is_text_however_it_is_stored(array: Any) -> None:
    assert read(array, Type.TEXT, nullable=True) == ["a", None, ""]
    with pytest.raises(BadInput, match=r"column 'x', row 1 .*got null"):
        read(array, Type.TEXT)


@pytest.mark.parametrize(
    ("array", "kind", "expected"),
    [
        (pa.array([1.0, 2.0]), Type.UINT8, [1, 2]),
        (pa.array([1, 2], pa.uint64()), Type.INT8, [1, 2]),
        (pa.array([1, 2]), Type.FLOAT32, [1.0, 2.0]),
        (pa.array(np.array([1.5], np.float16)), Type.FLOAT64, [1.5]),
        (pa.array([float("inf"), -float("inf")]), Type.FLOAT32, [float("inf"), -float("inf")]),
        (pa.array([date(2008, 5, 5)]), Type.DATE, [date(2008, 5, 5)]),
        (pa.array([date(2008, 5, 5)], pa.date64()), Type.DATE, [date(2008, 5, 5)]),
        (pa.array([MIDNIGHT], pa.timestamp("ns", "UTC")), Type.DATE, [date(2008, 5, 5)]),
        (pa.array(["2008-05-05"]), Type.DATE, [date(2008, 5, 5)]),
        (pa.array([date(2008, 5, 5)]), Type.TIMESTAMP, [datetime(2008, 5, 5)]),
        (pa.array([datetime(2008, 5, 5)], pa.timestamp("s")), Type.TIMESTAMP, [datetime(2008, 5, 5)]),
        (pa.array([datetime(2008, 5, 5)], pa.timestamp("ms")), Type.TIMESTAMP, [datetime(2008, 5, 5)]),
        (pa.array([MIDNIGHT], pa.timestamp("ns", "Europe/Lisbon")), Type.TIMESTAMP, [datetime(2008, 5, 5)]),
        (pa.array(["2008-05-05T02:00:00+02:00"]), Type.TIMESTAMP, [datetime(2008, 5, 5)]),
        (pa.nulls(2), Type.TEXT, [None, None]),
    ],
)
def test_a_type_takes(array: Any, kind: Type, expected: list[Any]) -> None:
    assert read(array, kind, nullable=True) == expected


@pytest.mark.parametrize(
    ("array", "kind", "says"),
    [
        (pa.array([1, 300]), Type.UINT8, "row 1 .*got 300; expected uint8 .*from 0 to 255"),
        (pa.array([1, 2**64 - 1], pa.uint64()), Type.INT64, "row 1"),
        (pa.array([1.0, 2.5]), Type.INT64, "row 1 .*got 2.5"),
        (pa.array([1.0, 2.0**63]), Type.INT64, "row 1"),
        (pa.array([1.0, float("inf")]), Type.INT64, "row 1 .*got inf"),
        (pa.array([1.0, 1e39]), Type.FLOAT32, r"row 1 .*got 1e\+39"),
        (pa.array(["1"]), Type.INT64, "is of the Arrow type string; expected int64"),
        (pa.array([True]), Type.FLOAT64, "is of the Arrow type bool"),
        (pa.array([1]), Type.BOOL, "is of the Arrow type int64; expected bool"),
        (pa.array([1]), Type.TEXT, "is of the Arrow type int64; expected text"),
        (pa.array([b"a"]), Type.TEXT, "is of the Arrow type binary"),
        (pa.array([Decimal("1.5")]), Type.FLOAT64, "is of the Arrow type decimal128"),
        (pa.array([{"a": 1}]), Type.TEXT, "is of the Arrow type struct"),
        (pa.array([[1.0]]), Type.FLOAT64, "is of the Arrow type list"),
        (pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32()), Type.DATE, "row 1 .*2147483647"),
        (pa.array([0, 2**62], pa.timestamp("s")), Type.TIMESTAMP, "row 1"),
        (pa.array([0, 1], pa.timestamp("ns")), Type.TIMESTAMP, "row 1"),
        (pa.array([0, 1], pa.timestamp("us")), Type.DATE, "row 1"),
        (pa.array(["2008-05-05", "May"]), Type.DATE, "row 1 .*got 'May'"),
        (pa.array([0], pa.time32("s")), Type.TIMESTAMP, "is of the Arrow type time32"),
    ],
)
def test_a_type_refuses(array: Any, kind: Type, says: str) -> None:
    with pytest.raises(BadInput, match=f"column 'x'.*{says}"):
        read(array, kind)


def test_the_row_is_counted_with_the_nulls() -> None:
    with pytest.raises(BadInput, match="column 'x', row 3"):
        read(pa.array([None, 1, None, 2.5]), Type.INT64, nullable=True)


MATRIX = np.arange(12.0).reshape(2, 2, 3)


@pytest.mark.parametrize(
    "array",
    [
        pa.array(MATRIX.tolist()),
        pa.array(MATRIX.tolist(), pa.large_list(pa.list_(pa.float32(), 3))),
        pa.array(MATRIX.tolist(), pa.list_(pa.list_(pa.int8(), 3), 2)),
        pa.FixedShapeTensorArray.from_numpy_ndarray(MATRIX),
        pa.chunked_array([pa.array(MATRIX[:1].tolist()), pa.array(MATRIX[1:].tolist())]),
    ],
)
def test_a_tensor_is_a_tensor_however_it_is_stored(array: Any) -> None:
    assert read(array, Type.FLOAT32, (2, 3)) == MATRIX.tolist()
    for shape in ((3, 2), (6,), (2, 3, 1), ()):
        with pytest.raises(BadInput, match="column 'x'"):
            read(array, Type.FLOAT32, shape)


@pytest.mark.parametrize("bad", [[[1.0, 2, 3], [4, 5]], [[1, 2, 3]], [[1, 2, 3], None], [[1, 2, 3], [4, None, 6]]])
def test_a_ragged_tensor_is_refused_with_its_row(bad: Any) -> None:
    with pytest.raises(BadInput, match=r"column 'x', row 2 .*expected int64\[2x3\]"):
        read(pa.array([MATRIX[0].tolist(), None, bad]), Type.INT64, (2, 3), nullable=True)


def test_a_slice_of_nested_lists_with_nulls_is_not_filtered() -> None:
    """Arrow's own take and filter read outside of such a slice; ours must not go through them."""
    field = Field("x", Type.FLOAT64, (2, 3), nullable=True)
    columns = {"x": Column(np.arange(60.0).reshape(10, 2, 3), np.arange(10) % 3 != 0)}
    got = from_arrow(to_arrow(columns, [field]).slice(5, 3), [field])["x"]
    assert got.valid is not None
    assert got.valid.tolist() == [True, False, True]
    np.testing.assert_array_equal(got.values[[0, 2]], columns["x"].values[[5, 7]])


def test_rows_labels_of_pandas_are_left_aside() -> None:
    table = pa.table({"age": [1], "__index_level_0__": [7]})
    assert list(from_arrow(table, [Field("age", Type.INT64)])) == ["age"]


def test_a_name_that_comes_twice_is_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["age", "age"])
    with pytest.raises(BadInput, match="column 'age' comes twice"):
        from_arrow(table, [Field("age", Type.INT64)])


def test_an_arrow_file_and_a_stream_are_told_apart() -> None:
    table, field = pa.table({"age": [1, 2]}), Field("age", Type.INT64)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    for body in (sink.getvalue().to_pybytes(), arrow.write(table)):
        assert arrow.decode(body, [field])["age"].values.tolist() == [1, 2]


@pytest.mark.parametrize("codec", [arrow, parquet])
def test_bytes_that_are_none_of_it_are_refused(codec: Any) -> None:
    for body in (b"", b"ARROW1", b"PAR1", b"[1]", b"PAR1" + bytes(50) + b"PAR1"):
        with pytest.raises(BadInput, match="not readable"):
            codec.decode(body, [Field("age", Type.INT64)])


def test_text_that_is_no_unicode_is_refused_before_it_is_read() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32).tobytes()), pa.py_buffer(b"\xff")]
    )
    with pytest.raises(BadInput, match=r"not readable Arrow data.*UTF"):
        arrow.decode(arrow.write(pa.table({"x": broken})), [Field("x", Type.TEXT)])
