"""What an expression means: numbers, nulls, text, and the shape of the answer."""

import warnings
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from payoff.expressions import Scope, parse
from payoff.records import Column, Field, Type

SCOPE = Scope(
    inputs=(
        Field("age", Type.INT64),
        Field("long", Type.UINT64),
        Field("age group", Type.TEXT, nullable=True),
        Field("at", Type.TIMESTAMP),
        Field("grid", Type.FLOAT32, (2, 2)),
    ),
    outputs=(Field("probability", Type.FLOAT32),),
    outcome=(Field("subscribed", Type.BOOL), Field("duration_s", Type.FLOAT64)),
    decision=Type.BOOL,
)
TEXT = np.array(["a", None, "it's"], object)
BATCH: dict[str, Any] = {
    "inputs": {
        "age": Column(np.array([17, 2**53 + 1, -4])),
        "long": Column(np.array([0, 2**63, 2**64 - 1], np.uint64)),
        "age group": Column(TEXT, np.array([True, False, True])),
        "at": Column(np.array(["2008-05-05T10:30", "1969-12-31T23:59:59.9", "0001-01-01"], "datetime64[us]")),
        "grid": Column(np.arange(12, dtype=np.float32).reshape(3, 2, 2)),
    },
    "outputs": {"probability": Column(np.array([0.07, np.nan, 0.5], np.float32))},
    "outcome": {
        "subscribed": Column(np.array([True, True, False]), np.array([True, True, False])),
        "duration_s": Column(np.array([3600.0, 1800.0, 0.0])),
    },
    "decision": Column(np.array([True, True, False])),
}
VALUE = """case when decision then (case when outcome.subscribed then 60 else 0 end)
       - 2 - outcome.duration_s / 3600.0 * 24 else 0 end"""


def answers(text: str, batch: dict[str, Any] = BATCH) -> list[Any]:
    answer = parse(text, SCOPE).evaluate(batch)
    valid = [True] * len(answer) if answer.valid is None else answer.valid.tolist()
    return [value if ok else None for value, ok in zip(answer.values.tolist(), valid, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(VALUE, [34.0, 46.0, 0.0], id="the value of the product's example"),
        pytest.param("inputs.age between 17 and 110", [True, False, False], id="a rule"),
        pytest.param("outputs.probability > 0.07", [True, None, True], id="float32 is widened first: 0.07f > 0.07"),
        pytest.param("age = 9007199254740992", [False, False, False], id="whole numbers compare as whole numbers"),
        pytest.param("age + 0 = 9007199254740992", [False, True, False], id="but arithmetic is in float64"),
        pytest.param("long > age", [False, True, True], id="unsigned and signed compare exactly"),
        pytest.param("5 / (age - 17)", [None, 5 / (2.0**53 - 17), -5 / 21], id="division by zero is null"),
        pytest.param("age / 2", [8.5, 2.0**52, -2.0], id="division of whole numbers is no whole division"),
        pytest.param("-age % 3", [-2.0, -2.0, 1.0], id="the remainder has the sign of the dividend"),
        pytest.param("1e308 * age is null", [True, True, True], id="overflow is null"),
        pytest.param("1 / (1e308 * age)", [None] * 3, id="even where infinity would vanish again"),
        pytest.param("5 % (1e308 * age)", [None] * 3, id="in a remainder"),
        pytest.param("exp(-abs(1e308 * age))", [None] * 3, id="in an exponent"),
        pytest.param("power(0.5, abs(1e308 * age))", [None] * 3, id="in a power"),
        pytest.param("sign(1e308 * age)", [None] * 3, id="in a sign"),
        pytest.param("least(abs(1e308 * age), 1)", [1.0] * 3, id="and nothing to choose"),
        pytest.param("1e308 * age > 0", [None] * 3, id="or to compare"),
        pytest.param("cast(1e308 * age as boolean)", [None] * 3, id="or to cast"),
        pytest.param("coalesce(1e308 * age, 3)", [3.0] * 3, id="but to replace"),
        pytest.param("case when decision then 1e308 * age else 1 end", [None, None, 1.0], id="also out of a case"),
        pytest.param("sqrt(-1)", [None] * 3, id="what is no number is null"),
        pytest.param("round(age / 2)", [9.0, 2.0**52, -2.0], id="halves are rounded away from zero"),
        pytest.param("cast(-2.5 as bigint)", [-3] * 3, id="and so does a cast"),
        pytest.param("\"age group\" = 'a' or decision", [True, True, False], id="null or true is true"),
        pytest.param("\"age group\" = 'a' and decision", [True, None, False], id="null and true is null"),
        pytest.param("inputs.\"age group\" like '%''_'", [False, None, True], id="a quote in a text"),
        pytest.param("case when outcome.subscribed then 1 end", [1, 1, None], id="a null condition is not met"),
        pytest.param("least(duration_s, null, 5)", [5.0, 5.0, 0.0], id="least takes no notice of null"),
        pytest.param("grid[2][1]", [2.0, 6.0, 10.0], id="elements count from 1"),
        pytest.param("year(at)", [2008, 1969, 1], id="the year of a timestamp"),
        pytest.param("true", [True] * 3, id="a constant has as many rows as the batch"),
        pytest.param("'b'", ["b"] * 3, id="so has a text"),
    ],
)
def test_what_it_means(text: str, expected: list[Any]) -> None:
    assert answers(text) == expected


@pytest.mark.parametrize(
    "text", [VALUE, "true", "inputs.age > 1", "lower(\"age group\") = 'x'", "least(grid[1][1], 1)"]
)
def test_an_empty_batch_has_an_empty_answer(text: str) -> None:
    empty: dict[str, Any] = {
        source: held.take(slice(0)) if isinstance(held, Column) else {k: c.take(slice(0)) for k, c in held.items()}
        for source, held in BATCH.items()
    }
    answer = parse(text, SCOPE).evaluate(empty)
    assert len(answer) == 0
    assert answer.values.dtype == parse(text, SCOPE).type.dtype


def test_the_answer_has_no_mask_where_every_row_has_a_value() -> None:
    assert parse("outcome.subscribed is null", SCOPE).evaluate(BATCH).valid is None
    assert parse("coalesce(outcome.subscribed, false)", SCOPE).evaluate(BATCH).valid is None


def test_a_decision_that_was_not_taken_is_null() -> None:
    assert answers("decision is null", {**BATCH, "decision": None}) == [True] * 3


def test_signaling_nan_does_not_warn() -> None:
    numbers = np.array([0x7FA00000, 0x3F800000], np.uint32).view(np.float32)
    batch = {"outputs": {"probability": Column(numbers)}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answers("probability >= 1", batch) == [None, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age", Type.INT64),
        ("long", Type.UINT64),
        ("coalesce(long, 5)", Type.UINT64),
        ("case when decision then long else age end", Type.FLOAT64),
        ("age + 1", Type.FLOAT64),
        ("probability", Type.FLOAT64),
        ("length('a')", Type.INT64),
        ("least(age, 2.5)", Type.FLOAT64),
        ("age > 1", Type.BOOL),
        ("lower('A')", Type.TEXT),
        ("date '2008-05-05'", Type.DATE),
        ("coalesce(at, date '2008-05-05')", Type.TIMESTAMP),
    ],
)
def test_the_type_it_says_is_the_type_it_answers_in_both(text: str, expected: Type) -> None:
    expression = parse(text, SCOPE)
    assert expression.type is expected
    assert expression.evaluate(BATCH).values.dtype == expected.dtype
    kind = duckdb.execute(f"select typeof({expression.duckdb()}) from ({stored()})").fetchall()[0][0]
    names = {Type.TEXT: "VARCHAR", Type.BOOL: "BOOLEAN", Type.INT64: "BIGINT", Type.UINT64: "UBIGINT"}
    assert kind == names.get(expected, "DOUBLE" if expected.is_float else expected.name)


def stored() -> str:
    """One row of a table as the journal keeps it: whole numbers over int64 as decimals, times with a zone."""
    return """select true as decision, {'probability': 0.07::float::double} as outputs,
        {'subscribed': true, 'duration_s': 3600.0::double} as outcome,
        {'age': 17::bigint, 'long': 18446744073709551615::decimal(20, 0), 'age group': 'a',
         'at': timestamptz '2008-05-05 10:30:00+00', 'grid': [[1e0, 2e0], [3e0, 4e0]]} as inputs"""


def in_duckdb(text: str, prefix: dict[str, str] | None = None) -> Any:
    return duckdb.execute(f"select {parse(text, SCOPE).duckdb(prefix)} from ({stored()})").fetchall()[0][0]


def test_unsigned_numbers_may_be_stored_as_decimals_and_timestamps_with_a_zone() -> None:
    assert in_duckdb("long = 18446744073709551615") is True
    assert in_duckdb("at = timestamp '2008-05-05 10:30:00'") is True
    assert in_duckdb("grid[2][1]") == 3.0


def test_a_source_can_be_replaced() -> None:
    assert in_duckdb(VALUE) == 34.0
    assert in_duckdb(VALUE, {"decision": "false"}) == 0.0
    assert in_duckdb(VALUE, {"decision": "null"}) == 0.0
    assert in_duckdb("outcome.duration_s", {"outcome": "{'duration_s': 5e0}"}) == 5.0


def test_it_knows_what_it_reads() -> None:
    expression = parse("case when decision then age + probability else outcome.duration_s end", SCOPE)
    assert expression.names == {
        ("decision", "decision"),
        ("inputs", "age"),
        ("outputs", "probability"),
        ("outcome", "duration_s"),
    }
    assert expression.outcome == (Field("duration_s", Type.FLOAT64),)


OPEN = Scope(
    inputs=(Field("job", Type.TEXT),), outcome=(Field("paid", Type.INT64),), decision=Type.BOOL, open_outcome=True
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VALUE, {"subscribed": Type.BOOL, "duration_s": Type.FLOAT64}),
        ("outcome.kind = 'a'", {"kind": Type.TEXT}),
        ("'a' <> outcome.kind", {"kind": Type.TEXT}),
        ("outcome.kind in ('a', 'b')", {"kind": Type.TEXT}),
        ("outcome.kind = inputs.job", {"kind": Type.TEXT}),
        ("outcome.n between 1 and 2", {"n": Type.FLOAT64}),
        ("outcome.n = 1", {"n": Type.FLOAT64}),
        ("coalesce(outcome.n, 0) > 1", {"n": Type.FLOAT64}),
        ("not outcome.b", {"b": Type.BOOL}),
        ("outcome.b is not null and outcome.b", {"b": Type.BOOL}),
        ("outcome.b = outcome.c and outcome.c = outcome.d and outcome.d > 1", dict.fromkeys("bcd", Type.FLOAT64)),
        ("case outcome.kind when 'x' then outcome.n else 0 end", {"kind": Type.TEXT, "n": Type.FLOAT64}),
        ("outcome.paid > 0", {"paid": Type.INT64}),
        ("case when decision then outcome.gain end - 1", {"gain": Type.FLOAT64}),
    ],
)
def test_undeclared_outcome_columns_get_their_type_from_their_use(text: str, expected: dict[str, Type]) -> None:
    assert {field.name: field.type for field in parse(text, OPEN).outcome} == expected


def test_what_is_expected_is_a_use_too() -> None:
    assert parse("outcome.gain", OPEN, "number").outcome == (Field("gain", Type.FLOAT64),)
    assert parse("outcome.bought", OPEN, "boolean").outcome == (Field("bought", Type.BOOL),)


def test_hundreds_of_summands_and_conditions_are_one_level_deep() -> None:
    given = pa.table({"inputs": pa.array([{"age": 1}])})  # noqa: F841 - DuckDB finds it by name
    scope = Scope(inputs=(Field("age", Type.INT64),))
    for text in ("+".join(["age"] * 250), " and ".join(["age>0"] * 200), "-".join(["1"] * 490)):
        expression = parse(text, scope)
        one = expression.evaluate({"inputs": {"age": Column(np.array([1]))}}).values.tolist()
        assert duckdb.execute(f"select {expression.duckdb()} from given").fetchall() == [tuple(one)]


def test_division_within_division_does_not_make_the_sql_explode() -> None:
    text = "1 / (1 + " * 25 + "inputs.age" + ")" * 25
    sql = parse(text, SCOPE).duckdb()
    assert len(sql) < 20_000
    assert in_duckdb(text) == answers(text)[0]
