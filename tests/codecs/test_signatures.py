"""Fields from samples, fields as schemas, samples from files, and answers read back."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from payoff.codecs import Answer, arrow, csv, formats, infer, ndjson, parquet, replies, rows, samples, schema
from payoff.codecs.tables import from_arrow
from payoff.errors import BadInput, TooLarge
from payoff.records import Column, Field, Type


@pytest.mark.parametrize(
    ("array", "field"),
    [
        (pa.array([1, 2]), Field("x", Type.INT64)),
        (pa.array([1, None], pa.uint8()), Field("x", Type.UINT8, nullable=True)),
        (pa.array([1.0], pa.float16()), Field("x", Type.FLOAT32)),
        (pa.array([1.0, float("nan")]), Field("x", Type.FLOAT64, nullable=True)),
        (pa.array([True]), Field("x", Type.BOOL)),
        (pa.array(["a"], pa.string_view()), Field("x", Type.TEXT)),
        (pa.array(["a", "b", None]).dictionary_encode(), Field("x", Type.TEXT, nullable=True)),
        (pa.array([1, 1]).dictionary_encode(), Field("x", Type.INT64)),
        (pa.array([date(2008, 5, 5)]), Field("x", Type.DATE)),
        (pa.array([datetime(2008, 5, 5)], pa.timestamp("ns", "UTC")), Field("x", Type.TIMESTAMP)),
        (pa.array([[1.0, 2.0], None], pa.list_(pa.float32())), Field("x", Type.FLOAT32, (2,), nullable=True)),
        (pa.array([[[1], [2]]], pa.list_(pa.list_(pa.int64(), 1), 2)), Field("x", Type.INT64, (2, 1))),
        (
            pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((3, 4, 5), np.float32)),
            Field("x", Type.FLOAT32, (4, 5)),
        ),
    ],
)
def test_a_sample_says_what_a_field_is_and_is_read_by_it(array: Any, field: Field) -> None:
    table = pa.table({"x": array})
    assert infer.fields(table) == (field,)
    assert len(from_arrow(table, infer.fields(table))["x"]) == len(array)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (pa.nulls(3), "column 'x' has no value in the sample; give a row that has one, or leave the column out"),
        (pa.array([None], pa.string()), "has no value in the sample"),
        (pa.array([Decimal("1.5")]), "decimal128.*turn it into float64"),
        (pa.array([{"a": 1}]), "struct.*make each of its parts a column"),
        (pa.array([b"a"]), "binary.*use numbers"),
        (pa.array([[1], [1, 2]]), "lists of 2 different lengths"),
    ],
)
def test_what_no_field_can_be_is_refused_by_name(array: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        infer.fields(pa.table({"x": array}))


CSV = b"""id,zip,rate,when,at,yes,none,mixed,text
1,007,0.5,2008-05-05,2008-05-05T10:00:00Z,true,,1,a
-2,12,,2008-05-06,2008-05-05 10:00,FALSE,,b,""
"""


def test_csv_without_fields_is_read_by_the_look_of_all_its_cells() -> None:
    table = samples.table(CSV, "csv")
    kinds = {field.name: field.type for field in infer.fields(table.drop_columns(["none"]))}
    assert kinds == {
        "id": Type.INT64, "zip": Type.TEXT, "rate": Type.FLOAT64, "when": Type.DATE, "at": Type.TIMESTAMP,
        "yes": Type.BOOL, "mixed": Type.TEXT, "text": Type.TEXT,
    }  # fmt: skip
    assert table["text"].to_pylist() == ["a", ""]
    assert samples.table(b"d\n2008-02-31\n", "csv")["d"].to_pylist() == ["2008-02-31"]
    assert samples.table(b"a;b\n1;2\n", "csv").to_pylist() == [{"a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        (b'[{"a": 1, "b": "x"}, {"a": 2}]', "json"),
        (b'{"rows": [{"a": 1, "b": "x"}, {"a": 2}]}', "json"),
        (b'{"columns": {"a": [1, 2], "b": ["x", null]}}', "json"),
        (b'{"a": [1, 2], "b": ["x", null]}', "json"),
        (b'{"a": 1, "b": "x"}\n{"a": 2}', "ndjson"),
        (b"a,b\n1,x\n2,\n", "csv"),
        (arrow.write(pa.table({"a": [1, 2], "b": ["x", None]})), "arrow"),
    ],
)
def test_a_sample_may_come_in_any_format(body: bytes, codec: str) -> None:
    assert samples.table(body, codec).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    with pytest.raises(TooLarge):
        samples.table(body, codec, rows_max=1)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'[{"a": 1}, {"a": "x"}]', "column 'a' has values of more than one type"),
        (b'{"a": [1], "b": [1, 2]}', "not equally long: 'a' 1, 'b' 2"),
        (b"[1]", "row 0"),
        (b"7", "body is 7"),
    ],
)
def test_a_sample_that_is_no_table_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        samples.table(body, "json")


def test_a_record_has_a_schema() -> None:
    fields = (Field("a", Type.UINT8), Field("t", Type.TEXT, nullable=True), Field("v", Type.FLOAT32, (2, 3)))
    assert schema.record(fields) == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
            "t": {"type": ["string", "null"]},
            "v": {
                "type": "array", "minItems": 2, "maxItems": 2,
                "items": {
                    "type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "number", "format": "float"},
                },
            },
        },
        "required": ["a", "v"],
        "additionalProperties": False,
    }  # fmt: skip
    assert len(schema.body(fields)["anyOf"]) == 5


FIELDS = (
    Field("prediction_id", Type.TEXT),
    Field("probability", Type.FLOAT64),
    Field("probabilities", Type.FLOAT64, (2,)),
    Field("version", Type.INT64, nullable=True),
)
ANSWER = Answer(
    "term-deposit",
    7,
    {
        "prediction_id": Column(np.array(["a", "b"], object)),
        "probability": Column(np.array([0.5, np.nan])),
        "probabilities": Column(np.array([[0.5, np.inf], [0, 1]])),
        "version": Column(np.array([3, 0]), np.array([True, False])),
    },
    FIELDS,
)
RECORDS: list[dict[str, object]] = [
    {"prediction_id": "a", "probability": 0.5, "probabilities": [0.5, None], "version": 3},
    {"prediction_id": "b", "probability": None, "probabilities": [0.0, 1.0], "version": None},
]


def test_an_answer_in_json_has_null_for_what_json_cannot_say() -> None:
    said = orjson.loads(rows.encode(ANSWER))
    assert said == {"endpoint": "term-deposit", "revision": 7, "predictions": RECORDS}
    by_column = Answer(ANSWER.endpoint, ANSWER.revision, ANSWER.columns, FIELDS, "columns")
    assert orjson.loads(rows.encode(by_column))["columns"]["version"] == [3, None]
    lines = [orjson.loads(line) for line in ndjson.encode(ANSWER).splitlines()]
    assert lines == [{"endpoint": "term-deposit", "revision": 7, **record} for record in RECORDS]
    assert csv.encode(ANSWER).decode().splitlines()[1:] == ['"a",0.5,"[0.5,null]",3', '"b",,"[0.0,1.0]",']


@pytest.mark.parametrize("codec", [rows.CODEC, ndjson.CODEC, csv.CODEC, arrow.CODEC, parquet.CODEC])
def test_a_client_reads_every_answer_as_a_table(codec: Any) -> None:
    table = replies.decode(codec.encode(ANSWER), codec.content_type)
    assert table["prediction_id"].to_pylist() == ["a", "b"]
    assert table["version"].to_pylist() == [3, None]
    assert formats.by_content_type(codec.content_type) is codec


def test_a_client_is_told_what_is_no_answer() -> None:
    with pytest.raises(BadInput, match="neither predictions nor columns"):
        replies.decode(b'{"error": "x"}', "application/json")
