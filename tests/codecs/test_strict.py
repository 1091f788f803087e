"""What each type takes and what it refuses, and that a refusal names the column, the row, the value and the type."""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from payoff.codecs import arrow, csv, ndjson, oip, rows
from payoff.codecs.tables import from_arrow
from payoff.errors import BadInput, TooLarge
from payoff.records import Field, Type

A, B = Field("age", Type.INT64), Field("job", Type.TEXT)


def read(field: Field, value: Any) -> Any:
    """A value through JSON records behind a good one, through columns, one record and a tensor; all must agree."""
    ways = [[{"x": value}], {"rows": [{"x": value}]}, {"columns": {"x": [value]}}]
    got = [rows.decode(json.dumps(way).encode(), (field,))["x"] for way in ways]
    for column in got[1:]:
        np.testing.assert_array_equal(column.values, got[0].values)
    return None if got[0].valid is not None and not got[0].valid[0] else got[0].values.tolist()[0]


TAKEN = [
    (Type.INT64, 3, 3),
    (Type.INT64, 3.0, 3),
    (Type.INT64, -(2**63), -(2**63)),
    (Type.INT64, 2**53 + 1, 2**53 + 1),
    (Type.UINT64, 2**64 - 1, 2**64 - 1),
    (Type.UINT8, 255, 255),
    (Type.FLOAT64, 3, 3.0),
    (Type.FLOAT64, 0.1, 0.1),
    (Type.FLOAT32, 3.4028234663852886e38, 3.4028234663852886e38),
    (Type.FLOAT32, 3.4028235e38, 3.4028234663852886e38),
    (Type.BOOL, True, True),
    (Type.TEXT, "", ""),
    (Type.TEXT, "a\x00b", "a\x00b"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), TAKEN)
def test_a_type_takes(kind: Type, value: Any, expected: Any) -> None:
    assert read(Field("x", kind), value) == expected
    assert read(Field("x", kind, nullable=True), value) == expected


REFUSED = [
    (Type.INT64, 3.5),
    (Type.INT64, "3"),
    (Type.INT64, True),
    (Type.INT64, 2**63),
    (Type.INT64, 1e300),
    (Type.INT64, [1]),
    (Type.INT64, {"a": 1}),
    (Type.UINT8, 300),
    (Type.UINT8, -1),
    (Type.UINT8, 256.0),
    (Type.INT8, 128),
    (Type.FLOAT64, "1"),
    (Type.FLOAT64, False),
    (Type.FLOAT32, 1e39),
    (Type.FLOAT32, -3.4028236e38),
    (Type.BOOL, 1),
    (Type.BOOL, "true"),
    (Type.TEXT, 7),
    (Type.TEXT, True),
    (Type.DATE, "2008-02-30"),
    (Type.DATE, "2008"),
    (Type.DATE, "today"),
    (Type.DATE, "0000-01-01"),
    (Type.DATE, "20080505"),
    (Type.DATE, "\u0662\u0660\u0660\u0668-\u0660\u0665-\u0660\u0665"),
    (Type.DATE, 5),
    (Type.TIMESTAMP, 0),
    (Type.TIMESTAMP, "NaT"),
    (Type.TIMESTAMP, "2008-05-05T24:30:00"),
    (Type.TIMESTAMP, "2008-05-05T10:30:00.1234567"),
    (Type.TIMESTAMP, "0001-01-01T00:00:00+01:00"),
]


@pytest.mark.parametrize(("kind", "value"), REFUSED)
@pytest.mark.parametrize("nullable", [False, True])
def test_a_type_refuses_and_says_what_and_where(kind: Type, value: Any, nullable: bool) -> None:
    field = Field("x", kind, nullable=nullable)
    good = {"bool": True, "text": "a", "date": "2008-05-05", "timestamp": "2008-05-05T10:30:00Z"}.get(kind.value, 1)
    for body in ([{"x": good}] * 4 + [{"x": value}, {"x": good}], {"columns": {"x": [good] * 4 + [value]}}):
        with pytest.raises(BadInput, match=rf"column 'x', row 4 \(the first is 0\): got .*expected {kind}"):
            rows.decode(json.dumps(body).encode(), (field,))
    with pytest.raises(BadInput, match="column 'x', row 0"):
        rows.decode(json.dumps({"x": value} if not isinstance(value, list) else [{"x": value}]).encode(), (field,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2008-05-05", "2008-05-05T00:00:00"),
        ("2008-05-05T10:30", "2008-05-05T10:30:00"),
        ("2008-05-05 10:30:00.5", "2008-05-05T10:30:00.500000"),
        ("2008-05-05T10:30:00Z", "2008-05-05T10:30:00"),
        ("2008-05-05T10:30:00.000001000+02:00", "2008-05-05T08:30:00.000001"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, expected: str) -> None:
    assert read(Field("x", Type.TIMESTAMP), text).isoformat() == expected


@pytest.mark.parametrize("kind", list(Type))
def test_null_needs_a_nullable_field(kind: Type) -> None:
    assert read(Field("x", kind, nullable=True), None) is None
    with pytest.raises(BadInput, match=f"column 'x', row 0 .*got null; expected {kind}"):
        read(Field("x", kind), None)


def test_nan_is_a_null_in_a_nullable_float_column_and_a_refusal_elsewhere() -> None:
    table = pa.table({"x": [1.0, math.nan, None]})
    column = from_arrow(table, [Field("x", Type.FLOAT64, nullable=True)])["x"]
    assert column.valid is not None
    assert column.valid.tolist() == [True, False, False]
    with pytest.raises(BadInput, match=r"column 'x', row 1 .*got nan, a missing value"):
        from_arrow(table.slice(0, 2), [Field("x", Type.FLOAT32)])
    with pytest.raises(BadInput, match=r"column 'x', row 1 .*got nan"):
        from_arrow(table.slice(0, 2), [Field("x", Type.INT64)])


def test_in_a_nullable_float_tensor_an_element_may_be_missing() -> None:
    field = Field("x", Type.FLOAT32, (2,), nullable=True)
    assert math.isnan(read(field, [1, None])[1])
    assert read(field, None) is None
    with pytest.raises(BadInput, match=r"got \[1, None\], in which element 1 is null; expected float32\[2\]"):
        read(Field("x", Type.FLOAT32, (2,)), [1, None])


@pytest.mark.parametrize("value", [[1, 2, 3], [1], [[1], [2]], 1, "ab", [1, "b"], [], {}])
def test_a_tensor_has_one_shape(value: Any) -> None:
    with pytest.raises(BadInput, match=r"column 'x', row 0 .*expected float32\[2\]"):
        rows.decode(json.dumps([{"x": value}]).encode(), (Field("x", Type.FLOAT32, (2,)),))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"[{", "char 2"),
        (b'[{"age": 33, "job": "ad', "not JSON: .*line 1 column"),
        (b'[{"age": NaN, "job": "x"}]', "NaN at character 9 is not JSON: send null"),
        (b'[{"age": -Infinity, "job": "x"}]', "-Infinity at character 9 is not JSON: send null"),
        (b'[{"age": 1e999, "job": "x"}]', "infinity"),
        (b'\xff\xfe[{"age"', "not JSON"),
        (b"[" * 100_000, "depth"),
        (b'{"age":1,"job":"x"}\n{"age":2,"job":"y"}', "application/x-ndjson"),
        (b"5", "body is 5; expected a JSON list of records"),
        (b"[1, 2]", "row 0 .*got 1; expected an object"),
        (b'[{"age": 1, "job": "x"}, null]', "row 1 .*got None; expected an object"),
        (b'[{"age": 1}]', r"row 0 .*missing column 'job' \(text\)"),
        (b"{}", r"missing columns 'age' \(int64\), 'job' \(text\)"),
        (b'[{"age": 1, "job": "x"}, {"age": 1, "Job": "x"}]', "row 1 .*unknown column 'Job'; did you mean 'job'"),
        (b'[{"age": 1, "job": "x", "duration": 3}]', "unknown column 'duration'; there are: age, job"),
        (b'{"age": [1, 2], "job": ["x"]}', "'age' has 2 rows and column 'job' has 1"),
        (b'{"age": [1], "job": "x"}', "column 'job' is 'x'; expected a list"),
        (b'{"columns": {"age": [1]}}', "missing column 'job'"),
        (b'{"rows": 5}', "unknown column 'rows'"),
    ],
)
def test_a_wrong_body_is_answered_with_what_would_be_right(body: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        rows.decode(body, (A, B))


def test_a_message_quotes_little_of_a_large_value() -> None:
    for value in ("x" * 10**6, [["y" * 1000] * 100] * 10):
        with pytest.raises(BadInput) as refused:
            rows.decode(json.dumps([{"age": value}]).encode(), (A,))
        assert len(str(refused.value)) < 250


def test_deep_nesting_is_refused_and_kills_nobody() -> None:
    with pytest.raises(BadInput, match="column 'age', row 0"):
        rows.decode(b'[{"age":' + b"[" * 1000 + b"]" * 1000 + b"}]", (A,))


def test_columns_are_told_from_a_record_by_the_fields() -> None:
    vector = Field("v", Type.FLOAT64, (2,), nullable=True)
    assert rows.decode(b'{"v": [1, 2]}', (vector,))["v"].values.shape == (1, 2)
    assert rows.decode(b'{"v": [[1, 2], [3, 4], null]}', (vector,))["v"].values.shape == (3, 2)
    assert rows.decode(b'{"v": []}', (vector,))["v"].values.shape == (0, 2)
    assert rows.decode(b'{"rows": ["a", "b"]}', (Field("rows", Type.TEXT),))["rows"].values.tolist() == ["a", "b"]
    assert rows.decode(b'{"columns": "a"}', (Field("columns", Type.TEXT),))["columns"].values.tolist() == ["a"]


def test_columns_nobody_named_pass_only_when_they_are_announced() -> None:
    announced = frozenset({"customer"})
    for codec, body in (
        (rows, b'[{"age": 1, "customer": "c"}]'),
        (rows, b'{"age": [1], "customer": ["c"]}'),
        (ndjson, b'{"age": 1, "customer": "c"}'),
        (csv, b"age,customer\n1,c\n"),
        (arrow, arrow.write(pa.table({"age": [1], "customer": ["c"]}))),
    ):
        assert list(codec.decode(body, (A,), extra_ok=announced)) == ["age"]
        with pytest.raises(BadInput, match="unknown column 'customer'"):
            codec.decode(body, (A,))


def test_more_rows_than_the_limit_are_refused() -> None:
    table = pa.table({"age": [1, 2, 3]})
    tensor = {"inputs": [{"name": "age", "datatype": "INT64", "shape": [3], "data": [1, 2, 3]}]}
    for codec, body in (
        (rows, b'[{"age": 1}, {"age": 2}, {"age": 3}]'),
        (rows, b'{"age": [1, 2, 3]}'),
        (ndjson, b'{"age": 1}\n{"age": 2}\n{"age": 3}'),
        (csv, b"age\n1\n2\n3\n"),
        (arrow, arrow.write(table)),
        (oip, json.dumps(tensor).encode()),
    ):
        codec.decode(body, (A,), rows_max=3)
        with pytest.raises(TooLarge, match="3 rows in one call; the limit is 2"):
            codec.decode(body, (A,), rows_max=2)
